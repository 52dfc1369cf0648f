"""What may be proposed: the unit cube with its levels and its conditions, as arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Domain:
    """A mixed unit cube.

    Attributes:
        levels: For each axis its coordinates in increasing order, or ``None`` for a continuous axis.
        is_category: Which axes are unordered, of shape ``(d,)``.
        parents: For each axis the axes that decide whether it is active; empty for an axis that always is.
        activity: From full coordinates ``(n, d)`` to booleans ``(n, d)``: which of them are active.
    """

    levels: tuple[Array | None, ...]
    is_category: Array
    parents: tuple[tuple[int, ...], ...] = ()
    activity: Callable[[Array], Array] | None = None

    @property
    def num_dimensions(self) -> int:
        """Number of axes."""
        return len(self.levels)

    @cached_property
    def is_finite(self) -> Array:
        """Which axes have levels, of shape ``(d,)``."""
        return np.array([levels is not None for levels in self.levels], dtype=bool)

    @cached_property
    def is_conditional(self) -> Array:
        """Which axes may be inactive, of shape ``(d,)``."""
        return np.array([bool(parents) for parents in self.parents] or [False] * self.num_dimensions, dtype=bool)

    def snap(self, u: Array) -> Array:
        """Returns points ``(n, d)`` inside the cube, with finite axes on their nearest levels."""
        u = np.clip(u, 0.0, 1.0)
        for j in np.flatnonzero(self.is_finite):
            levels = self.levels[j]
            borders = 0.5 * (levels[1:] + levels[:-1])
            u[:, j] = levels[np.searchsorted(borders, u[:, j])]
        return u

    def sample(self, rng: np.random.Generator, num_points: int) -> Array:
        """Returns points ``(num_points, d)`` with levels drawn evenly and continuous coordinates drawn uniformly."""
        u = rng.random((num_points, self.num_dimensions))
        for j in np.flatnonzero(self.is_finite):
            levels = self.levels[j]
            u[:, j] = levels[np.minimum((u[:, j] * len(levels)).astype(int), len(levels) - 1)]
        return u

    def mask(self, u: Array) -> Array:
        """Returns a copy of full points ``(n, d)`` with NaN on inactive axes."""
        if self.activity is None or not self.is_conditional.any():
            return u.copy()
        deciding = sorted({axis for parents in self.parents for axis in parents})
        _, first, inverse = np.unique(u[:, deciding], axis=0, return_index=True, return_inverse=True)
        return np.where(self.activity(u[first])[inverse.ravel()], u, np.nan)
