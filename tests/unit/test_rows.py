"""Rows of data of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from kt_suite.errors import InputError
from kt_suite.rows import digest, materialise, num_samples, take, with_rows

X = np.arange(20.0).reshape(10, 2)


def test_lists_of_numbers_become_arrays_and_structures_stay() -> None:
    assert with_rows([[1, 2], [3, 4]]).shape == (2, 2)
    both = with_rows({"a": [1, 2], "b": (X, [1.0] * 10)})
    assert both["a"].shape == (2,)
    assert both["b"][0] is X
    assert num_samples(both["b"]) == 10
    assert take(both, np.array([1]))["b"][1].shape == (1,)


@pytest.mark.parametrize(
    "data",
    [
        X,
        {"a": X, "b": X[:, 0]},
        pd.DataFrame({"a": [1, 2], "b": ["x", None]}),
        pd.Series([1, 2]),
        tf.constant([1.0, 2.0]),
        np.array(["a", "b"]),
        np.array([object]),
        np.zeros((0, 2)),
    ],
)
def test_a_digest_is_that_of_the_content(data: Any) -> None:
    assert digest(data) == digest(data)
    assert digest(data) != digest(data, [np.zeros(1)])


def test_a_digest_tells_types_and_values_apart() -> None:
    assert digest(X) == digest(X.copy())
    assert len({digest(X), digest(X.astype("float32")), digest(X.reshape(2, 10)), digest(X + 1)}) == 4


def test_a_data_set_is_read_into_memory() -> None:
    y, weights = np.arange(10), np.ones(10)
    dataset = tf.data.Dataset.from_tensor_slices(({"a": X}, y, weights)).batch(4)
    (inputs, targets, weights), batch_size = materialise(dataset)
    assert np.array_equal(inputs["a"], X)
    assert np.array_equal(targets, y)
    assert len(weights) == 10
    assert batch_size == 4


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (tf.data.Dataset.from_tensor_slices(X).batch(2).repeat(), "have an end"),
        (tf.data.Dataset.from_tensor_slices(X).batch(2), "at most 100 bytes of memory, but got 'at least 128'"),
        (tf.data.Dataset.from_tensor_slices(X).batch(2).take(0), "at least one batch"),
    ],
)
def test_a_data_set_that_memory_cannot_hold_is_refused(dataset: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        materialise(dataset, limit=100)
