"""The percentile rule, and the median rule as its middle."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kt_suite.errors import InputError
from kt_suite.pruners import MedianPruner, PercentilePruner
from kt_suite.trial import Decision, TrialStatus
from tests.unit.pruners.training import Training


def test_a_trial_worse_than_the_median_of_running_averages_stops() -> None:
    training = Training(MedianPruner(num_startup_trials=3))
    for level in (1.0, 2.0, 3.0):
        assert training.train([level + 1, level - 1]) is None  # averages: level + 1, then level
    assert training.train([3.0, 2.0]) is None  # equal to the median at both epochs
    assert training.train([3.1, 0.0]) == 0
    assert training.train([2.9, 2.1]) is None  # its best counts, not its average
    assert training.train([2.9, 2.9, 0.0]) == 1


def test_a_trial_is_judged_by_its_best_epoch() -> None:
    training = Training(MedianPruner(num_startup_trials=1))
    training.train([1.0, 1.0, 1.0])
    assert training.train([0.9, 5.0, 5.0]) is None


def test_a_maximised_objective_is_judged_the_other_way_round() -> None:
    training = Training(MedianPruner(num_startup_trials=1), "max")
    training.train([0.5, 0.5])
    assert training.train([0.6, 0.6]) is None
    assert training.train([0.4, 0.6]) == 0


def test_nothing_is_stopped_before_enough_trials_have_got_that_far() -> None:
    training = Training(MedianPruner(num_startup_trials=2))
    training.train([1.0, 1.0, 1.0])
    training.train([1.0, 1.0])
    assert training.train([1.0, 1.0, 9.0]) is None  # one trial has reached epoch 2
    assert training.train([9.0]) == 0


def test_warmup_epochs_are_not_judged() -> None:
    training = Training(MedianPruner(num_startup_trials=1, num_warmup_epochs=2))
    training.train([1.0] * 4)
    assert training.train([9.0] * 4) == 2


def test_the_percentile_is_the_share_that_goes_on() -> None:
    stopped = {}
    for percentile in (25.0, 75.0):
        training = Training(PercentilePruner(percentile, num_startup_trials=8))
        for level in range(1, 9):
            training.train([float(level)])
        stopped[percentile] = [level for level in range(1, 9) if training_stops(training, level)]
    assert stopped == {25.0: [4, 5, 6, 7, 8], 75.0: [8]}


def training_stops(training: Training, level: float) -> bool:
    trial = training.begin()  # left under way: it must not count for the others
    return training.report(trial, float(level), 0) is Decision.STOP


def test_pruned_trials_count_as_far_as_they_got() -> None:
    training = Training(MedianPruner(num_startup_trials=3))
    for level in (1.0, 2.0, 3.0):
        training.train([level])
    for _ in range(3):
        assert training.train([9.0]) == 0
    assert training.train([5.0]) is None  # the median has moved to 9


def test_failed_trials_do_not_count() -> None:
    training = Training(MedianPruner(num_startup_trials=1))
    training.train([0.1], status=TrialStatus.FAILED)
    assert training.train([9.0]) is None


def test_nan_is_worse_than_any_number_and_spoils_no_average() -> None:
    training = Training(MedianPruner(num_startup_trials=1))
    training.train([math.nan, 2.0, 4.0])
    assert training.train([5.0, 1.0, 1.0]) is None
    training = Training(MedianPruner(num_startup_trials=1))
    training.train([1.0])
    assert training.train([math.nan]) == 0


def test_the_same_run_is_compared() -> None:
    training = Training(MedianPruner(num_startup_trials=1))
    training.train([1.0], run=0)
    training.train([5.0], run=1)
    assert training.train([4.0], run=1) is None
    assert training.train([4.0], run=0) == 0


def test_an_earlier_attempt_does_not_count() -> None:
    training = Training(MedianPruner(num_startup_trials=1))
    training.train([1.0, 1.0])
    trial = training.begin()
    training.report(trial, 0.0, 0)
    assert training.report(trial, 2.0, 0, attempt=2) is Decision.STOP


def test_a_new_search_starts_afresh() -> None:
    pruner = MedianPruner(num_startup_trials=1)
    Training(pruner).train([1.0])
    assert Training(pruner).train([9.0]) is None


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"percentile": 0}, "percentile"),
        ({"percentile": 100}, "percentile"),
        ({"percentile": -5}, "percentile"),
        ({"percentile": "25"}, "percentile"),
        ({"percentile": math.nan}, "percentile"),
        ({"num_startup_trials": 0}, "num_startup_trials"),
        ({"num_warmup_epochs": -1}, "num_warmup_epochs"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=f"{what} must .*, but got"):
        PercentilePruner(**options)
