"""Compiled by XLA, a stack still trains as ``model.fit`` does."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from keras import layers


@pytest.mark.slow
def test_xla_gives_the_same(assert_equals_fit: Any, images: Any) -> None:
    x, y = images

    def build(n: int) -> Any:
        hidden = [layers.Conv2D(n, 3, activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(2)]
        output = layers.Dense(3, activation="softmax")
        model = keras.Sequential([keras.Input((6, 5, 2)), *hidden, layers.Flatten(), output])
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    assert_equals_fit(build, (5, 3), x, y, xla=True, validation=(x[:5], y[:5]))
