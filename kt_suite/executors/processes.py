"""Trains trials in worker processes on this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing import Pipe, connection
from pathlib import Path
from typing import Any

import cloudpickle
import keras

from kt_suite.executors.base import ReportHandler
from kt_suite.executors.cores import num_cores
from kt_suite.executors.shared_data import FileStore
from kt_suite.executors.workers import Worker, WorkerExecutor, WorkerLostError, check_count, not_picklable

_START = "import sys; from kt_suite.executors.worker import main; main(int(sys.argv[1]), int(sys.argv[2]))"
_LOG_TAIL = 2000


class ProcessExecutor(WorkerExecutor):
    """One worker process a slot, each with devices of its own.

    A worker is an interpreter started afresh with one pipe: no pool, so that its death costs one attempt of one trial
    and nothing else. Build functions of scripts and notebooks travel by value. Data are written once, and mapped by
    all workers.

    Args:
        workers: Number of processes; one for each GPU if ``None``, or for each core where there is none.
        threads: Threads that TensorFlow may use in each worker; the cores are shared out if ``None``.
        trials_per_worker: Attempts after which a worker is replaced, against the growth of TensorFlow's memory;
            ``None`` for no end.
        memory_limit: Bytes of resident memory beyond which a worker is replaced between attempts; ``None`` for no
            limit.
        trial_timeout: Seconds after which an attempt is ended as failed; ``None`` for no limit.
        checkpoint_interval: Seconds after which an attempt leaves, at the end of an epoch, what a retry goes on from
            if the worker dies; ``None`` to have retries begin at the beginning.

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
        checkpoint_interval: float | None = 60.0,
    ) -> None:
        super().__init__(
            trials_per_worker=trials_per_worker,
            memory_limit=memory_limit,
            trial_timeout=trial_timeout,
            checkpoint_interval=checkpoint_interval,
        )
        check_count("workers", workers)
        check_count("threads", threads)
        self._gpus = _visible_gpus()
        self._cores = num_cores()
        self._num_workers = workers or len(self._gpus) or self._cores
        self._threads = threads or max(1, self._cores // self._num_workers)
        self._directory: Path | None = None

    def open(self, runner: Any, report: ReportHandler, should_stop: Callable[[], bool] | None = None) -> None:
        super().open(runner, report, should_stop)
        self._directory = Path(tempfile.mkdtemp(prefix="kt-suite-"))
        shipped = self._shipped(runner, FileStore(self._directory))
        try:
            payload = cloudpickle.dumps(shipped)
        except Exception as error:
            raise not_picklable(shipped.hypermodel, error) from error
        self._workers = [
            _Process(slot, payload, self._environment(slot), self._directory) for slot in range(self._num_workers)
        ]

    def _environment(self, slot: int) -> dict[str, str]:
        environment = dict(os.environ)
        environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
            environment[name] = str(self._threads)
        if self._gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus[slot % len(self._gpus)]
        if self._num_workers > len(self._gpus):  # a GPU that is shared must not be taken whole by the first
            environment.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        return environment

    def explain(self) -> str:
        place = f"GPUs {', '.join(self._gpus)}" if self._gpus else f"{self._threads} threads each"
        return f"{self._num_workers} worker processes, {place}"

    def _heard(self, timeout: float) -> Sequence[_Process]:
        ready = connection.wait([worker.pipe for worker in self._workers], timeout)
        return [worker for worker in self._workers if worker.pipe in ready]

    def close(self) -> None:
        super().close()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None


class _Process(Worker):
    """A worker process and the pipe to it."""

    def __init__(self, number: int, payload: bytes, environment: dict[str, str], directory: Path) -> None:
        super().__init__()
        self.slot = f"worker{number}"
        self._payload = payload
        self._environment = environment
        self._log = directory / f"{self.slot}.log"
        self._start()

    def _start(self) -> None:
        self.begin()
        self.pipe, theirs = Pipe()
        command = [sys.executable, "-c", _START, str(theirs.fileno()), str(os.getpid())]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                command, env=self._environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stderr=log
            )
        theirs.close()  # so that the pipe ends when the worker does
        self.send([*sys.path], self._payload)

    def send(self, *message: Any) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send(message)

    def receive(self) -> tuple[Any, ...]:
        try:
            message: tuple[Any, ...] = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise WorkerLostError(self._obituary()) from error
        return message

    def _obituary(self) -> str:
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
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = _num_gpus()
    return [one for one in chosen.split(",") if one][:count] if chosen else [str(index) for index in range(count)]


def _num_gpus() -> int:
    """Returns how many GPUs there are, without taking their memory, which is for the workers."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return len(tf.config.list_physical_devices("GPU"))
    return len(list(Path("/dev").glob("nvidia[0-9]*")))  # JAX and PyTorch would open what they count
