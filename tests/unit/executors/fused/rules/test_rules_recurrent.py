"""Recurrent layers, side by side and alone."""

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


@pytest.mark.parametrize(
    "kind", [layers.SimpleRNN, *(pytest.param(kind, marks=pytest.mark.slow) for kind in (layers.LSTM, layers.GRU))]
)
def test_members_with_units_of_their_own_train_as_alone(compiled: Any, rows: Any, kind: Any) -> None:
    models = [
        compiled((3, 2), kind(units, activation, go_backwards=True), layers.Dense(1))
        for units, activation in ((4, "tanh"), (2, "sigmoid"))
    ]
    assert_trains_alike(models, rows(3, 2), rows(1))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"unroll": True}, {"return_sequences": True}])
@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_every_way_of_a_recurrent_layer(compiled: Any, rows: Any, kind: Any, options: Any) -> None:
    models = [compiled((3, 2), kind(units, **options), layers.Flatten(), layers.Dense(1)) for units in (4, 2)]
    assert_trains_alike(models, rows(3, 2), rows(1))


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
def test_xla_compiles_a_recurrent_layer(compiled: Any, rows: Any, kind: Any) -> None:
    models = [compiled((3, 2), kind(units), layers.Dense(1)) for units in (4, 2)]
    assert_trains_alike(models, rows(3, 2), rows(1), xla=True)


@pytest.mark.slow
def test_a_gru_that_resets_before_its_product(compiled: Any, rows: Any) -> None:
    models = [compiled((3, 2), layers.GRU(units, reset_after=False), layers.Dense(1)) for units in (4, 2)]
    assert_trains_alike(models, rows(3, 2), rows(1))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["concat", "mul"])
def test_both_ways_through_a_sequence(compiled: Any, rows: Any, mode: str) -> None:
    models = [
        compiled((3, 2), layers.Bidirectional(layers.GRU(units), merge_mode=mode), layers.Dense(1)) for units in (3, 2)
    ]
    assert_trains_alike(models, rows(3, 2), rows(1))


@pytest.mark.slow
def test_states_pass_from_layer_to_layer(compiled: Any, rows: Any) -> None:
    def build() -> Any:
        inputs = keras.Input((3, 2))
        _, hidden, carry = layers.LSTM(4, return_state=True)(inputs)
        sequence = layers.LSTM(4, return_sequences=True)(inputs, initial_state=[hidden, carry])
        model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(sequence)))
        model.compile("adam", "mse")
        return model

    assert_trains_alike([build(), build()], rows(3, 2), rows(1))


def test_the_same_layer_at_all_times(compiled: Any, rows: Any) -> None:
    models = [
        compiled((3, 2), layers.TimeDistributed(layers.Dense(units, activation)), layers.Flatten(), layers.Dense(1))
        for units, activation in ((4, "relu"), (2, "tanh"))
    ]
    assert_trains_alike(models, rows(3, 2), rows(1))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"dropout": 0.4}, {"recurrent_dropout": 0.4}])
@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_dropout_has_the_mean_and_spread_of_keras(in_training: Any, kind: Any, options: Any) -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3, 2)), kind(2, **options)])
    model.compile("adam", "mse")
    x = np.repeat(np.random.default_rng(0).normal(size=(1, 3, 2)), 500, axis=0)
    found, wanted = in_training([model, model], x), np.asarray(model(x, training=True))
    assert not np.array_equal(found[0], found[1])
    for own in found:
        np.testing.assert_allclose(own.mean(0), wanted.mean(0), atol=6 * wanted.std() / 500**0.5)
        np.testing.assert_allclose(own.std(0), wanted.std(0), rtol=0.25, atol=0.01)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (lambda: layers.LSTM(2, activation="softmax"), "softmax inside: use an activation that works entry by entry"),
        (lambda: layers.GRU(2, recurrent_activation=lambda x: x), "recurrent_activation of its own"),
        (lambda: layers.Bidirectional(layers.RNN(layers.LSTMCell(2))), "use LSTM, GRU or SimpleRNN"),
    ],
)
def test_what_cannot_be_fused_says_why(compiled: Any, rows: Any, layer: Any, reason: str) -> None:
    model = compiled((3, 2), layer(), layers.Dense(1))
    with pytest.raises(Unfusable, match=reason):
        Stack([Member(model, 0)], Data(rows(3, 2), rows(1)), Options())


def test_dropout_and_none_are_of_two_groups(compiled: Any, rows: Any) -> None:
    models = [compiled((3, 2), layers.LSTM(2, dropout=rate), layers.Dense(1)) for rate in (0.0, 0.5)]
    with pytest.raises(Unfusable, match="differ"):
        Stack([Member(model, 0) for model in models], Data(rows(3, 2), rows(1)), Options())
