"""Trains trials one after the other, in the process and thread of the search."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any

import keras_tuner

from kt_suite.errors import KTSuiteError
from kt_suite.executors.base import Event, Executor, ReportHandler, TrialSpec
from kt_suite.trial import Decision, Report


class InlineExecutor(Executor):
    """One slot, no threads, no copies: what a debugger, Ctrl-C and overridden tuner methods expect."""

    name = "inline"

    def __init__(self) -> None:
        self._spec: TrialSpec | None = None

    def open(self, runner: Any, report: ReportHandler, should_stop: Callable[[], bool] | None = None) -> None:
        super().open(runner, report, should_stop)
        self._stopped: set[str] = set()
        runner._begin_attempts(self._report_unless_stopped, should_stop)

    def _report_unless_stopped(self, trial_id: str, report: Report) -> Decision:
        decision = self._report(trial_id, report)
        return Decision.STOP if trial_id in self._stopped else decision

    def explain(self) -> str:
        return "one trial after the other, in this process"

    def slots(self) -> list[str]:
        return ["tuner0"]

    def capacity(self) -> int:
        return int(self._spec is None)

    def submit(self, spec: TrialSpec) -> None:
        self._spec = spec

    def stop(self, trial_id: str) -> None:
        self._stopped.add(trial_id)

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        spec, self._spec = self._spec, None
        if spec is None:
            return
        self._stopped.discard(spec.trial_id)
        yield self._run(spec)

    def _run(self, spec: TrialSpec) -> Event:
        try:
            runs, is_pruned = self._runner._run_attempt(spec)
        except (keras_tuner.errors.FatalError, KTSuiteError):
            raise  # the call is wrong, and every other trial would end like this one
        except Exception as error:
            is_final = isinstance(error, keras_tuner.errors.FailedTrialError)
            return Event("failed", spec.trial_id, spec.attempt, message=traceback.format_exc(), is_final=is_final)
        return Event("pruned" if is_pruned else "done", spec.trial_id, spec.attempt, runs=runs)
