"""One run of a trial by plain Keras: seeds, a callback that reports, the weights of the scored epoch."""

from __future__ import annotations

import contextlib
import copy
import gc
import inspect
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kt_suite.errors import InputError, rule
from kt_suite.objective import check_reported, scalars, to_loss
from kt_suite.trial import Decision, Report

CHECKPOINT = "checkpoint.weights.h5"
CHECKPOINTS = "checkpoint*.weights.h5"
STATES = "state_*"
BUILD_CONFIG = "build_config.json"
# A full collection takes as long as a tiny trial; models are freed soon enough by one every few runs.
_COLLECT_EVERY = 8
_builds = 0


class RunMonitor(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports each epoch, obeys the decision, and remembers the weights of the scored epoch.

    Weights are remembered in memory, and written once, after the run: an epoch that improves costs a copy, no file.

    Args:
        objective: The objective.
        which: ``"best"`` or ``"last"``: the epoch that counts.
        report: Takes the metrics of an epoch; returns a decision.
        run: Index of the run.
        attempt: Number of the attempt.
        requires_objective: Whether an epoch without the objective is an error at once.
        keeps_weights: Whether weights are remembered at all.
        should_stop: Asked after every batch; truth ends the run there.
        keep: Called with this monitor after every epoch, to leave what a retry could go on from.
    """

    acts_by_epoch = True  # its batch hook only looks at the clock

    def __init__(
        self,
        objective: Any,
        which: str,
        report: Callable[[Report], Decision],
        *,
        run: int = 0,
        attempt: int = 1,
        requires_objective: bool = False,
        keeps_weights: bool = True,
        should_stop: Callable[[], bool] | None = None,
        keep: Callable[[RunMonitor], None] | None = None,
    ) -> None:
        super().__init__()
        self.objective = objective
        self.which = which
        self.curve: list[dict[str, float]] = []
        self.first_epoch = 0
        self.is_pruned = False
        self.weights: list[np.ndarray] | None = None
        self.best_epoch: int | None = None
        self._best = np.inf
        self._report = report
        self.run = run
        self._attempt = attempt
        self._requires_objective = requires_objective
        self._keeps_weights = keeps_weights
        self._should_stop = should_stop
        self._keep = keep

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._should_stop is not None and self._should_stop():
            self.model.stop_training = self.is_pruned = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        metrics = scalars(logs or {})
        if self._requires_objective:
            check_reported(self.objective, metrics)
        if not self.curve:
            self.first_epoch = epoch
        self.curve.append(metrics)
        self._remember(metrics)
        if self._keep is not None:
            self._keep(self)  # before the report: a decision is waited for, and the process may die meanwhile
        if not self._goes_on(epoch, metrics):
            self.model.stop_training = True

    def _goes_on(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        decision = self._report(Report(self.run, epoch, metrics, time=time.time(), attempt=self._attempt))
        self.is_pruned = self.is_pruned or decision is not Decision.CONTINUE
        return not self.is_pruned

    def restore(
        self,
        first_epoch: int,
        curve: list[dict[str, float]],
        best_epoch: int | None,
        weights: list[np.ndarray] | None,
    ) -> None:
        """Takes up a run where another process left it, and reports its epochs again, as those of this attempt.

        Args:
            first_epoch: The epoch that the run began with.
            curve: Metrics of each epoch since.
            best_epoch: Index in ``curve`` of the epoch whose weights are remembered.
            weights: These weights.
        """
        self.first_epoch, self.curve = first_epoch, curve
        self.best_epoch, self.weights = best_epoch, weights
        if best_epoch is not None:
            self._best = to_loss(float(self.objective.get_value(curve[best_epoch])), self.objective.direction)
        all(self._goes_on(epoch, metrics) for epoch, metrics in enumerate(curve, first_epoch))

    def report_at_once(self, metrics: Mapping[str, float]) -> None:
        """Reports a training that knows no epochs, once it is done."""
        self.curve.append(dict(metrics))
        decision = self._report(Report(self.run, 0, metrics, time=time.time(), attempt=self._attempt))
        self.is_pruned = decision is not Decision.CONTINUE

    def _remember(self, metrics: Mapping[str, float]) -> None:
        if self.which == "last" or not self.objective.has_value(metrics):
            return
        loss = to_loss(float(self.objective.get_value(metrics)), self.objective.direction)
        if loss < self._best:
            self._best, self.best_epoch = loss, len(self.curve) - 1
            if self._keeps_weights:
                self.weights = [np.array(weight) for weight in self.model.get_weights()]


class TunerHooks(keras.callbacks.Callback):  # type: ignore[misc]
    """Calls the methods ``on_epoch_end`` and the like of a tuner that overrides them.

    Args:
        tuner: The tuner.
        trial: The trial that is trained.
    """

    acts_by_epoch = True  # a tuner that overrides the methods of batches is told apart

    def __init__(self, tuner: Any, trial: Any) -> None:
        super().__init__()
        self.tuner = tuner
        self.trial = trial

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.tuner.on_epoch_begin(self.trial, self.model, epoch, logs=logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.tuner.on_epoch_end(self.trial, self.model, epoch, logs=logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.tuner.on_batch_begin(self.trial, self.model, batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.tuner.on_batch_end(self.trial, self.model, batch, logs)


def fresh_keras(seed: int, *, collects: bool = True) -> None:
    """Clears what earlier models left behind, and seeds every generator that Keras draws from.

    Args:
        seed: The seed.
        collects: Whether earlier models are garbage, and worth a collection now and then.
    """
    global _builds
    keras.utils.clear_session(free_memory=False)
    if collects and _builds % _COLLECT_EVERY == _COLLECT_EVERY - 1:
        gc.collect()
    _builds += collects
    keras.utils.set_random_seed(seed)


def accepts(function: Callable[..., Any], name: str) -> bool:
    """Whether a function takes an argument ``name``."""
    parameters = inspect.signature(function).parameters.values()
    return any(one.name == name or one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)


def copy_callbacks(callbacks: Any) -> list[Any]:
    """Returns copies of the user's callbacks for one run.

    Args:
        callbacks: ``None``, one callback, a list of them, or a function without arguments that makes a list.
    """
    if is_factory(callbacks):
        return listed(callbacks())
    return [_copied(callback) for callback in listed(callbacks)]


def is_factory(callbacks: Any) -> bool:
    """Whether a run gets its callbacks from a function."""
    return callable(callbacks) and not isinstance(callbacks, keras.callbacks.Callback)


def listed(callbacks: Any) -> list[Any]:
    """Returns callbacks as a list: of ``None``, of one, or of several.

    Raises:
        InputError: Something else is among them.
    """
    found = [] if callbacks is None else list(callbacks) if isinstance(callbacks, Sequence) else [callbacks]
    for callback in found:
        if not isinstance(callback, keras.callbacks.Callback):
            raise InputError(rule("callbacks", "be keras.callbacks.Callback objects", callback))
    return found


def _copied(callback: Any) -> Any:
    try:
        return copy.deepcopy(callback)
    except Exception:  # a lock, a file, a socket: shared by the copies, while their own attributes stay apart
        warnings.warn(
            f"{type(callback).__name__} cannot be copied deeply: runs share what its attributes refer to. "
            "Pass callbacks=a function that returns a list, to have each run make its own.",
            stacklevel=2,
        )
        return copy.copy(callback)


@contextlib.contextmanager
def _without_optimizer(model: Any) -> Iterator[None]:
    optimizer, model.optimizer = getattr(model, "optimizer", None), None
    try:
        yield
    finally:
        model.optimizer = optimizer


def run_checkpoint(run: int) -> str:
    """Returns the name of the file of the weights of one run, where the weights of every run are kept."""
    return CHECKPOINTS.replace("*", f"_{run}")


def save_weights(
    model: Any, weights: Sequence[np.ndarray] | None, directory: str | Path, name: str = CHECKPOINT
) -> None:
    """Writes a model's weights (or ``weights`` in their place) as ``name`` in ``directory``."""
    if weights is not None:
        model.set_weights(weights)
    # The optimizer's state belongs to the last epoch, not to these weights: without it the file is honest, and a
    # third in size.
    with _without_optimizer(model):
        model.save_weights(Path(directory) / name)


def load_weights(model: Any, path: str | Path) -> None:
    """Reads what :func:`save_weights` wrote."""
    with _without_optimizer(model):
        model.load_weights(path)


def state_path(directory: str | Path, run: int) -> Path:
    """Returns the file that keeps the state of a run after its last epoch."""
    return Path(directory) / f"state_{run}.weights.h5"


def fused_state_path(directory: str | Path, run: int) -> Path:
    """Returns the file in place of it that a stack leaves, whose Keras models may have no variables."""
    return Path(directory) / f"state_{run}.npz"


def save_state(model: Any, path: str | Path) -> None:
    """Writes the weights of a model and its optimizer's state, as they are after the last epoch."""
    model.save_weights(path)


def load_state(model: Any, directory: str | Path, run: int) -> None:
    """Reads the state of a run after its last epoch, the optimizer's included, whatever has left it."""
    if (path := fused_state_path(directory, run)).exists():
        from kt_suite.executors.fused.snapshot import Snapshot
        from kt_suite.executors.fused.view import view_of

        view = view_of(model)
        Snapshot.read(path, view).write(view)
        return
    read_state(model, state_path(directory, run))


def read_state(model: Any, path: str | Path) -> None:
    """Reads what :func:`save_state` wrote, the optimizer's state included."""
    model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
