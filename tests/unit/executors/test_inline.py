from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras_tuner
import pytest

from kt_suite.errors import InputError
from kt_suite.executors import InlineExecutor, TrialSpec
from kt_suite.hyperparameters import HyperParameters
from kt_suite.oracles import Trial
from kt_suite.trial import Decision, RunRecord


class Runner:
    """What an executor sees of a tuner."""

    def __init__(self, run: Callable[[TrialSpec], Any]) -> None:
        self._run_attempt = run

    def _begin_attempts(self, report: Any, should_stop: Any = None) -> None:
        self.report, self.should_stop = report, should_stop


def spec_of(trial_id: str = "0000", attempt: int = 1) -> TrialSpec:
    return TrialSpec(Trial(HyperParameters(), trial_id), attempt, "directory")


def events_of(run: Callable[[TrialSpec], Any], spec: TrialSpec | None = None) -> list[Any]:
    executor = InlineExecutor()
    executor.open(Runner(run), lambda trial_id, report: Decision.CONTINUE)
    executor.submit(spec or spec_of())
    return list(executor.events())


def fails(error: BaseException) -> Callable[[TrialSpec], Any]:
    def run(spec: TrialSpec) -> Any:
        raise error

    return run


def test_an_attempt_brings_its_runs() -> None:
    runs = [RunRecord(0, 1, 0.5)]
    event = events_of(lambda spec: (runs, False), spec_of("0007", 3))[-1]
    assert (event.kind, event.trial_id, event.attempt, event.runs) == ("done", "0007", 3, runs)
    assert events_of(lambda spec: (runs, True))[-1].kind == "pruned"


def test_a_failure_of_the_users_code_is_an_event_with_its_traceback() -> None:
    event = events_of(fails(ZeroDivisionError("on purpose")))[-1]
    assert (event.kind, event.is_final) == ("failed", False)
    assert "on purpose" in event.message
    assert "test_inline.py" in event.message


def test_a_failed_trial_error_is_final() -> None:
    assert events_of(fails(keras_tuner.errors.FailedTrialError("too large")))[-1].is_final


@pytest.mark.parametrize(
    "error",
    [
        keras_tuner.errors.FatalError("x"),
        keras_tuner.errors.FatalTypeError("x"),
        InputError("x"),
        KeyboardInterrupt(),
        SystemExit(3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_every_other_trial_would_meet_ends_the_search(error: BaseException) -> None:
    with pytest.raises(type(error)):
        events_of(fails(error))


def test_there_is_one_slot_and_room_for_one_attempt() -> None:
    executor = InlineExecutor()
    executor.open(Runner(lambda spec: ([], False)), lambda trial_id, report: Decision.CONTINUE)
    assert len(executor.slots()) == 1
    assert executor.capacity() == 1
    assert list(executor.events()) == []
    executor.submit(spec_of())
    assert executor.capacity() == 0
    list(executor.events())
    assert executor.capacity() == 1
    executor.close()
    executor.close()


def test_the_runner_gets_the_means_to_report() -> None:
    executor, runner = InlineExecutor(), Runner(lambda spec: ([], False))
    executor.open(runner, lambda trial_id, report: Decision.STOP, lambda: True)
    assert runner.report("0000", None) is Decision.STOP
    assert runner.should_stop()
