"""A share of the training data, for budgets that are counted in data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kt_suite.errors import InputError, rule
from kt_suite.rows import is_dataset, num_samples, split_validation, take

# The places of data in the signature of ``keras.Model.fit``: fit(x, y, ...).
_POSITIONAL = ("x", "y")
_DATA = ("x", "y", "sample_weight")


def cut_fit_arguments(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], share: float, seed: int
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the arguments of ``model.fit`` with a share of the training data and all validation data.

    With one seed a smaller share is part of a larger one. Arrays keep their order. ``validation_split`` is
    carried out first, as ``fit`` does it, so that every share is validated on the same samples. From a
    ``tf.data.Dataset`` the first batches are taken: the same in every epoch, unless the dataset shuffles.

    Args:
        args: Positional arguments of ``fit``.
        kwargs: Keyword arguments of ``fit``.
        share: Share of the samples, in (0, 1]; at least one sample is left.
        seed: Chooses the samples.

    Raises:
        InputError: Data of a kind that cannot be cut, or a share outside its range.
    """
    if not 0 < share <= 1:
        raise InputError(rule("share", "lie in (0, 1]", share))
    if share == 1:
        return args, dict(kwargs)
    given = dict(zip(_POSITIONAL, args, strict=False))
    data = {name: given.get(name, kwargs.get(name)) for name in _DATA}
    rest = {name: value for name, value in kwargs.items() if name not in _DATA}
    if is_dataset(data["x"]):
        data["x"] = _take_batches(data["x"], share)
    else:
        data, rest = split_validation(data, rest)
        indices = choose(num_samples(data["x"]), share, seed)
        data = {name: take(value, indices) for name, value in data.items()}
    present = {name: value for name, value in data.items() if value is not None and name not in given}
    return (*(data[name] for name in given), *args[len(given) :]), {**rest, **present}


def choose(num: int, share: float, seed: int) -> np.ndarray:
    """Returns the indices of a share of ``num`` samples, in order; a smaller share is part of a larger one.

    Args:
        num: Number of samples.
        share: Share of them, in (0, 1]; rounded to the nearest whole number of samples, at least 1.
        seed: Chooses the samples.
    """
    num_chosen = max(1, math.floor(share * num + 0.5))
    return np.sort(np.random.default_rng(seed).permutation(num)[:num_chosen])


def _take_batches(dataset: Any, share: float) -> Any:
    num = int(dataset.cardinality())
    if num == -1:  # tf.data.INFINITE_CARDINALITY
        remedy = "Call dataset.take(n) with the number of batches in an epoch."
        raise InputError(rule('A dataset under budget="data"', "end", dataset, remedy))
    if num < 0:  # unknown: one pass over the data tells
        num = sum(1 for _ in dataset)
    return dataset.take(max(1, math.floor(share * num + 0.5)))
