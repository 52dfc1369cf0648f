"""Trains trials in worker processes on this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe, connection
from pathlib import Path
from typing import Any

import cloudpickle

from kt_suite.errors import InputError, WorkerError, rule
from kt_suite.executors.base import Event, Executor, ReportHandler, TrialSpec
from kt_suite.executors.shared_data import pack

_START = "import sys; from kt_suite.executors.worker import main; main(int(sys.argv[1]), int(sys.argv[2]))"
_LOG_TAIL = 2000
_MAX_STARTS = 3


class ProcessExecutor(Executor):
    """One worker process a slot, each with devices of its own.

    A worker is an interpreter started afresh with one pipe: no pool, so that its death costs one attempt of one trial
        and
    nothing else. Build functions of scripts and notebooks travel by value. Data are written once, and mapped by all
    workers.

    Args:
        workers: Number of processes; one for each GPU if ``None``, or for each core where there is none.
        threads: Threads that TensorFlow may use in each worker; the cores are shared out if ``None``.
        trials_per_worker: Attempts after which a worker is replaced, against the growth of TensorFlow's memory;
            ``None`` for no end.
        memory_limit: Bytes of resident memory beyond which a worker is replaced between attempts; ``None`` for no
            limit.
        trial_timeout: Seconds after which an attempt is ended as failed; ``None`` for no limit.

    Raises:
        InputError: An argument out of its range.
    """

    name = "processes"

    def __init__(
        self,
        workers: int | None = None,
        *,
        threads: int | None = None,
        trials_per_worker: int | None = 64,
        memory_limit: int | None = None,
        trial_timeout: float | None = None,
    ) -> None:
        for what, value in (("workers", workers), ("threads", threads), ("trials_per_worker", trials_per_worker)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise InputError(rule(what, "be an integer of at least 1", value))
        for what, limit in (("memory_limit", memory_limit), ("trial_timeout", trial_timeout)):
            if limit is not None and not (isinstance(limit, (int, float)) and limit > 0):
                raise InputError(rule(what, "be a positive number", limit))
        self._gpus = _visible_gpus()
        self._cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._num_workers = workers or len(self._gpus) or self._cores
        self._threads = threads or max(1, self._cores // self._num_workers)
        self._trials_per_worker = trials_per_worker
        self._memory_limit = memory_limit
        self._trial_timeout = trial_timeout
        self._workers: list[_Worker] = []
        self._directory: Path | None = None

    def open(self, runner: Any, report: ReportHandler, should_stop: Callable[[], bool] | None = None) -> None:
        super().open(runner, report, should_stop)
        self._directory = Path(tempfile.mkdtemp(prefix="kt-suite-"))
        shipped = runner.for_worker()
        shipped._fit_args, shipped._fit_kwargs = (
            pack(runner._fit_args, self._directory),
            pack(runner._fit_kwargs, self._directory),
        )
        try:
            payload = cloudpickle.dumps(shipped)
        except Exception as error:
            remedy = f'{type(error).__name__}: {error}. Make such objects inside build, or use executor="inline".'
            raise InputError(
                rule("What is searched", "be picklable for worker processes", shipped.hypermodel, remedy)
            ) from error
        self._workers = [
            _Worker(slot, payload, self._environment(slot), self._directory) for slot in range(self._num_workers)
        ]

    def _environment(self, slot: int) -> dict[str, str]:
        environment = dict(os.environ)
        environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
            environment[name] = str(self._threads)
        if self._gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus[slot % len(self._gpus)]
        return environment

    def explain(self) -> str:
        place = f"GPUs {', '.join(self._gpus)}" if self._gpus else f"{self._threads} threads each"
        return f"{self._num_workers} worker processes, {place}"

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
                worker.send(("stop",))

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        wait = min(1.0 if timeout is None else timeout, 1.0)
        ready = connection.wait([worker.pipe for worker in self._workers], wait)
        for worker in self._workers:
            if worker.pipe in ready:
                yield from self._receive(worker)
        yield from self._overdue()

    def _receive(self, worker: _Worker) -> Iterator[Event]:
        try:
            kind, *rest = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._bury(worker)
            return
        if kind == "report":
            worker.send(("decision", self._report(*rest).value))
        elif kind == "ready":
            worker.is_ready, worker.num_starts = True, 0
        else:
            event: Event = cloudpickle.loads(rest[0])  # written by our own worker, into our own pipe
            worker.spec = None
            worker.num_trials += 1
            is_old = self._trials_per_worker is not None and worker.num_trials >= self._trials_per_worker
            if is_old or (self._memory_limit is not None and rest[1] > self._memory_limit):
                worker.restart()
            yield event

    def _bury(self, worker: _Worker) -> Iterator[Event]:
        spec, was_ready = worker.spec, worker.is_ready
        reason = worker.obituary()
        if spec is None and not was_ready and worker.num_starts >= _MAX_STARTS:
            raise WorkerError(rule("A worker process", f"start in {_MAX_STARTS} tries", reason))
        worker.restart()
        if spec is not None:
            yield Event("lost", spec.trial_id, spec.attempt, message=reason)

    def _overdue(self) -> Iterator[Event]:
        for worker in self._workers:
            if (
                self._trial_timeout is None
                or worker.spec is None
                or time.monotonic() - worker.began < self._trial_timeout
            ):
                continue
            spec = worker.spec
            worker.restart()
            message = rule(
                "A trial",
                f"end within trial_timeout={self._trial_timeout:g} s",
                "a longer one",
                "Its process was ended.",
            )
            yield Event("failed", spec.trial_id, spec.attempt, message=message)

    def close(self) -> None:
        for worker in self._workers:
            worker.end()
        self._workers = []
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None


class _Worker:
    """The driver's view of one worker process."""

    def __init__(self, number: int, payload: bytes, environment: dict[str, str], directory: Path) -> None:
        self.slot = f"worker{number}"
        self._payload = payload
        self._environment = environment
        self._log = directory / f"{self.slot}.log"
        self.num_starts = 0
        self._start()

    def _start(self) -> None:
        self.spec: TrialSpec | None = None
        self.is_ready = False
        self.num_trials = 0
        self.num_starts += 1
        self.began = 0.0
        self.pipe, theirs = Pipe()
        command = [sys.executable, "-c", _START, str(theirs.fileno()), str(os.getpid())]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                command, env=self._environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stderr=log
            )
        theirs.close()  # so that the pipe ends when the worker does
        self.send(([*sys.path], self._payload))

    @property
    def is_idle(self) -> bool:
        return self.is_ready and self.spec is None

    def run(self, spec: TrialSpec) -> None:
        self.spec, self.began = spec, time.monotonic()
        self.send(("run", cloudpickle.dumps(spec)))

    def send(self, message: tuple[Any, ...]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its death is met when the pipe is read
            self.pipe.send(message)

    def obituary(self) -> str:
        code = self._process.wait()
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        tail = self._log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
        return f"The worker process of {self.slot} died ({cause}).\n{tail}".rstrip()

    def restart(self) -> None:
        self.end()
        self._start()

    def end(self) -> None:
        self.pipe.close()
        self._process.kill()
        self._process.wait()


def _visible_gpus() -> list[str]:
    import tensorflow as tf

    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = len(tf.config.list_physical_devices("GPU"))
    return [one for one in chosen.split(",") if one][:count] if chosen else [str(index) for index in range(count)]
