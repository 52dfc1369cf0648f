"""Where the real entries of a member lie in an axis that padding made longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of one member: its padded size, and the positions of the real entries in it.

    Attributes:
        size: The padded size, the same for all members.
        positions: Ascending positions of the real entries; ``None`` where all are real.
    """

    size: int
    positions: np.ndarray | None = None

    @classmethod
    def prefix(cls, width: int, size: int) -> Axis:
        """Returns the axis whose first ``width`` entries are real."""
        return cls(size, None if width == size else np.arange(width))

    @property
    def index(self) -> np.ndarray:
        """Positions of the real entries."""
        return np.arange(self.size) if self.positions is None else self.positions

    @property
    def mask(self) -> np.ndarray:
        """1 at the real entries, else 0; of shape ``(size,)``."""
        mask = np.zeros(self.size)
        mask[self.index] = 1
        return mask

    def repeat(self, times: int) -> Axis:
        """Returns the axis of ``times`` copies, one after the other: what flattening makes of channels."""
        if self.positions is None:
            return Axis(self.size * times)
        return Axis(self.size * times, (np.arange(times)[:, None] * self.size + self.positions).ravel())

    @staticmethod
    def concatenate(axes: Sequence[Axis]) -> Axis:
        """Returns the axes one after the other."""
        size = sum(axis.size for axis in axes)
        if all(axis.positions is None for axis in axes):
            return Axis(size)
        offsets = np.cumsum([0, *(axis.size for axis in axes)])
        return Axis(size, np.concatenate([axis.index + offset for axis, offset in zip(axes, offsets, strict=False)]))

    def equals(self, other: Axis) -> bool:
        """Whether both have the same real entries."""
        return self.size == other.size and np.array_equal(self.index, other.index)


def embed(values: np.ndarray, axes: Sequence[Axis]) -> np.ndarray:
    """Returns ``values`` with zeros at the padded entries of each of its axes."""
    if all(axis.positions is None for axis in axes):
        return values
    padded = np.zeros([axis.size for axis in axes], values.dtype)
    padded[np.ix_(*(axis.index for axis in axes))] = values
    return padded


def cut(padded: np.ndarray, axes: Sequence[Axis]) -> np.ndarray:
    """Returns the real entries of what :func:`embed` returned."""
    if all(axis.positions is None for axis in axes):
        return padded
    return np.asarray(padded[np.ix_(*(axis.index for axis in axes))])
