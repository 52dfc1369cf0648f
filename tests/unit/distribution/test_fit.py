"""Our training loop against Keras's ``fit`` on one device, which is right by definition."""

from __future__ import annotations

import contextlib
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from kt_suite.distribution import Distribution, evaluate, fit, make_strategy
from kt_suite.distribution.loop import surpasses_keras, without_writers
from kt_suite.errors import InputError

# Sums in another order: a few units in the last place of float32, over a dozen steps.
TOLERANCE = 2e-6
RNG = np.random.default_rng(0)
X = RNG.normal(size=(37, 4)).astype("float32")
Y = RNG.integers(0, 3, 37)
WEIGHTS = RNG.uniform(size=37).astype("float32")
STRATEGIES = ["one_device:/cpu:1", "mirrored", "central_storage"]


def build(strategy: Any = None, steps_per_execution: int = 1, loss: Any = "sparse_categorical_crossentropy") -> Any:
    keras.utils.set_random_seed(1)
    with contextlib.nullcontext() if strategy is None else strategy.scope():
        layers = [
            keras.Input((4,)),
            keras.layers.Dense(5, "relu", kernel_regularizer="l2"),
            keras.layers.BatchNormalization(synchronized=True),
            keras.layers.Dense(3, "softmax"),
        ]
        model = keras.Sequential(layers)
        model.compile(
            keras.optimizers.Adam(0.03),
            loss,
            metrics=["accuracy"],
            weighted_metrics=["sparse_categorical_crossentropy"],
            steps_per_execution=steps_per_execution,
        )
    return model


def batches() -> Any:
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(12)


def of_unknown_length(value: Any) -> Any:
    return value.filter(lambda x, y: True) if isinstance(value, tf.data.Dataset) else value


# 37 samples in batches of 12: the last batch has one, and one of two replicas none.
CASES: dict[str, dict[str, Any]] = {
    "validation": {
        "x": X,
        "y": Y,
        "batch_size": 12,
        "class_weight": {0: 1.0, 1: 2.0, 2: 3.0},
        "validation_split": 0.3,
        "validation_freq": 2,
    },
    "weights": {
        "x": X,
        "y": Y,
        "batch_size": 12,
        "sample_weight": WEIGHTS,
        "initial_epoch": 1,
        "validation_data": (X[:5], Y[:5], WEIGHTS[:5]),
    },
    "steps": {"x": X, "y": Y, "batch_size": 12, "steps_per_epoch": 2},
    "dataset": {"x": batches, "validation_data": batches, "validation_steps": 2},
}

FAST = {("mirrored", "validation"), ("central_storage", "validation")}


def arguments(case: str) -> dict[str, Any]:
    made = {name: value() if callable(value) else value for name, value in CASES[case].items()}
    return {"epochs": 3, "shuffle": False, "verbose": 0, **made}


@cache
def reference(case: str) -> tuple[dict[str, list[float]], list[np.ndarray], dict[str, float]]:
    model = build()
    history = model.fit(**arguments(case)).history
    return history, model.get_weights(), model.evaluate(X, Y, batch_size=12, verbose=0, return_dict=True)


@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, marks=[] if (name, case) in FAST else pytest.mark.slow)
        for name in STRATEGIES
        for case in CASES
    ],
)
def test_weights_losses_and_metrics_are_those_of_one_device(name: str, case: str) -> None:
    history, weights, evaluated = reference(case)
    model = build(make_strategy(name), steps_per_execution=3 if case == "weights" else 1)
    # Keras counts an iteration too many at the end of a data set whose length it does not know.
    unknown = {key: of_unknown_length(value) for key, value in arguments(case).items()}
    ours = fit(model, **unknown).history
    assert list(ours) == list(history)
    for metric, curve in history.items():
        np.testing.assert_allclose(ours[metric], curve, rtol=0, atol=TOLERANCE, err_msg=metric)
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE)
    tested = evaluate(model, X, Y, batch_size=12, verbose=0, return_dict=True)
    assert tested == pytest.approx(evaluated, abs=TOLERANCE)
    assert float(model.metrics[0].result()) == pytest.approx(evaluated["loss"], abs=TOLERANCE)


class Noting(keras.callbacks.Callback):
    """Notes what is called, with all numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("on_") or name.startswith("on_predict"):
            return super().__getattribute__(name)

        def note(*args: Any, logs: Any = None) -> None:
            logs = args[-1] if args and isinstance(args[-1], dict) else logs
            numbers = {key: round(float(value), 4) for key, value in (logs or {}).items()}
            self.calls.append((name, *[arg for arg in args if isinstance(arg, int)], numbers))

        return note


def test_callbacks_are_called_as_keras_calls_them() -> None:
    theirs, ours = Noting(), Noting()
    settings = {"batch_size": 12, "epochs": 2, "shuffle": False, "verbose": 0, "validation_data": (X, Y)}
    build().fit(X, Y, callbacks=[theirs], **settings)
    fit(build(make_strategy("mirrored")), X, Y, callbacks=[ours], **settings)
    assert ours.calls == theirs.calls


def test_training_stops_where_a_callback_says_so() -> None:
    class Stopping(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 1

    noting = Noting()
    history = fit(build(), X, Y, batch_size=12, epochs=5, verbose=0, callbacks=[Stopping(), noting])
    assert len(history.history["loss"]) == 1
    assert [call[1] for call in noting.calls if call[0] == "on_train_batch_end"] == [0, 1]


@pytest.mark.slow
def test_losses_that_are_sums_stay_sums() -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(reduction="sum")
    settings = {"batch_size": 12, "epochs": 1, "shuffle": False, "verbose": 0}
    history = build(loss=loss).fit(X, Y, **settings).history
    ours = fit(build(make_strategy("mirrored"), loss=loss), X, Y, **settings).history
    assert ours["loss"] == pytest.approx(history["loss"], rel=1e-5)


def test_losses_that_cannot_be_divided_are_refused() -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight")
    with pytest.raises(InputError, match="The reduction of losses must be"):
        fit(build(loss=loss), X, Y, verbose=0)


@pytest.mark.slow
def test_averages_survive_a_replica_without_samples() -> None:
    strategy = make_strategy("mirrored")
    with strategy.scope():
        model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    fit(model, X, Y.astype("float32"), batch_size=12, verbose=0)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


class Own(keras.Sequential):
    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


def test_a_model_that_trains_in_its_own_way_is_left_to_keras_or_refused() -> None:
    mirrored = make_strategy("mirrored")
    model = Own([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    assert not surpasses_keras(model, mirrored)
    assert surpasses_keras(build(), mirrored)
    assert not surpasses_keras(build(), make_strategy("one_device:/cpu:1"))
    with pytest.raises(InputError, match=r"train_step and test_step must be keras\.Model's own"):
        fit(model, X, Y)


def test_a_model_must_be_compiled() -> None:
    with pytest.raises(InputError, match="must be compiled"):
        evaluate(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]), X, Y)


@pytest.mark.slow
def test_a_list_of_metrics_comes_in_the_order_of_their_names() -> None:
    model = build(make_strategy("mirrored"))
    assert evaluate(model, X, Y, verbose=0) == pytest.approx(build().evaluate(X, Y, verbose=0), abs=TOLERANCE)


def test_callbacks_that_write_files_are_the_chiefs() -> None:
    writers = [keras.callbacks.ModelCheckpoint("a.keras"), keras.callbacks.CSVLogger("a.csv")]
    stopping = keras.callbacks.EarlyStopping()
    assert without_writers([*writers, stopping]) == [stopping]
    assert not Path("a.csv").exists()


@pytest.mark.slow
def test_a_tuners_models_are_trained_by_us_where_keras_is_wrong() -> None:
    distribution = Distribution("mirrored")
    with distribution.current.scope():
        model = build(distribution.current)
    distribution.prepare(model)
    history, *_ = reference("validation")
    assert model.fit(**arguments("validation")).history["loss"] == pytest.approx(history["loss"], abs=TOLERANCE)
