"""Gradient ascent from many points at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
WithGradient = Callable[[Array], tuple[Array, Array]]

_ARMIJO = 1e-4
_SHRINK = 0.3
_MIN_STEP = 1e-4
_MAX_MOVE = 0.5
_FIRST_MOVE = 0.1
_MIN_GAIN = 1e-6
_MIN_SLOPE = 1e-7


class Ascent:
    """Projected BFGS in the unit cube, many starts side by side.

    Each call of the function serves all starts that are still on their way, whether they begin a step or shorten one.
    This
    costs little more than a single start would, because the function's price is in its call.

    Nocedal and Wright, "Numerical Optimization", 2nd edition, Springer 2006, eq. 6.17 and algorithm 3.1; coordinates at
    a bound that the gradient points beyond are held there (Bertsekas, "Projected Newton methods", SIAM J. Control
    Optim. 20(2), 1982).

    Args:
        function: From points ``(m, d)`` to values ``(m,)`` and gradients ``(m, d)``.
        points: Starts, of shape ``(k, d)``.
        is_movable: Which coordinates may change, of shape ``(k, d)``.
    """

    def __init__(self, function: WithGradient, points: Array, is_movable: Array) -> None:
        k, d = points.shape
        self._function = function
        self._is_movable = is_movable
        self.points = points.copy()
        self.values, gradients = function(points)
        self._gradients = np.where(is_movable, gradients, 0.0)
        self._inverse = np.tile(np.eye(d), (k, 1, 1))
        self._is_fresh = np.ones(k, dtype=bool)
        self._directions = np.zeros_like(points)
        self._steps = np.ones(k)

    def run(self, num_calls: int) -> None:
        """Climbs with at most ``num_calls`` calls of the function; ``points`` and ``values`` are then up to date."""
        rows = np.arange(len(self.points))
        rows = rows[self._aim(rows)]
        for _ in range(num_calls):
            if len(rows) == 0:
                return
            rows = self._try(rows)

    def _try(self, rows: Array) -> Array:
        """Tries one step for each of ``rows``; returns those that go on."""
        trial = np.clip(self.points[rows] + self._steps[rows, None] * self._directions[rows], 0.0, 1.0)
        values, gradients = self._function(trial)
        gradients = np.where(self._is_movable[rows], gradients, 0.0)
        moves = trial - self.points[rows]
        promised = np.einsum("ij,ij->i", self._gradients[rows], moves)
        is_accepted = values >= self.values[rows] + _ARMIJO * promised
        done, failed = rows[is_accepted], rows[~is_accepted]
        gains = values[is_accepted] - self.values[done]
        self._learn(done, moves[is_accepted], self._gradients[done] - gradients[is_accepted])
        self.points[done], self.values[done] = trial[is_accepted], values[is_accepted]
        self._gradients[done] = gradients[is_accepted]
        self._steps[failed] *= _SHRINK
        failed = failed[self._steps[failed] > _MIN_STEP]
        is_going_on = self._aim(done) & (gains > _MIN_GAIN)
        return np.concatenate([done[is_going_on], failed])

    def _aim(self, rows: Array) -> Array:
        """Sets the directions of ``rows``; returns which of them have somewhere to go."""
        gradients = self._gradients[rows]
        points = self.points[rows]
        is_held = (points <= 0.0) & (gradients < 0.0) | (points >= 1.0) & (gradients > 0.0)
        gradients = np.where(is_held, 0.0, gradients)
        is_free = gradients != 0.0
        inverse = self._inverse[rows] * is_free[:, :, None] * is_free[:, None, :]
        directions = np.einsum("ijk,ik->ij", inverse, gradients)
        is_upward = np.einsum("ij,ij->i", directions, gradients) > 0.0
        directions = np.where(is_upward[:, None], directions, gradients)
        longest = np.maximum(np.abs(directions).max(axis=1), 1e-300)
        # Without curvature the gradient says where to go, but not how far.
        factors = np.where(self._is_fresh[rows], _FIRST_MOVE / longest, np.minimum(1.0, _MAX_MOVE / longest))
        self._directions[rows] = directions * factors[:, None]
        self._steps[rows] = 1.0
        return np.asarray(np.abs(gradients).max(axis=1) > _MIN_SLOPE)

    def _learn(self, rows: Array, moves: Array, changes: Array) -> None:
        """Updates the inverse Hessians (of the negated function) from ``moves`` and ``changes`` of the gradient."""
        curvature = np.einsum("ij,ij->i", moves, changes)
        is_convex = curvature > 1e-12
        rows, moves, changes, curvature = rows[is_convex], moves[is_convex], changes[is_convex], curvature[is_convex]
        first = self._is_fresh[rows]
        size = curvature[first] / np.einsum("ij,ij->i", changes[first], changes[first])
        self._inverse[rows[first]] = np.eye(self.points.shape[1]) * size[:, None, None]
        self._is_fresh[rows] = False
        inverse, rho = self._inverse[rows], 1.0 / curvature
        turned = np.einsum("ijk,ik->ij", inverse, changes)
        cross = turned[:, :, None] * moves[:, None, :]
        weight = rho * (1.0 + rho * np.einsum("ij,ij->i", changes, turned))
        inverse -= rho[:, None, None] * (cross + cross.transpose(0, 2, 1))
        inverse += weight[:, None, None] * moves[:, :, None] * moves[:, None, :]
        self._inverse[rows] = inverse
