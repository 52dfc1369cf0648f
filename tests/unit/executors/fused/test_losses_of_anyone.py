"""Losses and metrics that a user has written: fused where they judge each row by itself, else refused."""

from __future__ import annotations

import contextlib
import inspect
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.rowwise import obstacle_of_metric
from kt_suite.executors.fused.stack import Stack
from kt_suite.executors.fused.unfusable import Unfusable

pytestmark = pytest.mark.usefixtures("without_tracing")


def model(loss: Any, metrics: Any = None, units: int = 4, outputs: int = 2) -> Any:
    hidden = keras.layers.Dense(units, "tanh")
    made = keras.Sequential([keras.Input((6,)), hidden, keras.layers.Dense(outputs)])
    made.compile("sgd", loss, metrics=metrics)
    return made


def stack_of(*models: Any, y: Any = None) -> Stack:
    x, y = np.ones((9, 6)), np.ones((9, models[0].output_shape[-1])) if y is None else y
    return Stack([Member(one, 0) for one in models], Data(x, y), Options(batch_size=4, xla=False))


def squares(true: Any, predicted: Any) -> Any:
    return ops.mean(ops.square(true - predicted), -1)


class Tilted(keras.losses.Loss):  # type: ignore[misc]
    """Has a number that its configuration leaves out."""

    def __init__(self, tilt: float) -> None:
        super().__init__()
        self.tilt = np.array([tilt, 1.0])

    def call(self, true: Any, predicted: Any) -> Any:
        return squares(true, predicted) * (1 + self.tilt[0] * ops.cast(predicted[:, 0] > true[:, 0], predicted.dtype))


class Capped(keras.losses.Huber):  # type: ignore[misc]
    """Changes what Keras' own computes."""

    def call(self, true: Any, predicted: Any) -> Any:
        return ops.minimum(super().call(true, predicted), 0.3)


class Reduced(keras.losses.Loss):  # type: ignore[misc]
    """Reduces by itself."""

    def call(self, true: Any, predicted: Any) -> Any:
        return squares(true, predicted)

    def __call__(self, true: Any, predicted: Any, sample_weight: Any = None) -> Any:
        return ops.max(squares(true, predicted))


class Largest(keras.metrics.Metric):  # type: ignore[misc]
    """The largest error; heeds weights if asked to."""

    def __init__(self, heeds: bool = True) -> None:
        super().__init__(name="largest")
        self.heeds = heeds
        self.largest = self.add_variable((), "zeros")

    def update_state(self, true: Any, predicted: Any, sample_weight: Any = None) -> None:
        errors = ops.max(ops.abs(true - predicted), -1)
        if sample_weight is not None and self.heeds:
            errors = errors * ops.cast(sample_weight > 0, errors.dtype)
        self.largest.assign(ops.maximum(self.largest, ops.max(errors)))

    def result(self) -> Any:
        return self.largest + 0.0


class Batches(Largest):
    """A mean of means of batches."""

    def update_state(self, true: Any, predicted: Any, sample_weight: Any = None) -> None:
        self.largest.assign((self.largest + ops.mean(squares(true, predicted))) / 2)


class Unweighted(Largest):
    """Takes no weights."""

    def update_state(self, true: Any, predicted: Any) -> None:
        super().update_state(true, predicted)


class Hidden(Largest):
    """Keeps a number in Python."""

    seen = 0.0

    def update_state(self, true: Any, predicted: Any, sample_weight: Any = None) -> None:
        super().update_state(true, predicted, sample_weight)
        self.seen += 1.0

    def result(self) -> Any:
        return self.largest + 0.1 * self.seen


class Lasting(Largest):
    """Is never emptied."""

    def reset_state(self) -> None:
        pass


class Fraction(keras.metrics.MeanMetricWrapper):  # type: ignore[misc]
    """A mean over rows of a function of anyone's."""

    def __init__(self, limit: float) -> None:
        super().__init__(lambda true, predicted: ops.cast(ops.abs(true - predicted)[:, 0] < limit, "float64"), "near")


def factory(share: float) -> Any:
    return lambda true, predicted: share * squares(true, predicted)


def log_softmax(true: Any, predicted: Any) -> Any:
    highest = ops.max(predicted, -1, keepdims=True)
    return ops.logsumexp(predicted - highest, -1) + (highest - predicted)[:, 0]


def test_losses_and_metrics_of_one_row_train_as_alone(assert_equals_fit: Any, rows: Any) -> None:
    x, _ = rows
    losses = [squares, factory(0.7), log_softmax, Tilted(0.5), Capped(0.2)]  # one an output
    y = [np.random.default_rng(seed).normal(size=(len(x), 2)) for seed in range(len(losses))]

    def build(units: int) -> Any:
        inputs = keras.Input((6,))
        hidden = keras.layers.Dense(units, "tanh")(inputs)
        made = keras.Model(inputs, [keras.layers.Dense(2, name=f"output_{index}")(hidden) for index in range(5)])
        made.compile("sgd", losses, metrics=[[Fraction(0.5), squares, Largest()], *([] for _ in losses[1:])])
        return made

    held_out = (x[:7], [own[:7] for own in y])
    assert_equals_fit(build, (5, 3), x, y, validation=held_out, epochs=1)


def baseline(true: Any, predicted: Any) -> Any:
    return ops.mean(ops.square(true - predicted + ops.mean(predicted)), -1)


def spread(true: Any, predicted: Any) -> Any:
    return squares(true, predicted) / (1.0 + ops.mean(ops.std(predicted, axis=0)))


def hardest(true: Any, predicted: Any) -> Any:
    losses = squares(true, predicted)
    return losses * ops.cast(losses >= ops.mean(losses), losses.dtype)


def seldom(true: Any, predicted: Any) -> Any:
    return squares(true, predicted) * ops.where(ops.mean(predicted) > 100.0, 2.0, 1.0)


def of_place(true: Any, predicted: Any) -> Any:
    return squares(true, predicted) * ops.cast(ops.arange(ops.shape(predicted)[0]) + 1, predicted.dtype)


def of_size(true: Any, predicted: Any) -> Any:
    return squares(true, predicted) / ops.cast(ops.shape(predicted)[0], predicted.dtype)


def one_number(true: Any, predicted: Any) -> Any:
    return ops.mean(ops.square(true - predicted))


def undefined(true: Any, predicted: Any) -> Any:
    return ops.log(squares(true, predicted) * 0 - 1.0)


def broken(true: Any, predicted: Any) -> Any:
    return np.asarray(predicted)[:, 7]


STEP = keras.Variable(1.0)


def annealed(true: Any, predicted: Any) -> Any:
    return squares(true, predicted) * ops.cast(STEP, predicted.dtype)


REFUSED = [
    (baseline, "by what else is in its batch"),
    (spread, "by what else is in its batch"),
    (hardest, "by what else is in its batch"),
    (seldom, "by what else is in its batch"),
    (of_place, "by what else is in its batch"),
    (of_size, "by what else is in its batch"),
    (one_number, "returns one number a batch"),
    (undefined, "no finite numbers"),
    (broken, "cannot be tried on rows made up"),
    (annealed, "keeps variables"),
]


@pytest.mark.parametrize(("function", "reason"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_functions_that_let_rows_meet_say_why_they_are_not_fused(function: Any, reason: str) -> None:
    with pytest.raises(Unfusable, match=f"the loss '{function.__name__}' .*{reason}"):
        stack_of(model(function))
    with pytest.raises(Unfusable, match=f"the metric '{function.__name__}' .*{reason}"):
        stack_of(model("mse", [function]))


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (Reduced(), "has a __call__ of its own: override call"),
        (keras.losses.MeanSquaredError(reduction=None), "has reduction=None"),
        (keras.losses.SparseCategoricalCrossentropy(ignore_class=1), "has an ignore_class"),
        (keras.losses.Circle(), "by what else is in its batch"),
        (keras.losses.Dice(), "returns one number a batch"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_losses_that_a_stack_cannot_compute_say_why(loss: Any, reason: str) -> None:
    y = np.ones(9) if isinstance(loss, keras.losses.Circle) else None
    with pytest.raises(Unfusable, match=reason):
        stack_of(model(loss), y=y)


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (lambda: Largest(heeds=False), "counts rows of weight 0"),
        (Batches, "counts rows of weight 0"),
        (Unweighted, "cannot be tried on rows made up"),
        (Hidden, "outside of its variables"),
        (Lasting, "is not emptied by its reset_state"),
        (lambda: keras.metrics.R2Score(num_regressors=2, name="largest"), "counts rows of weight 0"),
    ],
)
def test_metrics_that_filled_batches_would_change_say_why(metric: Any, reason: str) -> None:
    with pytest.raises(Unfusable, match=f"the metric 'largest' .*{reason}"):
        stack_of(model("mse", [metric()]))


def test_losses_that_keep_other_numbers_are_no_group() -> None:
    with pytest.raises(Unfusable, match="differ"):
        stack_of(model(Tilted(0.5)), model(Tilted(0.7)))


class Builder:
    """Has a loss that reads what each build sets anew."""

    def build(self, tilt: float) -> Any:
        self.tilt = tilt
        return model(self.loss)

    def loss(self, true: Any, predicted: Any) -> Any:
        return squares(true, predicted) * self.tilt


def test_a_loss_that_reads_what_has_changed_since_is_refused() -> None:
    from kt_suite.executors.fused.skeleton import skeleton

    builder = Builder()
    first = builder.build(0.5)
    key = skeleton(first)
    stack_of(first)
    assert skeleton(builder.build(0.7)) != key
    with pytest.raises(Unfusable, match="have changed since"):
        stack_of(first)


class Halved(keras.constraints.MaxNorm):  # type: ignore[misc]
    """Is no longer what Keras' own is."""

    def __call__(self, value: Any) -> Any:
        return super().__call__(value) / 2


def test_a_constraint_of_anyones_is_refused() -> None:
    made = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2, kernel_constraint=Halved())])
    made.compile("sgd", "mse")
    with pytest.raises(Unfusable, match="has a constraint of its own on kernel"):
        stack_of(made)


@pytest.mark.slow
def test_keras_own_metrics_pass_what_is_asked_of_anyones(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are trusted untried; those with arguments that must be given are left out."""
    monkeypatch.setattr("kt_suite.executors.fused.rowwise.is_keras", lambda thing: False)

    def obstacle(kind: Any, outputs: int) -> str | None:
        metric: Any = kind()
        metric.update_state(np.ones((3, outputs)), np.full((3, outputs), 0.5))
        return obstacle_of_metric(metric, kind, [keras.KerasTensor((None, outputs), "float64")] * 2)

    tried = []
    for name, kind in vars(keras.metrics).items():
        update = getattr(kind, "update_state", None)
        if update is not None and "y_true" in inspect.signature(update).parameters:
            verdicts = []
            for outputs in (1, 2):
                with contextlib.suppress(Exception):  # one that asks for arguments, or other shapes
                    verdicts.append(obstacle(kind, outputs))
            tried += [name] if verdicts else []
            assert not verdicts or None in verdicts, (name, verdicts)
    assert {"AUC", "Precision", "R2Score", "F1Score"} <= set(tried)
