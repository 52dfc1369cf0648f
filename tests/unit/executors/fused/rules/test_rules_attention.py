"""Attention and group normalization, side by side and alone."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
import pytest

from kt_suite.testing import assert_trains_alike

layers = keras.layers
_slow = functools.partial(pytest.param, marks=pytest.mark.slow)


def _model(width: int, attend: Any) -> Any:
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(attend(layers.Dense(width)(inputs)))))
    model.compile(keras.optimizers.SGD(0.05 / width), "mse")
    return model


def _one_of_each_kind(x: Any) -> Any:
    x = layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    return layers.GroupNormalization(2)(layers.Attention(use_scale=True)([x, x]))


@pytest.mark.parametrize(
    "attend",
    [
        _one_of_each_kind,
        pytest.param(
            lambda x: layers.MultiHeadAttention(2, 3, value_dim=2, use_bias=False, output_shape=5)(x, x),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda x: layers.MultiHeadAttention(2, 2, use_gate=True, sliding_window=2)(x, x), marks=pytest.mark.slow
        ),
        _slow(lambda x: layers.Attention(score_mode="concat", use_scale=True)([x, x])),
        _slow(lambda x: layers.GroupNormalization(1, scale=False)(x)),
    ],
)
def test_members_with_widths_of_their_own_train_as_alone(rows: Any, attend: Any) -> None:
    assert_trains_alike([_model(width, attend) for width in (4, 2)], rows(4, 3), rows(1))


def test_one_sequence_attends_to_another(rows: Any) -> None:
    def build(width: int) -> Any:
        first, second, mask = keras.Input((4, 3)), keras.Input((2, 3)), keras.Input((4, 2))
        query, value = layers.Dense(width)(first), layers.Dense(width + 1)(second)
        made = layers.MultiHeadAttention(2, 3)(query, value, attention_mask=mask)
        model = keras.Model([first, second, mask], layers.Dense(1)(layers.Flatten()(made)))
        model.compile("sgd", "mse")
        return model

    mask = np.stack([np.ones((7, 4)), rows(4) > 0], axis=-1).astype("float64")
    assert_trains_alike([build(4), build(2)], [rows(4, 3), rows(2, 3), mask], rows(1))


def test_dropped_weights_have_the_mean_and_spread_of_keras(in_training: Any) -> None:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4, 2))
    model = keras.Model(inputs, layers.MultiHeadAttention(1, 2, dropout=0.4)(inputs, inputs))
    model.compile("adam", "mse")
    x = np.repeat(np.random.default_rng(0).normal(size=(1, 4, 2)), 500, axis=0)
    found, wanted = in_training([model], x)[0], np.asarray(model(x, training=True))
    np.testing.assert_allclose(found.mean(0), wanted.mean(0), atol=6 * wanted.std() / 500**0.5)
    np.testing.assert_allclose(found.std(0), wanted.std(0), rtol=0.25, atol=0.01)
