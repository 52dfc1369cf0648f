"""Trains trials one after the other, each in all processes of a cluster."""

from __future__ import annotations

import dataclasses
import faulthandler
import fnmatch
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kt_suite.distribution.channel import ChiefChannel
from kt_suite.distribution.distribution import Distribution
from kt_suite.distribution.processes import keep_checking
from kt_suite.errors import KTSuiteError, WorkerError
from kt_suite.executors.base import Event, ReportHandler, TrialSpec
from kt_suite.executors.inline import InlineExecutor
from kt_suite.executors.training import BUILD_CONFIG, STATES
from kt_suite.trial import Decision, Report

GRACE = 40.0
"""Seconds that processes may take longer than another to end the same attempt."""


class InStepExecutor(InlineExecutor):
    """One slot: the whole cluster. This process, its chief, tells the others what to train, and trains with them.

    Args:
        distribution: The distribution, whose chief this process is.
    """

    def __init__(self, distribution: Distribution) -> None:
        super().__init__()
        self._distribution = distribution
        self._channel: ChiefChannel | None = None

    def open(self, runner: Any, report: ReportHandler, should_stop: Callable[[], bool] | None = None) -> None:
        cluster = self._distribution.cluster
        if cluster is None:
            raise WorkerError("A cluster must be there to train in, but there is none.")
        self._channel = ChiefChannel(cluster, self._distribution.let_go, grace=GRACE)
        keep_checking(self._channel.check)
        self._clock = should_stop
        super().open(runner, report, should_stop and self._should_stop)

    def explain(self) -> str:
        return "one trial after the other, in all processes of the cluster"

    def _tell(self, message: dict[str, Any], files: dict[str, bytes] | None = None) -> None:
        if self._channel is not None and self._distribution.is_in_step:
            self._channel.send(message, files)

    def _report_unless_stopped(self, trial_id: str, report: Report) -> Decision:
        decision = super()._report_unless_stopped(trial_id, report)
        self._tell({"kind": "decision", "decision": decision.value})
        return decision

    def _should_stop(self) -> bool:
        is_over = self._clock is not None and self._clock()
        self._tell({"kind": "clock", "is_over": is_over})
        return is_over

    def _run(self, spec: TrialSpec) -> Event:
        channel = self._channel
        if channel is None:
            raise WorkerError("An executor must be open to train, but it is not.")
        self._tell(*_as_message(spec, self._runner, has_clock=self._clock is not None))
        try:
            with channel.attempt(spec.trial_id, spec.attempt):
                event = super()._run(spec)
        except KTSuiteError:
            end_watch(channel)
            raise
        if self._distribution.is_in_step:
            # Where the attempt failed here, others may wait for us in the middle of it.
            errors = channel.gather(spec.trial_id, spec.attempt, GRACE if event.kind == "failed" else None)
            if errors and event.kind != "failed":
                event = Event("failed", spec.trial_id, spec.attempt, message="\n".join(errors))
        elif event.kind == "failed":
            channel.settle()
        end_watch(channel)
        return event

    def close(self) -> None:
        keep_checking(None)
        if self._channel is not None:
            self._channel.end()
            self._channel = None


def end_watch(channel: Any) -> None:
    """Has a lost process raise its error here, which ends the watch over this one."""
    try:
        channel.check()
    except WorkerError:
        faulthandler.cancel_dump_traceback_later()
        raise


def _as_message(spec: TrialSpec, runner: Any, *, has_clock: bool) -> tuple[dict[str, Any], dict[str, bytes]]:
    files = {}
    if spec.parent_directory is not None:
        files = {path.name: path.read_bytes() for path in Path(spec.parent_directory).iterdir() if is_state(path.name)}
    message = {
        "kind": "run",
        "trial": dataclasses.asdict(spec.trial.snapshot()),
        "hyperparameters": spec.trial.hyperparameters.get_config(),
        "attempt": spec.attempt,
        "keeps_state": spec.keeps_state,
        "goes_on": spec.parent_directory is not None,
        "has_clock": has_clock,
        "seed": runner.oracle.seed,
    }
    return message, files


def is_state(name: str) -> bool:
    """Whether a file of an attempt holds a part of the state that a later one goes on from."""
    return fnmatch.fnmatch(name, STATES) or name == BUILD_CONFIG
