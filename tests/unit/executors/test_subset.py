"""A share of the training data."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from kt_suite.errors import InputError
from kt_suite.executors.subset import choose, cut_fit_arguments
from kt_suite.rows import take

X = np.arange(20.0).reshape(10, 2)
Y = np.arange(10)


def cut(*args: Any, share: float = 0.5, seed: int = 0, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return cut_fit_arguments(args, kwargs, share, seed)


def test_a_smaller_share_is_part_of_a_larger_one() -> None:
    chosen = [set(choose(1000, share, 3)) for share in (0.01, 1 / 9, 1 / 3, 0.9, 1.0)]
    assert [len(one) for one in chosen] == [10, 111, 333, 900, 1000]
    assert all(small < large for small, large in itertools.pairwise(chosen))


def test_the_seed_alone_chooses() -> None:
    assert list(choose(50, 0.3, 0)) == list(choose(50, 0.3, 0))
    assert list(choose(50, 0.3, 0)) != list(choose(50, 0.3, 1))


def test_samples_keep_their_order_and_at_least_one_is_left() -> None:
    assert list(choose(50, 0.3, 0)) == sorted(choose(50, 0.3, 0))
    assert len(choose(5, 0.01, 0)) == 1


def test_inputs_targets_and_weights_are_cut_alike() -> None:
    (x, y), rest = cut(X, Y, sample_weight=Y * 10, epochs=3)
    assert len(x) == 5
    assert (x[:, 0] == 2 * y).all()
    assert (rest["sample_weight"] == 10 * y).all()
    assert rest["epochs"] == 3


def test_arguments_by_name_stay_arguments_by_name() -> None:
    args, rest = cut(x=X, y=Y)
    assert args == ()
    assert len(rest["x"]) == len(rest["y"]) == 5
    assert "sample_weight" not in rest


def test_further_positional_arguments_are_left_alone() -> None:
    args, _ = cut(X, Y, 32, 7)
    assert args[2:] == (32, 7)


def test_structures_are_cut_leaf_by_leaf() -> None:
    (x, y), _ = cut({"a": X, "b": [Y, (X, Y)]}, [Y, Y])
    assert [len(one) for one in (x["a"], x["b"][0], x["b"][1][1], y[0], y[1])] == [5] * 5
    assert (x["a"][:, 0] == 2 * x["b"][1][1]).all()


def test_tensors_and_data_frames_are_cut() -> None:
    indices = choose(10, 0.3, 0)
    assert (take(tf.constant(X), indices).numpy() == X[indices]).all()
    assert (take(pd.DataFrame(X), indices).to_numpy() == X[indices]).all()
    assert (take(pd.Series(Y), indices).to_numpy() == Y[indices]).all()


def test_validation_data_are_not_cut() -> None:
    _, rest = cut(X, Y, validation_data=(X, Y))
    assert len(rest["validation_data"][0]) == 10


def test_a_validation_split_is_the_same_for_every_share() -> None:
    for share in (0.25, 0.5):
        (x, y), rest = cut(X, Y, share=share, sample_weight=Y, validation_split=0.2)
        assert "validation_split" not in rest
        assert [list(part[:2]) if part.ndim == 1 else part[:, 0].tolist() for part in rest["validation_data"]] == [
            [16.0, 18.0],
            [8, 9],
            [8, 9],
        ]
        assert len(x) == round(8 * share)
        assert max(y) < 8


def test_a_model_without_targets_is_validated_on_inputs_alone() -> None:
    (x,), rest = cut(X, validation_split=0.2)
    assert len(x) == 4
    assert len(rest["validation_data"]) == 1


def test_the_first_batches_of_a_dataset_are_taken() -> None:
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(2)
    (cut_data,), _ = cut(data, share=0.4)
    assert [batch[1].numpy().tolist() for batch in cut_data] == [[0, 1], [2, 3]]
    (one,), _ = cut(data, share=0.01)
    assert int(one.cardinality()) == 1


def test_a_dataset_of_unknown_length_is_counted() -> None:
    data = tf.data.Dataset.from_tensor_slices(Y).filter(lambda value: value < 8).batch(2)
    assert int(data.cardinality()) < 0
    (cut_data,), _ = cut(data)
    assert sum(1 for _ in cut_data) == 2


def test_the_whole_is_passed_on_as_it_is() -> None:
    generator = iter([])
    args, rest = cut(generator, share=1.0, epochs=2)
    assert args[0] is generator
    assert rest == {"epochs": 2}


def test_data_that_cannot_be_cut_are_refused() -> None:
    with pytest.raises(InputError, match="cut"):
        cut(iter([]))
    with pytest.raises(InputError, match="cut"):
        cut([1, 2, 3], Y)
    with pytest.raises(InputError, match="end"):
        cut(tf.data.Dataset.from_tensor_slices(Y).repeat())
    for share in (0.0, 1.5, -1.0):
        with pytest.raises(InputError, match="share"):
            cut(X, Y, share=share)
