"""Layers that compute in half precision train side by side as alone, but for what rounding in it changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

pytestmark = pytest.mark.usefixtures("without_tracing")

# What one rounding changes at most, relatively.
EPSILON = {"mixed_bfloat16": 2.0**-8, "mixed_float16": 2.0**-11}


@pytest.fixture(autouse=True)
def _single_precision(_double_precision: None) -> Iterator[None]:
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")


def classifier(hidden: list[Any], shape: tuple[int, ...], optimizer: Any) -> Any:
    output = layers.Dense(3, activation="softmax", dtype="float32")
    model = keras.Sequential([keras.Input(shape), *hidden, output])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("policy", ["mixed_bfloat16"])
def test_dense_and_normalizing_layers(assert_equals_fit: Any, rows: Any, policy: str) -> None:
    x, y = rows[0].astype("float32"), rows[1]
    keras.config.set_dtype_policy(policy)

    def build(units: int) -> Any:
        hidden = [
            layers.Dense(units, activation="tanh"),
            layers.BatchNormalization(momentum=0.6),
            layers.Dense(units + 1, activation="gelu"),
            layers.LayerNormalization(),
            layers.Dropout(0.0),
        ]
        return classifier(hidden, (6,), keras.optimizers.Adam(0.002 * units))

    assert_equals_fit(build, (5, 3), x, y, validation=(x, y), epochs=2, tolerance=8 * EPSILON[policy])
