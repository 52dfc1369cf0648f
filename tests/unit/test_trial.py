from __future__ import annotations

import pytest

from kt_suite.trial import RunRecord, TrialRecord, TrialStatus, incumbent


@pytest.mark.parametrize(
    ("status", "is_finished"),
    [("RUNNING", False), ("IDLE", False), ("INVALID", False), ("COMPLETED", True), ("FAILED", True), ("PRUNED", True)],
)
def test_a_trial_is_finished_when_nothing_more_will_happen(status: str, is_finished: bool) -> None:
    assert TrialRecord("0000", 0, status).is_finished is is_finished


def test_values_that_were_not_asked_for_made_no_difference() -> None:
    trial = TrialRecord("0000", 0, values={"a": 1, "b": 2})
    assert trial.used_values == {"a": 1, "b": 2}
    trial.used = ["b", "gone"]
    assert trial.used_values == {"b": 2}
    trial.used = []
    assert trial.used_values == {}


def test_seconds_are_known_once_it_has_ended() -> None:
    trial = TrialRecord("0000", 0, started=10.0)
    assert trial.seconds is None
    trial.ended = 12.5
    assert trial.seconds == 2.5


def scored(number: int, score: float | None, status: str = TrialStatus.COMPLETED) -> TrialRecord:
    return TrialRecord(f"{number:04d}", number, status, score=score)


@pytest.mark.parametrize(("direction", "best"), [("min", 1), ("max", 2)])
def test_the_incumbent_is_the_best_completed_trial(direction: str, best: int) -> None:
    trials = [scored(0, 0.5), scored(1, 0.2), scored(2, 0.9), scored(3, None)]
    trials += [
        scored(4, -9.0, TrialStatus.PRUNED),
        scored(5, 9.0, TrialStatus.PRUNED),
        scored(6, None, TrialStatus.FAILED),
    ]
    found = incumbent(trials, direction)
    assert found is not None
    assert found.number == best


def test_the_earlier_of_equals_is_the_incumbent() -> None:
    found = incumbent([scored(3, 0.0), scored(1, 0.0), scored(2, 0.0)], "max")
    assert found is not None
    assert found.number == 1
    assert incumbent([], "min") is None


def test_records_share_nothing() -> None:
    one, two = TrialRecord("0000", 0), TrialRecord("0001", 1)
    one.values["a"], one.metrics["b"] = 1, 2.0
    one.runs.append(RunRecord(0, 0))
    assert (two.values, two.metrics, two.runs) == ({}, {}, [])
