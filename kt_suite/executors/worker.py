"""What runs in a worker process: takes attempts from a pipe, trains them, and sends back what happens."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from kt_suite.executors.base import Event, TrialSpec
from kt_suite.trial import Decision, Report


class Link:
    """The worker's end of the pipe.

    Args:
        connection: The pipe to the driver, or what works like one.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._is_stopped = False

    def report(self, trial_id: str, report: Report) -> Decision:
        """Sends the metrics of an epoch, and waits for the decision."""
        self._connection.send(("report", trial_id, report))
        while True:
            kind, *rest = self._connection.recv()
            if kind == "decision":
                return Decision.STOP if self._is_stopped else Decision(rest[0])
            self._is_stopped = True

    def should_stop(self) -> bool:
        """Whether the driver has asked the running attempt to end; looked at after every batch."""
        while not self._is_stopped and self._connection.poll():
            self._is_stopped = self._connection.recv()[0] == "stop"
        return self._is_stopped

    def begin(self) -> None:
        """Forgets a request to stop that was meant for an earlier attempt."""
        self._is_stopped = False


def run_attempt(runner: Any, spec: TrialSpec) -> Event:
    """Trains an attempt; returns the event that ends it, with all that the driver must know."""
    import keras_tuner

    from kt_suite.errors import KTSuiteError

    hp = spec.trial.hyperparameters
    try:
        runs, is_pruned = runner._run_attempt(spec)
        event = Event("pruned" if is_pruned else "done", spec.trial_id, spec.attempt, runs=runs)
    except (keras_tuner.errors.FatalError, KTSuiteError) as error:
        event = Event("failed", spec.trial_id, spec.attempt, message=traceback.format_exc(), error=error)
    except Exception as error:
        is_final = isinstance(error, keras_tuner.errors.FailedTrialError)
        event = Event("failed", spec.trial_id, spec.attempt, message=traceback.format_exc(), is_final=is_final)
    event.hyperparameters, event.used = hp.get_config(), dict(hp.used)
    return event


def memory_in_use() -> int:
    """Returns the resident memory of this process in bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def leave_with(parent: int) -> None:
    """Has this process end within a second of its parent's death, whatever training is doing."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(descriptor: int, driver: int) -> None:
    """Serves attempts until the pipe closes.

    Args:
        descriptor: File descriptor of the pipe.
        driver: Process id of the driver.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business
    leave_with(driver)
    connection = Connection(descriptor)
    try:
        _serve(connection)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _serve(connection: Connection) -> None:
    search_path, payload = connection.recv()
    sys.path[:] = search_path
    import cloudpickle

    serve(connection, cloudpickle.loads(payload))


def serve(connection: Any, runner: Any) -> None:
    """Trains the attempts that come through a connection, one after the other, until it closes.

    Args:
        connection: Has ``send``, ``recv`` and ``poll``, like a pipe.
        runner: The shipped tuner.
    """
    import cloudpickle

    from kt_suite.executors.shared_data import unpack

    runner._fit_args, runner._fit_kwargs = unpack(runner._fit_args), unpack(runner._fit_kwargs)
    link = Link(connection)
    runner._begin_attempts(link.report, link.should_stop)
    gc.freeze()  # collecting what one trial has left must not look through all of TensorFlow: 40 ms a trial
    connection.send(("ready",))
    while True:
        kind, *rest = connection.recv()
        if kind != "run":
            continue
        link.begin()
        spec = cloudpickle.loads(rest[0])
        runner.oracle.trials[spec.trial_id] = spec.trial
        event = run_attempt(runner, spec)
        runner.oracle.trials.clear()
        connection.send(("event", cloudpickle.dumps(event), memory_in_use()))
