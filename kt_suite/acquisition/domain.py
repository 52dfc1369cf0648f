"""What may be proposed, as arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

Array = np.ndarray

MAX_ENUMERATED = 4096


@dataclass(frozen=True)
class Domain:
    """A mixed unit cube: its levels, and the rule for which of its axes are active.

    Points are full: rows in which inactive axes hold numbers as well. :meth:`mask` puts NaN there.

    Attributes:
        levels: For each axis its coordinates in increasing order; ``None`` for a continuous axis.
        is_category: Which axes are unordered, of shape ``(d,)``.
        is_conditional: Which axes may be inactive, of shape ``(d,)``.
        parents: The axes that decide which others are active.
        activity: From full points ``(n, d)`` to booleans ``(n, d)``: which coordinates are active.
    """

    levels: tuple[Array | None, ...]
    is_category: Array
    is_conditional: Array
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

    @property
    def is_small(self) -> bool:
        """Whether the domain is finite and all its points can be looked at."""
        counts = [np.inf if levels is None else len(levels) for levels in self.levels]
        return float(np.prod(counts)) <= MAX_ENUMERATED

    def snap(self, points: Array) -> Array:
        """Returns points ``(n, d)`` inside the cube, finite axes on their nearest levels."""
        points = np.clip(points, 0.0, 1.0)
        for j in self.finite_axes:
            points[:, j] = self._levels(j)[self.level_indices(j, points[:, j])]
        return points

    def level_indices(self, axis: int, coordinates: Array) -> Array:
        """Returns the indices of the levels of a finite axis that are nearest to coordinates, of the same shape."""
        levels = self._levels(axis)
        return np.asarray(np.searchsorted(0.5 * (levels[1:] + levels[:-1]), coordinates))

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
            return points.copy()  # type: ignore[no-any-return]
        _, first, which = np.unique(points[:, self.parents], axis=0, return_index=True, return_inverse=True)
        return np.where(self.activity(points[first])[which.ravel()], points, np.nan)

    def with_learned_activity(self, points: Array) -> Domain:
        """Returns the domain that also knows of conditions which nobody declared, but which known points obey.

        A build may ask for ``units_3`` only if there are three layers, in plain Python. Then an axis that should be
        active
        holds NaN in some points. If another, finite axis decides where, by its level alone, this becomes a rule; a
        level that
        was never seen follows its nearest neighbour, or, of a category, leaves the axis active.

        Args:
            points: Known points, of shape ``(n, d)``, NaN where inactive.
        """
        rules: dict[int, tuple[int, Array]] = {}
        is_off = np.isnan(points)
        for j in np.flatnonzero(is_off.any(axis=0) & ~is_off.all(axis=0) & ~self.is_conditional):
            found = [(len(seen), axis, seen) for axis in self.finite_axes if (seen := self._rule(points, j, axis))]  # type: ignore[arg-type]
            if found:
                _, axis, seen = min(found, key=lambda item: item[:2])
                rules[int(j)] = axis, self._extend(axis, seen)
        if not rules:
            return self
        declared = self.activity

        def activity(full: Array) -> Array:
            is_active = np.ones(full.shape, dtype=bool) if declared is None else declared(full)
            for j, (axis, is_on) in rules.items():
                is_active[:, j] &= is_on[self.level_indices(axis, full[:, axis])] & is_active[:, axis]
            return is_active

        parents = tuple(sorted({*self.parents, *(axis for axis, _ in rules.values())}))
        is_conditional = self.is_conditional.copy()
        is_conditional[list(rules)] = True
        return replace(self, is_conditional=is_conditional, parents=parents, activity=activity)

    def _rule(self, points: Array, j: int, axis: int) -> dict[int, bool] | None:
        """Returns, for each level of ``axis`` in known points, whether axis ``j`` is active there; ``None`` if that
        varies.
        """
        if axis == j or np.isnan(points[:, axis]).any():
            return None
        seen: dict[int, bool] = {}
        indices = self.level_indices(axis, points[:, axis])
        for index, is_on in zip(indices, ~np.isnan(points[:, j]), strict=True):
            if seen.setdefault(int(index), bool(is_on)) != is_on:
                return None
        return seen

    def _extend(self, axis: int, seen: dict[int, bool]) -> Array:
        known = np.array(sorted(seen))
        is_on = np.array([seen[index] for index in known])
        every = np.arange(len(self._levels(axis)))
        if self.is_category[axis]:
            return np.array([seen.get(int(index), True) for index in every])
        return np.asarray(is_on[np.argmin(np.abs(every[:, None] - known), axis=1)])

    def neighbours(self, axis: int, num_levels: int) -> Array:
        """Returns, for each level of a finite axis, the indices of the levels to compare it with.

        All of them, if there are at most ``num_levels`` or the axis is a category; otherwise the levels at distances
        1, 2, 4, ...
        on both sides, of which those beyond the ends are replaced by the ends.

        Returns:
            Indices, of shape ``(levels of the axis, compared levels)``.
        """
        count = len(self._levels(axis))
        if count <= num_levels or self.is_category[axis]:
            return np.broadcast_to(np.arange(count), (count, count))
        steps = 2 ** np.arange(int(np.log2(count)) + 1)
        offsets = np.concatenate([-steps[::-1], [0], steps])
        return np.clip(np.arange(count)[:, None] + offsets, 0, count - 1)  # type: ignore[no-any-return]

    def _levels(self, axis: int) -> Array:
        levels = self.levels[axis]
        if levels is None:
            raise ValueError(f"Axis {axis} must have levels, but is continuous.")
        return levels
