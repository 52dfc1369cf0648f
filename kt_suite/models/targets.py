"""What is learned: the task, and the output layer, loss and metrics that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kt_suite.errors import InputError, rule

TASKS = ("multiclass", "binary", "multilabel", "regression")
TARGET_SCALE = "target_scale"
TARGET_SLOPE = "target_slope"


@dataclass(frozen=True)
class Target:
    """A task with its number of outputs.

    Attributes:
        task: One of ``TASKS``.
        num_outputs: Classes, labels or quantities; 1 for a binary target.
        one_hot: Whether classes come as rows of probabilities (one-hot, or soft) instead of integers.
    """

    task: str
    num_outputs: int
    one_hot: bool = False

    @property
    def objective(self) -> str:
        """The metric to rank trials by."""
        return "val_root_mean_squared_error" if self.task == "regression" else "val_accuracy"

    def loss(self) -> Any:
        """Returns a new loss."""
        if self.task == "regression":
            return keras.losses.MeanSquaredError()
        if self.task == "multiclass":
            return (
                keras.losses.CategoricalCrossentropy() if self.one_hot else keras.losses.SparseCategoricalCrossentropy()
            )
        return keras.losses.BinaryCrossentropy()

    def metrics(self) -> list[Any]:
        """Returns new metrics: ``accuracy`` for classes, errors in units of the target for regression."""
        if self.task == "regression":
            return [keras.metrics.RootMeanSquaredError(), keras.metrics.MeanAbsoluteError()]
        if self.task == "multiclass":
            kind = keras.metrics.CategoricalAccuracy if self.one_hot else keras.metrics.SparseCategoricalAccuracy
            return [kind(name="accuracy")]
        return [keras.metrics.BinaryAccuracy(name="accuracy")]

    def output(self, x: Any) -> Any:
        """Returns the output for the features ``x`` of shape ``(batch, d)``: ``(batch, num_outputs)``.

        Probabilities for classes. For regression the last layer learns standardised targets, whatever their
        units: ``target_scale``, whose mean and variance are weights, turns ``z`` into the prediction ``m + s
        z``, and the gradient is taken as if it were ``z / s``. Then the gradient of the squared error is ``2
        (z - (y - m) / s)``, so that the same learning rates and penalties suit targets in grams and in tons,
        while predictions, loss and metrics stay in units of ``y``.
        """
        if self.task != "regression":
            activation = "softmax" if self.task == "multiclass" else "sigmoid"
            return keras.layers.Dense(self.num_outputs, activation=activation, dtype="float32", name="output")(x)
        z = keras.layers.Dense(self.num_outputs, dtype="float32", name="output")(x)
        scaled = keras.layers.Normalization(invert=True, dtype="float32", name=TARGET_SCALE)(z)
        slope = keras.layers.Normalization(dtype="float32", name=TARGET_SLOPE)(z)
        return keras.ops.stop_gradient(scaled) + (slope - keras.ops.stop_gradient(slope))


def known_target(task: str | None, num_outputs: int | None, one_hot: bool) -> Target | None:
    """Returns the target that the arguments of a model determine, or ``None`` where data is needed.

    Raises:
        kt_suite.errors.InputError: They contradict each other.
    """
    if task is not None and task not in TASKS:
        raise InputError(rule("task", f"be one of {', '.join(TASKS)}", task))
    if num_outputs is not None and (type(num_outputs) is not int or num_outputs < 1):
        raise InputError(rule("num_outputs", "be a whole number >= 1", num_outputs))
    if one_hot and task not in (None, "multiclass"):
        raise InputError(rule("one_hot", "be False unless task is 'multiclass'", one_hot))
    if task == "binary":
        if num_outputs not in (None, 1):
            raise InputError(
                rule(
                    "num_outputs",
                    "be 1 for a binary target",
                    num_outputs,
                    "Use task='multiclass' for two classes.",
                )
            )
        return Target("binary", 1)
    if task is None or num_outputs is None:
        return None
    if task == "multiclass" and num_outputs == 1:
        raise InputError(rule("num_outputs", "be the number of classes, at least 2", num_outputs))
    return Target(task, num_outputs, one_hot)


def infer_target(labels: np.ndarray, *, task: str | None = None, num_outputs: int | None = None) -> Target:
    """Finds the target that fits ``labels``.

    Without ``task``, the first line that fits decides:

    1. ``(n,)`` of only 0 and 1, of any type: binary (multi-class if ``num_outputs`` says 2 or more);
    2. ``(n,)`` of integers: multi-class;
    3. ``(n,)`` of floats: regression;
    4. ``(n, k)`` of only 0 and 1, one 1 in each row: multi-class, one-hot;
    5. ``(n, k)`` of only 0 and 1: multi-label;
    6. ``(n, k)``: regression of ``k`` quantities.

    Args:
        labels: Finite numbers of shape ``(n,)`` or ``(n, k)``.
        task: One of ``TASKS``, to decide otherwise.
        num_outputs: The number of classes, where not all of them occur; checked against the labels.

    Raises:
        kt_suite.errors.InputError: The labels do not fit; the message says how to mend them.
    """
    task = task or _guess_task(labels, num_outputs)
    if task == "multiclass":
        target = _multiclass(labels, num_outputs)
    elif task == "regression":
        target = Target(task, 1 if labels.ndim == 1 else labels.shape[1])
    else:
        is_flat = task == "binary"
        if (labels.ndim == 1) != is_flat:
            shape = "(n,)" if is_flat else "(n, k), one column for each label"
            raise InputError(rule("y", f"have shape {shape} for task={task!r}", labels.shape))
        if not _is_zero_one(labels):
            remedy = "Compare it with the positive class, such as y = (y == y.max()).astype(int)." if is_flat else ""
            raise InputError(rule("y", f"hold only 0 and 1 for task={task!r}", _sample(labels), remedy))
        target = Target(task, 1 if is_flat else labels.shape[1])
    if num_outputs not in (None, target.num_outputs):
        raise InputError(
            rule(
                "num_outputs",
                f"be {target.num_outputs} for y of shape {labels.shape} and task={task!r}",
                num_outputs,
            )
        )
    return target


def _guess_task(labels: np.ndarray, num_outputs: int | None) -> str:
    if _is_zero_one(labels):
        if labels.ndim == 1:
            return "binary" if num_outputs in (None, 1) else "multiclass"
        return "multiclass" if np.all(labels.sum(axis=1) == 1) else "multilabel"
    if labels.ndim == 1 and labels.dtype.kind in "biu":
        return "multiclass"
    return "regression"


def _multiclass(labels: np.ndarray, num_outputs: int | None) -> Target:
    if labels.ndim == 2:
        sums = labels.sum(axis=1, dtype=np.float64)
        if labels.min() < 0 or np.abs(sums - 1).max() > 1e-3:
            must = "hold in each row one 1, or probabilities that sum to 1, for task='multiclass'"
            raise InputError(rule("y", must, f"sums {_sample(sums)}", "Use task='multilabel' for independent labels."))
        return Target("multiclass", labels.shape[1], one_hot=True)
    classes = np.unique(labels)
    fix = "Renumber them: classes, y = np.unique(y, return_inverse=True)"
    fix += ", or use task='regression' if y is a quantity."
    if np.any(classes != np.floor(classes)) or classes[0] < 0:
        raise InputError(rule("y", "hold classes 0, 1, ... for task='multiclass'", _sample(labels), fix))
    num_classes = int(classes[-1]) + 1
    if num_outputs is not None:
        if num_classes > num_outputs:
            raise InputError(rule("y", f"hold classes below num_outputs, {num_outputs}", num_classes - 1, fix))
        return Target("multiclass", num_outputs)
    if len(classes) < 2:
        raise InputError(
            rule("y", "hold at least two classes", _sample(labels), "Give num_outputs if others may come.")
        )
    if len(classes) < num_classes:
        must = f"hold every class from 0 to {num_classes - 1}"
        remedy = f"{fix[:-1]} Or give num_outputs={num_classes} if classes are missing in this data only."
        missing = num_classes - len(classes)
        raise InputError(rule("y", must, f"{_sample(labels)}, {missing} missing", remedy))
    return Target("multiclass", num_classes)


def _is_zero_one(labels: np.ndarray) -> bool:
    return bool(np.all((labels == 0) | (labels == 1)))


def _sample(labels: np.ndarray) -> str:
    """Names up to five of the values, for errors."""
    values = np.unique(labels)
    return ", ".join(f"{value:g}" for value in values[:5].astype(float)) + (", ..." if len(values) > 5 else "")
