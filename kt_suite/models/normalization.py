"""Adapting ``keras.layers.Normalization``, in one pass and safely for columns that never change."""

from __future__ import annotations

from typing import Any

import numpy as np

_FLOAT32_RESOLUTION = 1e-6


class Moments:
    """Mean and variance of columns, gathered over batches in float64.

    Batches are joined as by Chan, Golub and LeVeque (1979), which loses no digits where the mean is large.

    Args:
        num_columns: Batches are read as rows of this many columns, whatever their shape.
    """

    def __init__(self, num_columns: int) -> None:
        self._count = 0
        self._mean = np.zeros(num_columns)
        self._squares = np.zeros(num_columns)

    @property
    def count(self) -> int:
        """Number of rows taken in."""
        return self._count

    def add(self, batch: np.ndarray) -> None:
        """Takes in one batch of shape ``(n, ...)``."""
        rows = batch.reshape(-1, len(self._mean)).astype(np.float64)
        mean = rows.mean(axis=0)
        count = self._count + len(rows)
        delta = mean - self._mean
        self._squares += ((rows - mean) ** 2).sum(axis=0) + delta**2 * (self._count * len(rows) / count)
        self._mean += delta * (len(rows) / count)
        self._count = count

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and variance, each of shape ``(num_columns,)``.

        The variance of a column that is constant, as far as float32 can tell, is 1: dividing by its own would
            blow rounding
        errors up, and later rows that differ even more.
        """
        variance = self._squares / self._count
        is_constant = variance <= (_FLOAT32_RESOLUTION * np.abs(self._mean)) ** 2
        return self._mean, np.where(is_constant, 1.0, variance)


def num_columns(layer: Any) -> int:
    """Returns how many means a built ``Normalization`` layer holds."""
    return int(layer.get_weights()[0].size)


def set_moments(model: Any, layer: Any, mean: Any, variance: Any) -> None:
    """Gives a ``Normalization`` layer of ``model`` its mean and variance."""
    old_mean, old_variance, count = layer.get_weights()
    new = [np.asarray(values, np.float32).reshape(old_mean.shape) for values in (mean, variance)]
    if np.array_equal(new[0], old_mean) and np.array_equal(new[1], old_variance):
        return
    layer.set_weights([*new, count])
    layer.finalize_state()
    # Traced functions hold the old mean as a constant (keras.layers.Normalization.finalize_state makes one).
    model.train_function = model.test_function = model.predict_function = None
