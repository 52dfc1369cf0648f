"""Width classes: what a program costs when padded, and which runs had better share one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import keras
import pytest

from kt_suite.executors.fused.view import view_of
from kt_suite.executors.fused.widths import operations, width_classes


def _run(*units: int, rows: int = 1000, epochs: int = 20) -> Any:
    layers = [keras.layers.Dense(width, "relu") for width in units]
    model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10)])
    model.compile("adam", "mse")
    return SimpleNamespace(model=model, num_rows=rows, epoch=0, epochs=epochs)


def test_a_dense_network_costs_its_weights_a_row() -> None:
    model = _run(16, 8).model
    assert operations(view_of(model)) == 64 * 16 + 16 + 16 * 8 + 8 + 8 * 10 + 10
    assert operations(view_of(model), [32, 8, None]) == 64 * 32 + 32 + 32 * 8 + 8 + 8 * 10 + 10


def test_weights_that_are_used_at_many_places_count_as_often() -> None:
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    x = keras.layers.Conv2D(5, 3, strides=2, padding="same")(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(x)))
    model.compile("sgd", "mse")
    assert operations(view_of(model)) == 64 * (9 * 4 + 4) + 16 * (9 * 4 * 5 + 5) + 16 * 5 + 1

    recurrent = keras.Sequential([keras.Input((7,)), keras.layers.Embedding(100, 3), keras.layers.LSTM(4)])
    recurrent.compile("sgd", "mse")
    assert operations(view_of(recurrent)) == 7 * 4 * (3 * 4 + 4 * 4 + 4)


def test_small_networks_share_one_program_whatever_their_widths() -> None:
    runs = [_run(width, 16) for width in (16, 48, 96, 144, 256)]
    assert width_classes(runs) == [runs]


@pytest.mark.parametrize("epochs", [2, 20, 200, 2000])
def test_the_classes_are_the_cheapest_of_all_ways_to_cut(epochs: int) -> None:
    from kt_suite.executors.fused import widths

    runs = [_run(width, rows=20_000, epochs=epochs) for width in (1024, 16, 32, 512, 2048, 24)]
    by_size = sorted(runs, key=lambda run: operations(view_of(run.model)))

    def cost(classes: list[list[Any]]) -> float:
        return sum(widths._work(one) for one in classes)

    def ways(rest: list[Any]) -> Any:
        yield [rest]
        for size in range(1, len(rest)):
            for others in ways(rest[size:]):
                yield [rest[:size], *others]

    found = width_classes(runs)
    assert sorted(id(run) for one in found for run in one) == sorted(map(id, runs))
    assert cost(found) == pytest.approx(min(cost(way) for way in ways(by_size)))
    if epochs == 2:
        assert len(found) == 1
    if epochs == 2000:
        assert len(found) > 1
