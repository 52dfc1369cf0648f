"""Many objectives at once: dominance, ranks, crowding and hypervolume.

All functions take losses: arrays of shape ``(n, m)``, one row a point and one column an objective, each to be
minimised.
"""

from __future__ import annotations

import numpy as np

from kt_suite.errors import InputError, rule

Array = np.ndarray


def non_dominated(losses: Array) -> Array:
    """Returns which points no other point dominates.

    A point dominates another if it is nowhere worse and somewhere better. Of equal points all count, or none.

    Args:
        losses: Points of shape ``(n, m)``.

    Returns:
        Booleans of shape ``(n,)``.

    Example:
        >>> non_dominated([[1, 3], [2, 2], [3, 1], [2, 3]]).tolist()
        [True, True, True, False]
    """
    unique, inverse = np.unique(_checked(losses), axis=0, return_inverse=True)
    return np.asarray(_front(unique)[inverse.ravel()])


def ranks(losses: Array) -> Array:
    """Returns the front that each point belongs to, counted from 0.

    Front ``k`` is what no other point dominates once the fronts before it are gone. Deb et al., "A fast and elitist
    multiobjective genetic algorithm: NSGA-II", IEEE TEC 6(2), 2002, section III.A.

    Args:
        losses: Points of shape ``(n, m)``.

    Returns:
        Integers of shape ``(n,)``.

    Example:
        >>> ranks([[1, 3], [2, 2], [3, 1], [2, 3], [4, 4]]).tolist()
        [0, 0, 0, 1, 2]
    """
    unique, inverse = np.unique(_checked(losses), axis=0, return_inverse=True)
    rank = np.zeros(len(unique), dtype=int)
    left, front = np.arange(len(unique)), 0
    while len(left):
        is_front = _front(unique[left])
        rank[left[is_front]] = front
        left, front = left[~is_front], front + 1
    return np.asarray(rank[inverse.ravel()])


def crowding(losses: Array) -> Array:
    """Returns the crowding distance of points of one front: how far apart the neighbours of each are.

    Deb et al. 2002 (see :func:`ranks`), section III.B. The best and the worst point in each objective are
    infinitely far.

    Args:
        losses: Points of shape ``(n, m)``.

    Returns:
        Distances of shape ``(n,)``, at least 0.

    Example:
        >>> crowding([[0, 4], [1, 2], [4, 0]]).tolist()
        [inf, 2.0, inf]
    """
    losses = _checked(losses)
    distance = np.zeros(len(losses))
    for column in losses.T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        extent = ordered[-1] - ordered[0] if len(ordered) else 0.0
        if extent > 0:
            distance[order[1:-1]] += (ordered[2:] - ordered[:-2]) / extent
            distance[order[[0, -1]]] = np.inf
    return distance


def best_first(losses: Array) -> Array:
    """Returns the order in which NSGA-II prefers points: by front, then those far from others.

    Of points that are equal in both, the one with the smaller first loss goes first, and then the earlier one.

    Args:
        losses: Points of shape ``(n, m)``.

    Returns:
        Indices of shape ``(n,)``.
    """
    losses = _checked(losses)
    rank = ranks(losses)
    distance = np.zeros(len(losses))
    for front in range(rank.max(initial=-1) + 1):
        distance[rank == front] = crowding(losses[rank == front])
    return np.lexsort((losses[:, 0], -distance, rank))


def reference_point(losses: Array) -> Array:
    """Returns a point that all of the front dominate, a little beyond its worst value in each objective.

    It lies beyond by a tenth of the extent of the front; where that has none, of all points, or of the value itself.
    On the choice: Ishibuchi et al., "How to specify a reference point in hypervolume calculation", Evolutionary
    Computation 26(3), 2018.

    Args:
        losses: Points of shape ``(n, m)``, at least one.

    Returns:
        Losses of shape ``(m,)``.

    Example:
        >>> reference_point([[0.0, 20.0], [10.0, 0.0]]).tolist()
        [11.0, 22.0]
    """
    losses = _checked(losses)
    if not len(losses):
        raise InputError(rule("The points", "be at least one to have a reference point", 0))
    front = losses[non_dominated(losses)]
    extent = np.ptp(front, axis=0)
    extent = np.where(extent > 0, extent, np.ptp(losses, axis=0))
    extent = np.where(extent > 0, extent, np.maximum(np.abs(front[0]), 1e-9))
    return np.asarray(front.max(axis=0) + 0.1 * extent)


def hypervolume(losses: Array, reference: Array) -> float:
    """Returns the volume that the points dominate, up to a reference point; exact in any number of
    objectives.

    While, Bradstreet and Barone, "A fast way of calculating exact hypervolumes", IEEE TEC 16(1), 2012: the
    volume is the sum of what each point adds to those after it. Points are ordered by the last objective, the
    worst first, so that what those after it share with a point is a volume in one dimension less.

    Args:
        losses: Points of shape ``(n, m)``; those that do not dominate the reference point add nothing.
        reference: Losses of shape ``(m,)``.

    Example:
        >>> hypervolume([[1.0, 2.0], [2.0, 1.0]], [3.0, 3.0])
        3.0
    """
    losses, reference = _checked(losses), np.asarray(reference, dtype=float)
    if reference.shape != losses.shape[1:] or not np.isfinite(reference).all():
        must = f"hold a finite number for each of the {losses.shape[1]} objectives"
        raise InputError(rule("The reference point", must, reference.tolist()))
    return _volume(losses[(losses < reference).all(axis=1)], reference)


def _front(ordered: Array) -> Array:
    """Returns which of distinct points are not dominated, given in lexicographic order."""
    is_front = np.zeros(len(ordered), dtype=bool)
    left = np.arange(len(ordered))
    while len(left):
        # The first of those left is dominated by none after it, for the order, and by none that were taken
        # before it.
        head = left[0]
        is_front[head] = True
        left = left[(ordered[left] < ordered[head]).any(axis=1)]
    return is_front


def _volume(losses: Array, reference: Array) -> float:
    if not len(losses):
        return 0.0
    if losses.shape[1] == 1:
        return float(reference[0] - losses.min())
    if losses.shape[1] == 2:
        return _area(losses, reference)
    losses = losses[non_dominated(losses)]
    losses = losses[np.argsort(-losses[:, -1], kind="stable")]
    heights = reference[-1] - losses[:, -1]
    bases = np.prod(reference[:-1] - losses[:, :-1], axis=1)
    volume = 0.0
    for i, point in enumerate(losses):
        shared = _volume(np.maximum(losses[i + 1 :, :-1], point[:-1]), reference[:-1])
        volume += float(heights[i]) * (float(bases[i]) - shared)
    return volume


def _area(losses: Array, reference: Array) -> float:
    ordered = losses[np.argsort(losses[:, 0], kind="stable")]
    widths = np.diff(np.append(ordered[:, 0], reference[0]))
    return float(widths @ (reference[1] - np.minimum.accumulate(ordered[:, 1])))


def _checked(losses: Array) -> Array:
    losses = np.asarray(losses, dtype=float)
    if losses.ndim != 2 or losses.shape[1] < 1:
        raise InputError(rule("Losses", "have the shape (n, m) with m of at least 1", losses.shape))
    if np.isnan(losses).any():
        raise InputError(rule("Losses", "be numbers", float("nan"), "Leave out points without a usable value."))
    return losses
