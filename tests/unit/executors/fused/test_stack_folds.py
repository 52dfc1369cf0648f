"""Folds of unequal numbers of rows, and so of steps, train side by side as each does alone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

pytestmark = pytest.mark.usefixtures("without_tracing")

# In batches of 8: three steps, the last of one row; two, the last of four; and two whole ones.
FOLDS = [
    (np.arange(17), np.arange(17, 22)),
    (np.arange(10, 22), np.arange(9)),
    (np.arange(0, 16), np.array([21, 3])),
]


class Rate(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Changes at each step."""

    def __init__(self, start: float) -> None:
        self.start = start

    def __call__(self, step: Any) -> Any:
        return self.start / (1 + keras.ops.cast(step, "float64"))

    def get_config(self) -> dict[str, Any]:
        return {"start": self.start}


def build(units: int) -> Any:
    hidden = [layers.Dense(units, activation="tanh"), layers.BatchNormalization(momentum=0.6)]
    model = keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(1, activation="sigmoid")])
    metrics = ["accuracy", keras.metrics.AUC(name="area"), keras.metrics.R2Score(name="share")]
    model.compile(keras.optimizers.Adam(Rate(0.01 * units)), "binary_crossentropy", metrics=metrics)
    return model


def test_folds_of_other_numbers_of_steps_train_as_alone(assert_equals_fit: Any, rows: Any) -> None:
    x, classes = rows
    y = (classes[:, None] > 0).astype("float64")
    assert_equals_fit(build, (4, 3, 2), x, y, validation=(x, y), folds=FOLDS, batch_size=8)


@pytest.mark.slow
def test_folds_with_weights_clipping_and_penalties_train_as_alone(assert_equals_fit: Any, rows: Any) -> None:
    x, y = rows

    def build(units: int) -> Any:
        penalty = keras.regularizers.L2(0.01 * units)
        hidden = layers.Dense(units, activation="relu", kernel_regularizer=penalty, activity_regularizer=penalty)
        model = keras.Sequential([keras.Input((6,)), hidden, layers.Dense(3, activation="softmax")])
        optimizer = keras.optimizers.Nadam(0.01 * units, global_clipnorm=0.1)
        loss = keras.losses.SparseCategoricalCrossentropy(reduction="sum")
        model.compile(optimizer, loss, weighted_metrics=["accuracy"])
        return model

    weights = np.linspace(0.2, 2.0, len(x))
    assert_equals_fit(
        build, (5, 3), x, y, sample_weight=weights, validation=(x, y, weights), folds=FOLDS[:2], batch_size=8
    )
