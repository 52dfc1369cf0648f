"""Giving up trials that have stalled."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kt_suite.errors import InputError
from kt_suite.pruners import PatiencePruner
from tests.unit.pruners.training import Training


def test_a_stalled_trial_behind_the_best_stops() -> None:
    training = Training(PatiencePruner(2))
    training.train([1.0])
    assert training.train([3.0, 2.0, 2.0, 2.0, 0.0]) == 3
    assert training.train([3.0, 3.0, 2.5, 2.5, 2.4]) is None


def test_a_trial_that_leads_is_never_stopped() -> None:
    training = Training(PatiencePruner(1))
    assert training.train([2.0] * 5) is None  # nothing to be behind of
    assert training.train([1.0] * 5) is None
    assert training.train([1.0] * 5) == 1  # no better than the best


def test_small_gains_count_once_they_add_up() -> None:
    training = Training(PatiencePruner(2, min_delta=0.5))
    training.train([0.0])
    assert training.train([9.0, 8.7, 8.4, 8.1, 7.8]) is None
    assert training.train([9.0, 8.9, 8.8, 8.7]) == 2


def test_nan_is_no_improvement() -> None:
    training = Training(PatiencePruner(2))
    training.train([1.0])
    assert training.train([2.0, math.nan, math.nan]) == 2
    assert training.train([math.nan, math.nan, math.nan]) == 2


def test_each_run_has_a_best_of_its_own() -> None:
    training = Training(PatiencePruner(1))
    training.train([1.0], run=0)
    assert training.train([5.0, 5.0, 5.0], run=1) is None


def test_epochs_before_a_promotion_do_not_count_as_stalled() -> None:
    training = Training(PatiencePruner(3))
    training.train([1.0])
    assert training.train([5.0, 5.0, 5.0], first_epoch=27) is None


@pytest.mark.parametrize(
    ("options", "what"),
    [({"patience": 0}, "patience"), ({"min_delta": -0.1}, "min_delta"), ({"min_delta": math.nan}, "min_delta")],
)
def test_bad_arguments_are_named(options: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=f"{what} must .*, but got"):
        PatiencePruner(**options)
