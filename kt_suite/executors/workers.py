"""What executors whose trials train in other processes have in common: the driver's side."""

from __future__ import annotations

import abc
import time
from collections.abc import Iterator, Sequence
from typing import Any

import cloudpickle

from kt_suite.errors import InputError, WorkerError, rule
from kt_suite.executors.base import Event, Executor, TrialSpec
from kt_suite.executors.shared_data import DataStore, pack

_MAX_STARTS = 3


class WorkerLostError(Exception):
    """A worker is gone, or can no longer be reached; the message says how.

    Args:
        message: How.
        is_blameless: Whether the machine was lost, and the trial cannot be the cause.
    """

    def __init__(self, message: str, *, is_blameless: bool = False) -> None:
        super().__init__(message)
        self.is_blameless = is_blameless


class Worker(abc.ABC):
    """The driver's view of one worker: one attempt at a time, messages both ways.

    Attributes:
        spec: The attempt at work; ``None`` if there is none.
        is_ready: Whether the worker has said that it can take attempts.
        num_trials: Attempts since it started.
        num_starts: Times in a row that it was started without becoming ready.
        began: When the attempt began, on the monotonic clock.
    """

    def __init__(self) -> None:
        self.num_starts = 0

    def begin(self) -> None:
        """Notes that a fresh process is about to start."""
        self.spec: TrialSpec | None = None
        self.is_ready = False
        self.num_trials = 0
        self.num_starts += 1
        self.began = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether the worker waits for an attempt."""
        return self.is_ready and self.spec is None

    def run(self, spec: TrialSpec) -> None:
        """Hands the worker an attempt."""
        self.spec, self.began = spec, time.monotonic()
        self.send("run", cloudpickle.dumps(spec))

    @abc.abstractmethod
    def send(self, *message: Any) -> None:
        """Sends a message; a worker that is gone is met when it is next received from."""

    @abc.abstractmethod
    def receive(self) -> tuple[Any, ...]:
        """Returns the next message, which has come in.

        Raises:
            WorkerLostError: The worker is gone.
        """

    @abc.abstractmethod
    def restart(self) -> None:
        """Ends the worker's process, whatever it does, and starts a fresh one."""

    @abc.abstractmethod
    def end(self) -> None:
        """Ends the worker's process, whatever it does."""


class WorkerExecutor(Executor):
    """An executor that keeps workers: hands out attempts, takes in reports, and replaces workers that are lost.

    Args:
        trials_per_worker: Attempts after which a worker is replaced; ``None`` for no end.
        memory_limit: Bytes of resident memory beyond which a worker is replaced between attempts.
        trial_timeout: Seconds after which an attempt is ended as failed; ``None`` for no limit.
        checkpoint_interval: Seconds after which an attempt leaves, at the end of an epoch, what a retry goes on from;
            ``None`` to have retries begin at the beginning.

    Raises:
        InputError: An argument out of its range.
    """

    def __init__(
        self,
        *,
        trials_per_worker: int | None,
        memory_limit: int | None,
        trial_timeout: float | None,
        checkpoint_interval: float | None,
    ) -> None:
        check_count("trials_per_worker", trials_per_worker)
        for what, limit in (("memory_limit", memory_limit), ("trial_timeout", trial_timeout)):
            if limit is not None and not (isinstance(limit, (int, float)) and limit > 0):
                raise InputError(rule(what, "be a positive number", limit))
        if checkpoint_interval is not None and not checkpoint_interval >= 0:
            raise InputError(rule("checkpoint_interval", "be at least 0", checkpoint_interval))
        self._trials_per_worker = trials_per_worker
        self._memory_limit = memory_limit
        self._trial_timeout = trial_timeout
        self._checkpoint_interval = checkpoint_interval
        self._workers: list[Any] = []

    def _shipped(self, runner: Any, store: DataStore) -> Any:
        """Returns the copy of ``runner`` that travels to workers; its data are put into ``store``."""
        shipped = runner.for_worker()
        shipped._fit_args, shipped._fit_kwargs = pack(runner._fit_args, store), pack(runner._fit_kwargs, store)
        shipped._checkpoint_interval = self._checkpoint_interval
        return shipped

    def slots(self) -> list[str]:
        return [worker.slot for worker in self._workers if worker.is_idle]

    def capacity(self) -> int:
        return len(self.slots())

    def submit(self, spec: TrialSpec) -> None:
        slot = spec.trial.record.slot
        next(worker for worker in self._workers if worker.slot == slot).run(spec)

    def stop(self, trial_id: str) -> None:
        for worker in self._workers:
            if worker.spec is not None and worker.spec.trial_id == trial_id:
                worker.send("stop")

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        for worker in self._heard(min(1.0 if timeout is None else timeout, 1.0)):
            try:
                kind, *rest = worker.receive()
            except WorkerLostError as loss:
                yield from self._replace(worker, loss)
            else:
                yield from self._take(worker, kind, *rest)
        yield from self._overdue()

    @abc.abstractmethod
    def _heard(self, timeout: float) -> Sequence[Any]:
        """Returns the workers that have sent something, or have died, waiting for the first at most ``timeout``."""

    def _take(self, worker: Any, kind: str, *rest: Any) -> Iterator[Event]:
        if kind == "report":
            worker.send("decision", self._report(*rest).value)
        elif kind == "ready":
            worker.is_ready, worker.num_starts = True, 0
        elif kind == "event":
            event: Event = cloudpickle.loads(rest[0])  # written by our own worker, into our own pipe
            worker.spec = None
            worker.num_trials += 1
            is_old = self._trials_per_worker is not None and worker.num_trials >= self._trials_per_worker
            if is_old or (self._memory_limit is not None and rest[1] > self._memory_limit):
                worker.restart()
            yield event

    def _replace(self, worker: Any, loss: WorkerLostError) -> Iterator[Event]:
        spec = worker.spec
        if not worker.is_ready and worker.num_starts >= _MAX_STARTS:
            raise WorkerError(rule("A worker", f"start in {_MAX_STARTS} tries", str(loss)))
        worker.restart()
        if spec is not None:
            message, is_blameless = str(loss), loss.is_blameless
            yield Event("lost", spec.trial_id, spec.attempt, message=message, is_blameless=is_blameless)

    def _overdue(self) -> Iterator[Event]:
        if self._trial_timeout is None:
            return
        for worker in self._workers:
            spec = worker.spec
            if spec is None or time.monotonic() - worker.began < self._trial_timeout:
                continue
            worker.restart()
            must = f"end within trial_timeout={self._trial_timeout:g} s"
            message = rule("A trial", must, "a longer one", "Its worker was ended.")
            yield Event("failed", spec.trial_id, spec.attempt, message=message)

    def close(self) -> None:
        for worker in self._workers:
            worker.end()
        self._workers = []


def check_count(what: str, value: Any) -> None:
    """Raises ``InputError`` unless a value is ``None`` or an integer of at least 1."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise InputError(rule(what, "be an integer of at least 1", value))


def not_picklable(hypermodel: Any, error: Exception) -> InputError:
    """Returns the error of a search that cannot travel to a worker."""
    remedy = f'{type(error).__name__}: {error}. Make such objects inside build, or use executor="inline".'
    return InputError(rule("What is searched", "be picklable for worker processes", hypermodel, remedy))
