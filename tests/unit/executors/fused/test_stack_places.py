"""Members come, go and diverge without their neighbours noticing."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from kt_suite.executors.fused import shards
from kt_suite.executors.fused.compiling import worth_moving
from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.stack import Stack

pytestmark = pytest.mark.usefixtures("without_tracing")


def model(units: int, rate: float = 0.05, seed: int = 0) -> Any:
    keras.utils.set_random_seed(seed)
    hidden = keras.layers.Dense(units, "tanh")
    made = keras.Sequential([keras.Input((6,)), hidden, keras.layers.Dense(3, "softmax")])
    made.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return made


def stack_of(models: list[Any], rows: Any, shuffle: str | None = None) -> Stack:
    members = [Member(one, seed) for seed, one in enumerate(models)]
    return Stack(members, Data(*rows, validation=rows), Options(batch_size=8, shuffle=shuffle, xla=False, epochs=4))


def losses(stack: Stack, epochs: int = 1) -> np.ndarray:
    return np.array([[logs["loss"] for logs in stack.train_epoch()] for _ in range(epochs)])


def test_a_member_that_diverges_never_touches_another(rows: Any) -> None:
    alone = losses(stack_of([model(4), model(5, seed=2)], rows), 3)
    wild = model(7, seed=1)
    wild.set_weights([np.full(one.shape, np.nan) for one in wild.get_weights()])
    together = losses(stack_of([model(4), wild, model(5, seed=2)], rows), 3)
    assert np.isnan(together[:, 1]).all()
    np.testing.assert_allclose(together[:, [0, 2]], alone, rtol=1e-8)


def test_members_that_leave_change_nothing_for_those_that_stay(rows: Any) -> None:
    whole = stack_of([model(4), model(5, seed=2), model(6, seed=3)], rows)
    expected = losses(whole, 3)[:, 1]
    stack = stack_of([model(4), model(5, seed=2), model(6, seed=3)], rows)
    first = losses(stack)[:, 1]
    stack.remove([0, 2])
    assert len(stack) == 1
    np.testing.assert_allclose([*first, *losses(stack, 2)[:, 0]], expected, rtol=1e-8)


@pytest.mark.parametrize("shuffle", [None, "shared"])
def test_a_member_that_joins_trains_as_from_the_start(rows: Any, shuffle: str | None) -> None:
    expected = losses(stack_of([model(6, seed=3)], rows, shuffle), 2)[:, 0]
    stack = stack_of([model(4), model(5, seed=2)], rows, shuffle)
    losses(stack)
    stack.add([Member(model(6, seed=3), 2)])
    np.testing.assert_allclose(losses(stack, 2)[:, 2], expected, rtol=1e-8)


@pytest.mark.parametrize("shuffle", [None, "shared"])
def test_a_member_goes_on_from_what_was_written_back(rows: Any, shuffle: str | None) -> None:
    expected = losses(stack_of([model(4)], rows, shuffle), 3)[1:, 0]
    trained = [model(5, seed=2), model(4)]
    stack = stack_of(trained, rows, shuffle)
    losses(stack)
    stack.write_back(1)
    written = trained[1]
    assert int(written.optimizer.iterations.numpy()) == 3
    np.testing.assert_allclose(losses(stack_of([written], rows, shuffle), 2)[:, 0], expected, rtol=1e-8)


def test_a_rate_that_is_set_acts_on_its_member_alone(rows: Any) -> None:
    stack = stack_of([model(4), model(4)], rows)
    stack.set_number(1, "learning_rate", 0.0)
    before = [one.copy() for one in stack.weights(1)]
    found = losses(stack, 2)
    assert stack.get_number(1, "learning_rate") == 0.0
    for one, other in zip(stack.weights(1), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert found[1, 0] < found[1, 1]


@pytest.mark.parametrize("shuffle", ["shared", "per_trial"])
def test_a_shuffled_epoch_takes_every_row_once(rows: Any, shuffle: str) -> None:
    x, y = rows
    models = [model(4, rate=0.0), model(4, rate=0.0)]
    expected = models[0].evaluate(x, y, verbose=0)
    found = losses(stack_of(models, rows, shuffle), 2)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_dropout_keeps_its_share_of_units_and_their_mean(rows: Any) -> None:
    x = np.ones((400, 50))
    rates = [0.1, 0.5, 0.8]

    def dropped(rate: float) -> Any:
        dense = keras.layers.Dense(50, use_bias=False, kernel_initializer="identity")
        made = keras.Sequential([keras.Input((50,)), dense, keras.layers.Dropout(rate)])
        made.compile(
            keras.optimizers.SGD(0.0),
            lambda true, predicted: keras.ops.mean(keras.ops.cast(predicted == 0, "float64"), axis=-1),
        )
        return made

    for seed in (0, 7):
        members = [Member(dropped(rate), seed + index) for index, rate in enumerate(rates)]
        shares = losses(Stack(members, Data(x, x), Options(batch_size=400, shuffle=None, xla=False)))[0]
        for share, rate in zip(shares, rates, strict=True):
            deviation = (rate * (1 - rate) / x.size) ** 0.5
            assert abs(share - rate) < 5 * deviation


@pytest.mark.parametrize("shuffle", ["shared", "per_trial"])
def test_it_does_not_matter_which_members_share_a_call(
    rows: Any, shuffle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def curves(size: int) -> Any:
        monkeypatch.setattr("kt_suite.executors.fused.stack.shard_size", lambda *_: size)
        models = [dropping(4, 0.3), dropping(5, 0.0), dropping(3, 0.6), dropping(4, 0.1), dropping(2, 0.2)]
        members = [
            Member(one, seed, np.arange(seed, 22), class_weight={0: 1.0 + seed}) for seed, one in enumerate(models)
        ]
        stack = Stack(members, Data(*rows, validation=rows), Options(batch_size=4, shuffle=shuffle, xla=False))
        logs = [stack.train_epoch(validate=True) for _ in range(2)]
        stack.remove([0, 3])
        logs.append(stack.train_epoch(validate=True))
        values = [value for epoch in logs for one in epoch for value in one.values()]
        return values, stack.predict(), [stack.weights(position) for position in range(len(stack))]

    for found, expected in zip(curves(2), curves(5), strict=True):
        for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-8)


def dropping(units: int, rate: float) -> Any:
    keras.utils.set_random_seed(units)
    hidden = [keras.layers.Dense(units, "tanh"), keras.layers.Dropout(rate)]
    made = keras.Sequential([keras.Input((6,)), *hidden, keras.layers.Dense(3, "softmax")])
    made.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def test_members_that_leave_free_calls_of_the_same_program(rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kt_suite.executors.fused.stack.shard_size", lambda *_: 2)
    stack = stack_of([model(4), model(7, seed=2), model(6, seed=3), model(5, seed=4), model(3, seed=5)], rows)
    program = stack._program
    assert len(stack._shards) == 3
    stack.remove([1, 2, 4])  # the widest among them
    assert len(stack._shards) == 1
    stack.set_number(0, "epsilon", 1e-5)
    assert stack._program is program


@pytest.mark.parametrize("pays", [False, True])
def test_members_left_on_few_places_move_to_a_smaller_program_where_that_pays(
    rows: Any, monkeypatch: pytest.MonkeyPatch, pays: bool
) -> None:
    monkeypatch.setattr("kt_suite.executors.fused.stack.shard_size", lambda _, __, count: shards.rounded(count))
    expected = losses(stack_of([model(4), model(5, seed=2)], rows), 4)
    stack = stack_of([model(4), *(model(7, seed=3 + index) for index in range(6)), model(5, seed=2)], rows)
    before = losses(stack)[:, [0, 7]]
    stack.remove(range(1, 7))
    assert stack._group.num_places == 8  # for those who may join
    asked: list[tuple[float, ...]] = []
    monkeypatch.setattr("kt_suite.executors.fused.stack.worth_moving", lambda *facts: asked.append(facts) or pays)
    after = losses(stack)
    assert asked[0][2:] == (3, 0.75)
    assert stack._group.num_places == (2 if pays else 8)
    stack.add([Member(model(6, seed=9), 9)])  # a wider program takes it in
    monkeypatch.setattr("kt_suite.executors.fused.stack.worth_moving", lambda *_: False)
    np.testing.assert_allclose([*before, *after, *losses(stack, 2)[:, :2]], expected, rtol=1e-8)


def test_a_smaller_program_pays_where_many_epochs_are_to_come() -> None:
    assert worth_moving(3.0, 0.5, 20, 0.75)
    assert not worth_moving(3.0, 0.5, 10, 0.75)
    assert not worth_moving(3.0, 0.5, 1000, 0.4)  # less than half: each size would be a program
    assert not worth_moving(3.0, 0.0, 1000, 0.75)  # not measured yet


def test_what_xla_has_compiled_is_used_to_the_end(rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kt_suite.executors.fused.stack.shard_size", lambda *_: 2)
    members = [Member(model(4, seed=seed), seed) for seed in range(4)]
    monkeypatch.setattr("kt_suite.executors.fused.stack.worth_compiling", lambda *_: True)
    stack = Stack(members, Data(*rows), Options(batch_size=8, epochs=4))
    program = stack._program
    assert program.xla
    monkeypatch.setattr("kt_suite.executors.fused.stack.worth_compiling", lambda *_: False)
    stack.remove([0, 1, 2])
    assert stack._program is program


def test_shards_touch_no_more_than_the_cache_holds(rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = stack_of([model(4)] * 2, rows)
    one = shards.step_bytes(stack._group, 8)
    weights, entries = 6 * 4 + 4 + 4 * 3 + 3, 4 + 3
    assert one == 8 * (4 * weights + 2 * 8 * entries)  # weights, gradients, two moments; activations twice
    monkeypatch.setattr(shards, "num_cores", lambda: 2)
    for times, size in ((0.5, 1), (1, 1), (3, 2), (9, 8), (100, 12)):
        monkeypatch.setattr(shards, "_BYTES", times * one)
        assert shards.shard_size(stack._group, 8, 20) == size
