"""Maximisation of an acquisition over a mixed domain."""

from __future__ import annotations

import numpy as np

from kt_suite.acquisition.acquisition import Acquisition
from kt_suite.acquisition.ascent import Ascent
from kt_suite.acquisition.domain import Domain

Array = np.ndarray

_NUM_NEAR = 20
_NUM_ROUNDS = 3
_NUM_CALLS = 60
_NUM_RELAXED = 16
_NUM_COMPARED = 64


def maximize(
    acquisition: Acquisition,
    domain: Domain,
    rng: np.random.Generator,
    *,
    anchors: Array,
    num_samples: int = 1000,
    num_starts: int = 10,
) -> Array:
    """Returns points that maximise an acquisition, best first.

    A small finite domain is gone through whole. Elsewhere many points are drawn, uniformly and
    around ``anchors``, and the best of them climb: continuous axes by gradient (ordered axes with many levels join
        in, and are
    put on a level afterwards), then finite axes one at a time, each over all its levels, until neither helps.

    Args:
        acquisition: What to maximise.
        domain: Where.
        rng: Draws the points.
        anchors: Full points around which to look closer, of shape ``(k, d)``.
        num_samples: Uniform points.
        num_starts: Points that climb.

    Returns:
        Full points, of shape ``(n, d)``: those that climbed and those drawn, in decreasing order of the acquisition.
    """
    if domain.is_small:
        points = domain.all_points()
        return points[np.argsort(-acquisition(domain.mask(points)), kind="stable")]
    points = np.concatenate([domain.sample(rng, num_samples), _around(anchors, domain, rng)])
    values = acquisition(domain.mask(points))
    chosen = _choose(values, num_starts, rng)
    climbed, heights = _climb(acquisition, domain, rng, points[chosen], values[chosen])
    points, values = np.concatenate([climbed, points]), np.concatenate([heights, values])
    return points[np.argsort(-values, kind="stable")]


def _around(anchors: Array, domain: Domain, rng: np.random.Generator) -> Array:
    """Returns points at all distances from the anchors: coordinates moved a little, and here and there a level."""
    points = np.repeat(anchors, _NUM_NEAR, axis=0)
    size = 10.0 ** rng.uniform(-3.0, -0.5, (len(points), 1))
    moved = points + size * rng.standard_normal(points.shape)
    fresh = rng.random(points.shape)
    is_drawn_anew = rng.random(points.shape) < 1.0 / max(domain.num_dimensions, 2)
    for j in domain.finite_axes:
        moved[:, j] = np.where(is_drawn_anew[:, j], fresh[:, j], points[:, j])
    return domain.snap(moved)


def _choose(values: Array, num_starts: int, rng: np.random.Generator) -> Array:
    """Returns the indices of starts: the best, and others drawn in proportion to the acquisition (by Gumbel's
    trick).
    """
    order = np.argsort(-values, kind="stable")
    best = order[: num_starts // 2]
    others = values + rng.gumbel(size=len(values))
    others[best] = -np.inf
    return np.concatenate([best, np.argsort(-others, kind="stable")[: num_starts - len(best)]])


def _climb(
    acquisition: Acquisition, domain: Domain, rng: np.random.Generator, points: Array, values: Array
) -> tuple[Array, Array]:
    is_smooth = np.array(
        [
            levels is None or (len(levels) > _NUM_RELAXED and not domain.is_category[j] and j not in domain.parents)
            for j, levels in enumerate(domain.levels)
        ]
    )
    for round_number in range(_NUM_ROUNDS):
        before = values
        # Which axes are active does not change on the way: none that decides moves.
        mask = domain.mask(points)
        if is_smooth.any():
            ascent = Ascent(acquisition.with_gradient, mask, ~np.isnan(mask) & is_smooth)
            ascent.run(_NUM_CALLS)
            points, values = _keep_better(
                acquisition, domain, points, values, np.where(np.isnan(mask), points, ascent.points)
            )
        if not domain.finite_axes:
            break
        for j in rng.permutation(domain.finite_axes):
            points, values = _exchange(acquisition, domain, points, values, int(j))
        if round_number and np.all(values - before < 1e-9):
            break
    return points, values


def _keep_better(
    acquisition: Acquisition, domain: Domain, points: Array, values: Array, others: Array
) -> tuple[Array, Array]:
    others = domain.snap(others)
    heights = acquisition(domain.mask(others))
    is_better = heights > values
    return np.where(is_better[:, None], others, points), np.where(is_better, heights, values)


def _exchange(acquisition: Acquisition, domain: Domain, points: Array, values: Array, axis: int) -> tuple[Array, Array]:
    """Puts each point on the best level of one finite axis, all else left as it is."""
    levels = domain.levels[axis]
    if levels is None:
        return points, values
    compared = domain.neighbours(axis, _NUM_COMPARED)[domain.level_indices(axis, points[:, axis])]
    tried = np.repeat(points, compared.shape[1], axis=0)
    tried[:, axis] = levels[compared.ravel()]
    heights = acquisition(domain.mask(tried)).reshape(compared.shape)
    best = np.argmax(heights, axis=1)
    rows = np.arange(len(points))
    is_better = heights[rows, best] > values + 1e-12
    points = points.copy()
    points[is_better, axis] = levels[compared[rows, best]][is_better]
    return points, np.where(is_better, heights[rows, best], values)
