"""Embeddings, side by side and alone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.rules.embedding import _look_up
from kt_suite.executors.fused.stack import Stack
from kt_suite.testing import assert_trains_alike

layers = keras.layers
WORDS = np.random.default_rng(0).integers(0, 5, size=(7, 3)).astype("float64")


def _model(table: Any, optimizer: Any) -> Any:
    model = keras.Sequential([keras.Input((3,)), *table, layers.GlobalAveragePooling1D(), layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


def test_members_with_sizes_of_their_own_train_as_alone(rows: Any) -> None:
    models = [_model([layers.Embedding(5, size)], keras.optimizers.SGD(size / 9, momentum=0.5)) for size in (4, 2)]
    assert_trains_alike(models, WORDS, rows(1))


def test_words_that_repeat_add_up_before_an_optimizer_squares(rows: Any) -> None:
    one_hot = [layers.CategoryEncoding(num_tokens=5, output_mode="one_hot"), layers.Dense(2, use_bias=False)]
    wanted, model = _model(one_hot, "adam"), _model([layers.Embedding(5, 2)], "adam")
    model.set_weights(wanted.get_weights())
    stack = Stack([Member(model, 0)], Data(WORDS, rows(1)), Options(batch_size=4, shuffle=None))
    for _ in range(3):
        stack.train_epoch()
    wanted.run_eagerly = True
    wanted.fit(WORDS, rows(1), batch_size=4, epochs=3, shuffle=False, verbose=0)
    for own, other in zip(stack.weights(0), wanted.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-8, atol=1e-10)


def test_a_table_is_read_alike_for_shared_and_for_own_rows() -> None:
    table = np.random.default_rng(1).normal(size=(2, 5, 3))
    indices = WORDS.astype("int32")[None]
    shared = np.asarray(_look_up(table, indices))
    np.testing.assert_array_equal(shared, np.stack([own[indices[0]] for own in table]))
    np.testing.assert_array_equal(np.asarray(_look_up(table, np.repeat(indices, 2, axis=0))), shared)


def test_an_index_beyond_the_table_does_not_reach_the_neighbours() -> None:
    table = np.ones((2, 5, 3))
    found = np.asarray(_look_up(table, np.array([[[5, 0]], [[-1, 4]]], "int32")))
    assert np.isnan(found[:, 0]).tolist() == [[[True] * 3, [False] * 3]] * 2
