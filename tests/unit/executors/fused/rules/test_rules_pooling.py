"""Stacked max-pooling, against Keras' own, where many entries are equal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kt_suite.executors.fused.context import Signal
from kt_suite.executors.fused.rules.pooling import MaxPoolingRule

POOLS = {
    "apart": (layers.MaxPooling2D(2), (4, 6)),
    "apart, a rest left over": (layers.MaxPooling2D((2, 3)), (5, 7)),
    "apart, of one axis": (layers.MaxPooling1D(3), (7,)),
    "overlapping": (layers.MaxPooling2D(3, strides=2), (5, 7)),
    "over the edge": (layers.MaxPooling2D(2, padding="same"), (5, 4)),
}


@pytest.mark.parametrize("name", POOLS)
def test_the_first_of_equal_entries_takes_the_gradient(name: str) -> None:
    layer, places = POOLS[name]
    x = tf.constant(np.random.default_rng(0).integers(0, 3, (2, 3, *places, 2)).astype("float32"))

    def slope(function: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            made = function(x)
            total = tf.reduce_sum(made * tf.reshape(tf.range(tf.size(made), dtype="float32"), made.shape))
        return made, tape.gradient(total, x)

    def keras_own(x: Any) -> Any:
        return tf.stack([layer(member) for member in tf.unstack(x)])

    stacked = slope(lambda x: MaxPoolingRule().call(None, SimpleNamespace(layer=layer), Signal(x)))  # type: ignore[arg-type]
    for found, expected in zip(stacked, slope(keras_own), strict=True):
        np.testing.assert_array_equal(found, expected)
