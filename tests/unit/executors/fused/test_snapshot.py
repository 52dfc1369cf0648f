"""The state of a member as a file: what it holds comes back in a stack and in a Keras model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.snapshot import Snapshot
from kt_suite.executors.fused.stack import Stack
from kt_suite.executors.fused.view import view_of
from kt_suite.executors.training import fused_state_path, load_state

_DATA = Data(*np.split(np.random.default_rng(0).normal(size=(24, 4)).astype("float32"), [3], axis=1))
_RATES = {"adam": keras.optimizers.Adam, "nadam": keras.optimizers.Nadam, "sgd": keras.optimizers.SGD}


def _build(optimizer: Any, width: int = 5) -> Any:
    keras.utils.set_random_seed(width)
    normalization = keras.layers.Normalization(mean=0.5, variance=2.0)
    layers = [normalization, keras.layers.Dense(width, "tanh"), keras.layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


def _stack(*members: Member) -> Stack:
    return Stack(members, _DATA, Options(batch_size=8, shuffle=None, xla=False))


@pytest.mark.parametrize("kind", list(_RATES))
def test_a_state_that_a_stack_leaves_goes_on_in_a_stack_and_in_a_model(kind: str, tmp_path: Path) -> None:
    optimizers = [_RATES[kind](0.01) for _ in range(4)]
    stack = _stack(Member(_build(optimizers[0]), 0), Member(_build(optimizers[1], 7), 1))
    stack.train_epoch()
    stack.set_number(0, "learning_rate", 0.003)
    stack.on_host(weights_only=False)(0).save(fused_state_path(tmp_path, 0))
    stack.write_back(0)
    left = stack.members[0].model

    inline = _build(optimizers[2])
    load_state(inline, tmp_path, 0)
    ours, theirs = ([*model.weights, *model.optimizer.variables] for model in (inline, left))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)

    again = _build(optimizers[3])
    start = Snapshot.read(fused_state_path(tmp_path, 0), view_of(again))
    assert start.rate == pytest.approx(0.003)
    again.optimizer.learning_rate = start.rate
    other_stack = _stack(Member(again, 0, start=start))
    stack.train_epoch()
    other_stack.train_epoch()
    for one, other in zip(other_stack.weights(0), stack.weights(0), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_a_state_keeps_what_bfloat16_rounds(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, dtype="bfloat16")])
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 10)), "mse")
    view = view_of(model)
    before = Snapshot.of(view)
    before.save(tmp_path / "state.npz")
    after = Snapshot.read(tmp_path / "state.npz", view)
    assert after.rate is None
    for one, other in zip(after.weights, before.weights, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
