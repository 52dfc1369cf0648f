"""What may be proposed, as arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Domain:
    """A mixed unit cube: its levels, and the rule for which of its axes are active.

    Points are full: rows in which inactive axes hold numbers as well. :meth:`mask` puts NaN there.

    Attributes:
        levels: For each axis its coordinates in increasing order; ``None`` for a continuous axis.
        is_category: Which axes are unordered, of shape ``(d,)``.
        parents: The axes that decide which others are active.
        activity: From full points ``(n, d)`` to booleans ``(n, d)``: which coordinates are active.
    """

    levels: tuple[Array | None, ...]
    is_category: Array
    parents: tuple[int, ...] = ()
    activity: Callable[[Array], Array] | None = None

    @property
    def num_dimensions(self) -> int:
        """Number of axes."""
        return len(self.levels)

    @cached_property
    def finite_axes(self) -> tuple[int, ...]:
        """The axes that have levels."""
        return tuple(j for j, levels in enumerate(self.levels) if levels is not None)

    def num_points(self) -> float:
        """Returns the number of full points, infinite with a continuous axis."""
        return float(np.prod([np.inf if levels is None else len(levels) for levels in self.levels]))

    def snap(self, points: Array) -> Array:
        """Returns points ``(n, d)`` inside the cube, finite axes on their nearest levels."""
        points = np.clip(points, 0.0, 1.0)
        for j in self.finite_axes:
            levels = self._levels(j)
            points[:, j] = levels[np.searchsorted(0.5 * (levels[1:] + levels[:-1]), points[:, j])]
        return points

    def sample(self, rng: np.random.Generator, num_points: int) -> Array:
        """Returns uniform points, of shape ``(num_points, d)``."""
        return self.snap(rng.random((num_points, self.num_dimensions)))

    def all_points(self) -> Array:
        """Returns the distinct points of a finite domain, of shape ``(n, d)``; inactive axes hold their first level."""
        axes = [self._levels(j) for j in range(self.num_dimensions)]
        points = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
        first = np.array([axis[0] for axis in axes])
        return np.unique(np.where(np.isnan(self.mask(points)), first, points), axis=0)

    def mask(self, points: Array) -> Array:
        """Returns a copy of points ``(n, d)`` with NaN on inactive axes."""
        if self.activity is None or not self.parents:
            return points.copy()
        _, first, which = np.unique(points[:, self.parents], axis=0, return_index=True, return_inverse=True)
        return np.where(self.activity(points[first])[which.ravel()], points, np.nan)

    def neighbours(self, axis: int, num_levels: int) -> Array:
        """Returns, for each level of a finite axis, the indices of the levels to compare it with.

        All of them, if there are at most ``num_levels`` or the axis is a category; otherwise the levels at distances 1, 2, 4, ...
        on both sides, of which those beyond the ends are replaced by the ends.

        Returns:
            Indices, of shape ``(levels of the axis, compared levels)``.
        """
        count = len(self._levels(axis))
        if count <= num_levels or self.is_category[axis]:
            return np.broadcast_to(np.arange(count), (count, count))
        steps = 2 ** np.arange(int(np.log2(count)) + 1)
        offsets = np.concatenate([-steps[::-1], [0], steps])
        return np.clip(np.arange(count)[:, None] + offsets, 0, count - 1)

    def _levels(self, axis: int) -> Array:
        levels = self.levels[axis]
        if levels is None:
            raise ValueError(f"Axis {axis} must have levels, but is continuous.")
        return levels
