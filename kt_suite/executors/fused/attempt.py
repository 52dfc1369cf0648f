"""An attempt of a trial whose runs train in stacks."""

from __future__ import annotations

import contextlib
import traceback
from collections import defaultdict
from typing import Any

import keras
import keras_tuner
import numpy as np

from kt_suite.errors import KTSuiteError
from kt_suite.executors.base import Event, ReportHandler, TrialSpec
from kt_suite.executors.fused.callbacks import ModelProxy, RunCallbacks
from kt_suite.executors.fused.lazy import make_variables
from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.unfusable import Unfusable
from kt_suite.trial import Decision, Report


class Run:
    """One run of an attempt: a member of a stack, its callbacks and its learning curve.

    Args:
        attempt: The attempt.
        model: The Keras model, with the weights that training starts from.
        monitor: The run's ``RunMonitor``.
        arguments: Those of ``model.fit``, by name.
        member: The run as the stack knows it.
        group: What runs of one lane have in common, as a key; what they train on; and how.
        put_off: Variables of the model that are not made yet.

    Attributes:
        lane: The lane that trains it, with ``position`` in it; ``None`` before and after.
        best: Weights of the scored epoch, where they may be needed.
        is_over: Whether it has trained as far as it will.
        seconds: Its share of the time that its lanes have trained.
    """

    def __init__(
        self,
        attempt: Attempt,
        model: Any,
        monitor: Any,
        arguments: dict[str, Any],
        member: Member,
        group: tuple[Any, Data, Options],
        put_off: list[Any],
    ) -> None:
        self.attempt, self.model, self.monitor, self.member, self.group = attempt, model, monitor, member, group
        self.epoch = int(arguments.get("initial_epoch") or 0)
        self.epochs = int(arguments.get("epochs") or 1)
        self.validation_freq = arguments.get("validation_freq", 1)
        self.lane: Any = None
        self.position = -1
        self.best: list[np.ndarray] | None = None
        self.is_over = False
        self._arguments = arguments
        self._put_off = put_off
        self._logs: dict[str, Any] = {}
        self.seconds = 0.0

    @property
    def num_rows(self) -> int:
        """Rows of an epoch; 1 where they come in batches of a stream."""
        if self.member.rows is not None:
            return len(self.member.rows)
        first = keras.tree.flatten(self.group[1].x)[0]
        return len(first) if hasattr(first, "__len__") and hasattr(first, "dtype") else 1

    @property
    def callbacks(self) -> list[Any]:
        """All its callbacks, those of the tuner among them."""
        return list(keras.tree.flatten(self._arguments["callbacks"]))

    # What callbacks ask of the member

    def write_back(self) -> None:
        """Writes the member's weights and optimizer into the Keras model."""
        make_variables(self._put_off)
        if self.lane is not None:
            self.lane.stack.write_back(self.position)

    def load(self) -> None:
        """Has the member take weights and optimizer from the Keras model."""
        if self.lane is not None:
            self.lane.load(self)

    def weights(self) -> list[np.ndarray]:
        """Returns the member's weights."""
        if self.lane is None:
            make_variables(self._put_off)
            return list(self.model.get_weights())
        weights: list[np.ndarray] = self.lane.weights(self)
        return weights

    def get_rate(self) -> float:
        """Returns the member's learning rate."""
        if self.lane is None:
            return float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        return float(self.lane.stack.get_number(self.position, "learning_rate"))

    def set_rate(self, rate: float) -> None:
        """Sets the member's learning rate."""
        if self.lane is not None:
            self.lane.stack.set_number(self.position, "learning_rate", rate)

    # Training

    @property
    def is_validated(self) -> bool:
        """Whether the coming epoch is followed by a validation."""
        if self.group[1].validation is None:
            return False
        if isinstance(self.validation_freq, int):
            return (self.epoch + 1) % self.validation_freq == 0
        return self.epoch + 1 in self.validation_freq

    def begin(self, steps: int | None) -> None:
        """Starts training, once the run is in a lane."""
        self.model_proxy = ModelProxy(self.model, self)
        self.steps = steps
        self._callbacks = RunCallbacks(self.callbacks, self.model_proxy, self.epochs, steps)

    def begin_epoch(self) -> np.ndarray | None:
        """Begins an epoch; returns the learning rates that callbacks set before each batch, if they do."""
        self._callbacks.begin_epoch(self.epoch)
        return self._callbacks.learning_rates(self.steps)

    def end_epoch(self, logs: dict[str, Any]) -> None:
        """Takes the logs of an epoch: callbacks act, the epoch is reported, and the decision obeyed."""
        if not self.is_validated:
            logs = {name: value for name, value in logs.items() if not name.startswith("val_")}
        self._logs = logs
        self._callbacks.end_epoch(self.epoch, logs, (self.steps or 1) - 1)
        self.epoch += 1
        self.is_over = self.model_proxy.stop_training or self.epoch >= self.epochs

    @property
    def has_improved(self) -> bool:
        """Whether the last epoch is the best so far."""
        return bool(self.monitor.best_epoch == len(self.monitor.curve) - 1)

    def finish(self) -> None:
        """Ends training; what is needed of the member is taken out of its lane after this."""
        self.is_over = True
        self._callbacks.end(self._logs)
        self.monitor.seconds = self.seconds

    def cut_after(self, num_epochs: int) -> None:
        """Forgets what came after an epoch at which a decision has ended the run."""
        monitor = self.monitor
        monitor.curve = monitor.curve[:num_epochs]
        monitor.is_pruned = True
        if monitor.best_epoch is not None and monitor.best_epoch >= num_epochs:
            kept, monitor.curve = monitor.curve, []
            monitor._best, monitor.best_epoch = np.inf, None
            for metrics in kept:
                monitor.curve.append(metrics)
                monitor._remember(metrics)
        self.is_over = True

    def history(self) -> Any:
        """Returns the learning curve as ``model.fit`` does."""
        history = keras.callbacks.History()
        history.epoch = [self.monitor.first_epoch + index for index in range(len(self.monitor.curve))]
        history.history = {}
        for metrics in self.monitor.curve:
            for name, value in metrics.items():
                history.history.setdefault(name, []).append(value)
        return history


class Attempt:
    """The runs of one attempt, which train side by side but report one after the other, as they do inline.

    Reports of a run are held back until the run before it has ended, so that oracle, pruner and storage see the same
    whatever trains.

    Args:
        spec: The attempt.
        runner: A copy of the tuner that holds the attempt.
        report: Takes the metrics of an epoch; returns a decision.
    """

    def __init__(self, spec: TrialSpec, runner: Any, report: ReportHandler) -> None:
        self.spec, self.runner = spec, runner
        runner._begin_attempts(self.on_report)
        self.has_reported = False
        self.runs: list[Run] = []
        self.is_stopped = False
        self.error: BaseException | None = None
        self._handler = report
        self._current = 0
        self._held: dict[int, list[Report]] = defaultdict(list)

    @property
    def trial_id(self) -> str:
        """Id of the trial."""
        return self.spec.trial_id

    def on_report(self, trial_id: str, report: Report) -> Decision:
        """Hands a report on, or holds it back."""
        if report.run != self.runs[self._current].monitor.run:
            self._held[report.run].append(report)
            return Decision.CONTINUE
        return self._tell(report)

    def _tell(self, report: Report) -> Decision:
        self.has_reported = True
        decision = self._handler(self.trial_id, report)
        return Decision.STOP if self.is_stopped else decision

    def advance(self) -> None:
        """Turns to the next run where one has ended, and hands on what it has reported meanwhile."""
        while not self.is_over and self.runs[self._current].is_over:
            self._current += 1
            if self._current == len(self.runs):
                return
            run = self.runs[self._current]
            for index, report in enumerate(self._held.pop(run.monitor.run, [])):
                if self._tell(report) is not Decision.CONTINUE:
                    run.cut_after(index + 1)
                    break

    @property
    def is_pruned(self) -> bool:
        """Whether a decision has ended it."""
        return self._current < len(self.runs) and bool(self.runs[self._current].monitor.is_pruned)

    @property
    def is_over(self) -> bool:
        """Whether all runs have ended, or need not."""
        return self.error is not None or self._current == len(self.runs) or self.is_pruned

    @property
    def ended_runs(self) -> list[Run]:
        """The runs that count, once it is over."""
        return self.runs[: self._current + 1]

    def event(self) -> Event:
        """Returns how it ended.

        Raises:
            KTSuiteError, keras_tuner.errors.FatalError: Every other trial would end like this one.
        """
        with self.failing() as failure:
            if self.error is not None:
                raise self.error
            self.runner._monitors = [run.monitor for run in self.ended_runs]
            results = [run.history() for run in self.ended_runs]
            runs, is_pruned = self.runner._end_attempt(self.spec.trial, results)
            return Event("pruned" if is_pruned else "done", self.trial_id, self.spec.attempt, runs=runs)
        return failure[0]

    @contextlib.contextmanager
    def failing(self) -> Any:
        """Turns an exception of the user's code into the event of a failed attempt, put into the list it yields."""
        failure: list[Event] = []
        try:
            yield failure
        except (keras_tuner.errors.FatalError, KTSuiteError, Unfusable):
            raise
        except Exception as error:
            is_final = isinstance(error, keras_tuner.errors.FailedTrialError)
            message = traceback.format_exc()
            failure.append(Event("failed", self.trial_id, self.spec.attempt, message=message, is_final=is_final))
