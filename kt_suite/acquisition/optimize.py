"""Maximisation of an acquisition over a mixed unit cube."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kt_suite.acquisition.domain import Domain

Array = np.ndarray
Acquisition = Callable[[Array], Array]
AcquisitionWithGradient = Callable[[Array], "tuple[Array, Array]"]

RELAXED = 16


def ascend(function, x: Array, free: Array, num_evaluations: int, tol=1e-6) -> tuple[Array, Array]:
    """Projected BFGS from many starts at once; every call of ``function`` serves all starts that are still moving.

    Returns final x, value.
    """
    m, d = x.shape
    x = x.copy()
    value, gradient = function(x)
    gradient = np.where(free, gradient, 0.0)
    inverse = np.broadcast_to(np.eye(d), (m, d, d)).copy()
    fresh = np.ones(m, bool)
    step = np.ones(m)
    alive = np.arange(m)
    direction = np.zeros_like(x)

    def aim(rows):
        g = gradient[rows]
        at_low = (x[rows] <= 0.0) & (g < 0.0)
        at_high = (x[rows] >= 1.0) & (g > 0.0)
        g = np.where(at_low | at_high, 0.0, g)
        h = inverse[rows] * (g != 0.0)[:, :, None] * (g != 0.0)[:, None, :]
        p = np.einsum("ijk,ik->ij", h, g)
        bad = np.einsum("ij,ij->i", p, g) <= 0
        p = np.where(bad[:, None], g, p)
        norm = np.abs(p).max(axis=1)
        # the first step has no curvature to go by
        cap = np.where(fresh[rows], 0.1, 0.5)
        p *= np.where(norm > 0, np.minimum(1.0, cap / np.maximum(norm, 1e-300)), 0.0)[:, None]
        p = np.where((fresh[rows] & (norm > 0))[:, None], p * (cap / np.maximum(np.abs(p).max(axis=1), 1e-300))[:, None], p)
        direction[rows] = p
        step[rows] = 1.0
        return np.abs(g).max(axis=1) > 1e-7

    alive = alive[aim(alive)]
    for _ in range(num_evaluations):
        if not len(alive):
            break
        trial = np.clip(x[alive] + step[alive, None] * direction[alive], 0.0, 1.0)
        new_value, new_gradient = function(trial, alive) if False else function_rows(function, trial, alive)
        new_gradient = np.where(free[alive], new_gradient, 0.0)
        move = trial - x[alive]
        gain = np.einsum("ij,ij->i", gradient[alive], move)
        accepted = new_value >= value[alive] + 1e-4 * gain
        ok, bad = alive[accepted], alive[~accepted]
        s, y = move[accepted], gradient[ok] - new_gradient[accepted]
        improvement = new_value[accepted] - value[ok]
        x[ok], value[ok], gradient[ok] = trial[accepted], new_value[accepted], new_gradient[accepted]
        sy = np.einsum("ij,ij->i", s, y)
        curved = sy > 1e-12
        rows = ok[curved]
        if len(rows):
            sc, yc, rho = s[curved], y[curved], 1.0 / sy[curved]
            first = fresh[rows]
            yy = np.einsum("ij,ij->i", yc, yc)
            scale0 = np.where(first, sy[curved] / yy, 1.0)
            h = np.where(first[:, None, None], np.eye(d) * scale0[:, None, None], inverse[rows])
            hy = np.einsum("ijk,ik->ij", h, yc)
            yhy = np.einsum("ij,ij->i", yc, hy)
            h = (
                h
                - rho[:, None, None] * (hy[:, :, None] * sc[:, None, :] + sc[:, :, None] * hy[:, None, :])
                + (rho**2 * yhy + rho)[:, None, None] * sc[:, :, None] * sc[:, None, :]
            )
            inverse[rows] = h
            fresh[rows] = False
        step[bad] *= 0.3
        bad = bad[step[bad] > 1e-4]
        going = aim(ok) if len(ok) else np.zeros(0, bool)
        going &= ~((improvement < tol) )
        alive = np.sort(np.concatenate([ok[going], bad]))
    return x, value


def function_rows(function, trial, alive):
    return function(trial)
