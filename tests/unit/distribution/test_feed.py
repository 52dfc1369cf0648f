from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from kt_suite.distribution import make_strategy
from kt_suite.distribution.feed import Feed

ROWS = np.arange(11, dtype="float32").reshape(-1, 1)


def feed(strategy: Any, x: Any = ROWS, **options: Any) -> Feed:
    settings = {"batch_size": 4, "steps": None, "shuffle": False, "seed": 3, **options}
    return Feed(x, strategy=strategy, **settings)


def epochs(one: Feed, strategy: Any, number: int = 1, size: int = 1) -> list[list[list[float]]]:
    """Returns what each replica gets, for each batch of each epoch."""
    found = []
    for _ in range(number):
        iterator = one.begin_epoch()
        batches = []
        for _, count in one.executions(size):
            for _ in range(count):
                parts = strategy.experimental_local_results(next(iterator))
                batches.append([part.numpy().ravel().tolist() for part in parts])
        found.append(batches)
    return found


def whole(epoch: list[list[list[float]]]) -> list[list[float]]:
    return [list(itertools.chain(*batch)) for batch in epoch]


@pytest.fixture(scope="module")
def mirrored() -> Any:
    return make_strategy("mirrored")


def test_replicas_share_each_batch_and_the_partial_one(mirrored: Any) -> None:
    assert epochs(feed(mirrored), mirrored) == [[[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9], [10]]]]


def test_a_replica_may_get_nothing(mirrored: Any) -> None:
    assert epochs(feed(mirrored, ROWS[:5]), mirrored) == [[[[0, 1], [2, 3]], [[4], []]]]


@pytest.mark.parametrize("shuffle", [True, "batch"])
def test_every_sample_comes_once_an_epoch_in_an_order_of_its_own(mirrored: Any, shuffle: Any) -> None:
    first, second = map(whole, epochs(feed(mirrored, shuffle=shuffle), mirrored, 2))
    assert sorted(itertools.chain(*first)) == sorted(itertools.chain(*second)) == ROWS.ravel().tolist()
    assert first != second
    assert [len(batch) for batch in first] == [4, 4, 3]
    if shuffle == "batch":
        assert [sorted(batch) for batch in first] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]


def test_the_order_is_the_seeds_and_does_not_depend_on_the_replicas(mirrored: Any) -> None:
    def order(strategy: Any, seed: int) -> list[list[float]]:
        return whole(epochs(feed(strategy, shuffle=True, seed=seed), strategy)[0])

    alone = tf.distribute.get_strategy()
    assert order(mirrored, 3) == order(alone, 3) != order(alone, 4)


def test_steps_of_an_epoch_go_through_the_data() -> None:
    alone = tf.distribute.get_strategy()
    found = epochs(feed(alone, batch_size=3, steps=2), alone, 2)
    assert [len(epoch) for epoch in found] == [2, 2]
    assert whole(found[0]) + whole(found[1]) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10]]


def test_too_many_steps_are_cut_short_with_a_warning() -> None:
    alone = tf.distribute.get_strategy()
    with pytest.warns(UserWarning, match="ran out before steps_per_epoch"):
        assert [len(epoch) for epoch in epochs(feed(alone, batch_size=4, steps=5), alone)] == [3]


def test_several_steps_at_one_go_end_with_the_epoch() -> None:
    one = feed(tf.distribute.get_strategy(), batch_size=3)
    one.begin_epoch()
    assert list(one.executions(3)) == [(0, 3), (3, 1)]


def test_the_length_of_a_data_set_is_learnt() -> None:
    alone = tf.distribute.get_strategy()
    rows = tf.data.Dataset.from_tensor_slices(ROWS).filter(lambda row: row[0] < 6).batch(4)
    one = feed(alone, rows, batch_size=None)
    assert one.num_batches is None
    one.begin_epoch()
    executions = one.executions(1)
    assert [next(executions) for _ in range(3)] == [(0, 1), (1, 1), (2, 1)]
    one.run_out(1)
    assert one.num_steps == 2
