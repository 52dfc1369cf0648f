"""Masks of times go as far as they go in Keras: through layers, up to losses and metrics."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.stack import Stack
from kt_suite.executors.fused.unfusable import Unfusable
from kt_suite.testing import assert_trains_alike

layers = keras.layers
# Seven rows of four words; no row is empty, and 0 stands for no word.
WORDS = np.array(
    [[1, 2, 0, 0], [3, 0, 0, 0], [4, 3, 2, 1], [2, 2, 3, 0], [1, 0, 4, 0], [0, 0, 2, 1], [0, 3, 3, 3]], "float64"
)


def words(*middle: Any, end: Any = None) -> Any:
    table = layers.Embedding(5, 4, mask_zero=True)
    model = keras.Sequential([keras.Input((4,)), table, *middle, *(end or [layers.Dense(1)])])
    model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"], weighted_metrics=["mse"])
    return model


POOLED = {
    "lstm": lambda n: [layers.LSTM(n)],
    "gru_backwards": lambda n: [layers.GRU(n, go_backwards=True)],
    "stacked": lambda n: [layers.SimpleRNN(n, return_sequences=True), layers.Dropout(0.0), layers.LSTM(n)],
    "bidirectional": lambda n: [layers.Bidirectional(layers.LSTM(n, return_sequences=True)), layers.GRU(2)],
    "pooled": lambda n: [layers.Dense(n, "tanh"), layers.GlobalAveragePooling1D()],
    "batch_normalization": lambda n: [layers.Dense(n), layers.BatchNormalization(), layers.GlobalAveragePooling1D()],
    "at_all_times": lambda n: [layers.TimeDistributed(layers.Dense(n, "tanh")), layers.GRU(n)],
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "pooled" else pytest.mark.slow) for name in POOLED]
)
def test_words_that_are_missing_are_passed_over(rows: Any, name: str) -> None:
    assert_trains_alike([words(*POOLED[name](n)) for n in (4, 2)], WORDS, rows(1))


def test_losses_and_metrics_count_the_times_that_are_there(rows: Any) -> None:
    models = [words(layers.Dense(n, "tanh"), layers.LayerNormalization(), end=[layers.Dense(2)]) for n in (4, 2)]
    assert_trains_alike(models, WORDS, rows(4, 2))


@pytest.mark.slow
def test_numbers_that_stand_for_no_time_are_passed_over(rows: Any) -> None:
    x = rows(4, 2)
    x[WORDS == 0] = -1.0

    def build(n: int) -> Any:
        masking = layers.Masking(-1.0)
        model = keras.Sequential([keras.Input((4, 2)), masking, layers.GRU(n), layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    assert_trains_alike([build(4), build(2)], x, rows(1))


ATTENDING = {
    "heads": lambda x: layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True),
    "products": lambda x: layers.Attention()([x, x]),
    "sums": lambda x: layers.Attention(score_mode="concat")([x, x], use_causal_mask=True),
    "maximum": lambda x: layers.Maximum()([x, layers.Dense(4)(x)]),
    "product": lambda x: layers.Multiply()([x, layers.Dense(4)(x)]),
    "sum": lambda x: layers.Add()([x, layers.Dense(4)(x)]),
    "joined": lambda x: layers.Concatenate()([x, layers.Dense(4)(x)]),
}


@pytest.mark.parametrize(
    "name", [*list(ATTENDING)[:1], *(pytest.param(name, marks=pytest.mark.slow) for name in list(ATTENDING)[1:])]
)
def test_branches_and_attention_heed_masks(rows: Any, name: str) -> None:
    def build(n: int) -> Any:
        inputs = keras.Input((4,))
        hidden = layers.Embedding(5, 4, mask_zero=True)(inputs)
        pooled = layers.GlobalAveragePooling1D()(ATTENDING[name](hidden))
        model = keras.Model(inputs, layers.Dense(1)(layers.Dense(n, "tanh")(pooled)))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        return model

    assert_trains_alike([build(4), build(2)], WORDS, rows(1))


class Pooled(layers.Layer):  # type: ignore[misc, name-defined]
    """Looks at the mask."""

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        return None

    def call(self, x: Any, mask: Any = None) -> Any:
        return keras.ops.mean(x, axis=1)


class Making(layers.Layer):  # type: ignore[misc, name-defined]
    """Makes a mask."""

    def call(self, x: Any) -> Any:
        return x

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        return keras.ops.any(x > 0, axis=-1)


@pytest.mark.parametrize(
    ("middle", "reason"),
    [
        (lambda: [Pooled()], "is given a mask of times"),
        (lambda: [Making(), layers.GRU(2)], "makes a mask of its own"),
        (lambda: [layers.Softmax(), layers.GRU(2)], "is given a mask of times"),
    ],
)
def test_what_cannot_be_fused_says_why(rows: Any, middle: Any, reason: str) -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Embedding(5, 4, mask_zero=Making not in map(type, middle()))])
    for layer in middle():
        model.add(layer)
    model.add(layers.Dense(1))
    model.compile("sgd", "mse")
    with pytest.raises(Unfusable, match=reason):
        Stack([Member(model, 0)], Data(WORDS, rows(1)), Options())


def test_weighted_rows_and_masked_times_do_not_go_together(rows: Any) -> None:
    model = words(layers.Dense(2))
    stack = Stack([Member(model, 0)], Data(WORDS, rows(4, 1), np.ones(7)), Options(batch_size=4, xla=False))
    with pytest.raises(Unfusable, match="give each time a weight"):
        stack.train_epoch()
