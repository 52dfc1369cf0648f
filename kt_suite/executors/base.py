"""The interface of executors: where and how trials train."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from kt_suite.trial import Decision, Report, RunRecord


@dataclass(frozen=True)
class TrialSpec:
    """An attempt of a trial, as handed to an executor.

    Attributes:
        trial: The trial (``kt_suite.oracles.Trial``) with its values, seed and budget.
        attempt: Number of the attempt, from 1; a report of another attempt is refused.
        directory: Where the attempt may write; it exists and is the attempt's own.
        parent_directory: Where the attempt that this one goes on from has left its state; ``None`` for a fresh start.
        keeps_state: Whether the state after the last epoch must be left in ``directory``.
    """

    trial: Any
    attempt: int
    directory: str
    parent_directory: str | None = None
    keeps_state: bool = False

    @property
    def trial_id(self) -> str:
        """Id of the trial."""
        return str(self.trial.trial_id)


EventKind = Literal["done", "pruned", "failed", "lost"]


@dataclass
class Event:
    """How an attempt ended.

    Attributes:
        kind: ``"done"`` with ``runs``; ``"pruned"`` after a decision to stop, with ``runs``;
            ``"failed"`` by the user's
            code, with ``message``; ``"lost"`` by the infrastructure, with ``message``.
        trial_id: The trial.
        attempt: The attempt.
        runs: What its runs came to.
        used: Hyperparameters that the attempt asked for, with their values, in that order.
        hyperparameters: Config of the space and values as the attempt left them. ``None``, like ``used``, where the
            trial's own
            object was at work.
        message: Traceback or reason.
        is_final: Whether a failure must not be tried again.
        is_blameless: Whether a loss cannot be the trial's doing, because the machine was lost.
        error: An error that must end the search, because every other trial would end like this one.
    """

    kind: EventKind
    trial_id: str
    attempt: int
    runs: list[RunRecord] = field(default_factory=list)
    used: dict[str, Any] | None = None
    hyperparameters: dict[str, Any] | None = None
    message: str | None = None
    is_final: bool = False
    is_blameless: bool = False
    error: BaseException | None = None


ReportHandler = Callable[[str, Report], Decision]


class Executor(abc.ABC):
    """Trains attempts of trials, and nothing else: proposals, storage and retries are the search's.

    The search calls :meth:`open` once, then :meth:`submit` while :meth:`capacity` allows and :meth:`events` in turn,
    and
    :meth:`close` at the end, whatever happened. All calls come from one thread. An executor reports every epoch of
    every run
    through the handler given to :meth:`open`, and obeys the decision that it returns; each attempt ends in exactly
    one of
    the events ``done``, ``pruned``, ``failed`` and ``lost``.

    Attributes:
        name: The word that chooses it.
    """

    name: str = "executor"

    def prepare(self, runner: Any) -> None:
        """Looks at a search that is about to begin; called before :meth:`open`, so that :meth:`explain` knows of it.

        Args:
            runner: The tuner, with the arguments of ``search``.
        """

    def open(self, runner: Any, report: ReportHandler, should_stop: Callable[[], bool] | None = None) -> None:
        """Starts work.

        Args:
            runner: The tuner, whose ``_run_attempt`` trains; others than inline ship ``runner.for_worker()``.
            report: ``report(trial_id, report)`` takes the metrics of one epoch and returns a decision.
            should_stop: Asked after every batch where training is in this process; truth ends the attempt there.
        """
        self._runner = runner
        self._report = report

    @abc.abstractmethod
    def explain(self) -> str:
        """Returns in one line how trials will train."""

    @abc.abstractmethod
    def slots(self) -> list[str]:
        """Returns the ids of the slots that may get an attempt when free."""

    @abc.abstractmethod
    def capacity(self) -> int:
        """Returns how many more attempts could start at once."""

    @abc.abstractmethod
    def submit(self, spec: TrialSpec) -> None:
        """Takes an attempt; only called while :meth:`capacity` is positive."""

    @abc.abstractmethod
    def stop(self, trial_id: str) -> None:
        """Asks a running attempt to end at its next report, as pruned."""

    @abc.abstractmethod
    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Yields what has happened, waiting for the first event at most ``timeout`` seconds (without bound if
        ``None``).
        """

    def details(self, runner: Any) -> list[str]:
        """Returns lines on how the trials so far were trained, or will be, where :meth:`explain` does not say it all.

        Args:
            runner: The tuner.
        """
        return []

    def notes(self) -> list[str]:
        """Returns lines that the user should see, each once."""
        return []

    def close(self) -> None:
        """Ends all work and gives everything back. Closing twice is fine."""
