from __future__ import annotations

import datetime
import math
from typing import Any

import pytest

from kt_suite.errors import InputError
from kt_suite.limits import Limits
from kt_suite.trial import TrialRecord, TrialStatus


def ended(score: float | None, status: str = TrialStatus.COMPLETED, at: float = 0.0) -> TrialRecord:
    return TrialRecord("0000", 0, status, score=score, ended=at)


def test_without_limits_a_search_is_never_over() -> None:
    limits = Limits("min")
    limits.start([ended(0.5)] * 100, 1e9)
    assert limits.reached() is None
    assert not limits.is_out_of_time()


@pytest.mark.parametrize("budget", [10, 10.0, datetime.timedelta(seconds=10)])
def test_the_time_of_earlier_parts_of_a_search_counts(budget: Any) -> None:
    limits = Limits("min", time_budget=budget)
    limits.start([], 9.0)
    assert limits.reached() is None
    assert limits.elapsed >= 9.0
    limits.start([], 10.0)
    assert limits.is_out_of_time()
    assert "time budget of 10 s" in str(limits.reached())


@pytest.mark.parametrize(("direction", "scores"), [("min", [0.5, 0.21, 0.2]), ("max", [0.1, 0.19, 0.2])])
def test_a_target_is_reached_by_the_first_score_that_is_as_good(direction: str, scores: list[float]) -> None:
    limits = Limits(direction, target=0.2)
    limits.start([], 0.0)
    for score in scores:
        assert limits.reached() is None
        limits.note(ended(score))
    assert "target 0.2" in str(limits.reached())


def test_patience_counts_trials_that_bring_nothing_better() -> None:
    limits = Limits("min", patience=3)
    limits.start([], 0.0)
    for score in (0.5, 0.6, 0.5, 0.4):  # the last is better again
        limits.note(ended(score))
    for status in (TrialStatus.PRUNED, TrialStatus.FAILED):
        limits.note(ended(0.1 if status == TrialStatus.PRUNED else None, status))
    limits.note(ended(None, TrialStatus.INVALID))  # it will be tried again
    assert limits.reached() is None
    limits.note(ended(0.4))
    assert limits.reached() == "no better score in 3 trials"


def test_trials_of_earlier_parts_count_in_the_order_in_which_they_ended() -> None:
    limits = Limits("max", patience=2)
    limits.start([ended(0.1, at=3.0), ended(0.9, at=1.0), ended(0.2, at=2.0), ended(None, TrialStatus.RUNNING)], 0.0)
    assert limits.reached() is not None
    limits.start([ended(0.9, at=2.0), ended(0.2, at=1.0)], 0.0)
    assert limits.reached() is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("time_budget", value) for value in (0, -1, math.inf, math.nan, "1h", datetime.timedelta(0))),
        *(("patience", value) for value in (0, -1, 1.5, True, "3")),
        *(("target", value) for value in (math.nan, math.inf, "0.9")),
    ],
)
def test_a_limit_out_of_range_is_named(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=name):
        Limits("min", **{name: value})
