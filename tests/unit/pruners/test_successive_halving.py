"""Successive halving as a stopping rule."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kt_suite.errors import InputError
from kt_suite.pruners import SuccessiveHalvingPruner
from kt_suite.trial import Decision, TrialStatus
from tests.unit.pruners.training import Training


def test_the_best_third_of_those_at_a_rung_goes_on() -> None:
    training = Training(SuccessiveHalvingPruner())
    assert training.train([5.0]) is None  # the first is the best so far
    assert training.train([6.0]) == 0
    assert training.train([4.0]) is None
    assert training.train([4.5]) == 0  # of four, one goes on: the one with 4
    for loss in (7.0, 8.0):
        assert training.train([loss]) == 0
    assert training.train([4.5]) is None  # of seven, two do; equals share their rank


def test_only_rungs_are_judged() -> None:
    training = Training(SuccessiveHalvingPruner(min_epochs=2, factor=2))
    training.train([1.0] * 9)
    judged = []
    for epoch in range(9):
        trial = training.begin()
        decisions = [training.report(trial, 9.0 if one == epoch else 0.0, one) for one in range(epoch, epoch + 1)]
        judged += [epoch for decision in decisions if decision is Decision.STOP]
    assert judged == [1, 3, 7]


def test_the_best_epoch_until_the_rung_counts() -> None:
    training = Training(SuccessiveHalvingPruner(min_epochs=3))
    training.train([2.0, 2.0, 2.0])
    assert training.train([1.0, 9.0, 9.0, 9.0]) is None


def test_a_trial_that_has_no_finite_loss_stops() -> None:
    assert Training(SuccessiveHalvingPruner()).train([math.nan]) == 0


def test_failed_trials_leave_their_rungs() -> None:
    training = Training(SuccessiveHalvingPruner())
    training.train([0.0], status=TrialStatus.FAILED)
    assert training.train([5.0]) is None


def test_runs_have_rungs_of_their_own() -> None:
    training = Training(SuccessiveHalvingPruner())
    training.train([1.0], run=0)
    assert training.train([5.0], run=1) is None


def test_a_trial_that_goes_on_from_another_is_judged_at_later_rungs() -> None:
    training = Training(SuccessiveHalvingPruner())
    training.train([3.0, 3.0, 1.0], first_epoch=0)
    assert training.train([2.0, 2.0], first_epoch=1) == 2


def test_a_new_search_starts_afresh() -> None:
    pruner = SuccessiveHalvingPruner()
    Training(pruner).train([1.0])
    assert Training(pruner).train([9.0]) is None


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"factor": 1}, "factor"),
        ({"factor": 1.99}, "factor"),
        ({"min_epochs": 0}, "min_epochs"),
        ({"min_epochs": 1.5}, "min_epochs"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=f"{what} must .*, but got"):
        SuccessiveHalvingPruner(**options)
