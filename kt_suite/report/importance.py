"""Importance of hyperparameters by functional ANOVA over a random forest.

Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter importance", ICML 2014: the
forest's trees are constant on boxes, so that the variance explained by one dimension is an exact sum over them.
Only main effects are computed; what they leave are interactions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray

_NUM_TREES = 64


def main_effects(points: Any, losses: Any, *, seed: int = 0) -> tuple[Array, Array]:
    """Returns the share of variance over the unit cube that each dimension explains by itself.

    Args:
        points: Places of trials in the unit cube, of shape ``(n, d)``.
        losses: Their losses, of shape ``(n,)``.
        seed: Seed of the forest.

    Returns:
        Mean and standard deviation of the shares over the trees, each of shape ``(d,)``, in [0, 1]. All zero where
        the losses are equal.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> points = rng.uniform(size=(200, 3))
        >>> shares, _ = main_effects(points, 10 * points[:, 1] + points[:, 2])
        >>> int(shares.argmax()), bool(shares[1] > 0.8)
        (1, True)
    """
    from sklearn.ensemble import RandomForestRegressor

    points = np.asarray(points, dtype=float)
    forest = RandomForestRegressor(_NUM_TREES, min_samples_leaf=2, max_features=0.7, random_state=seed)
    forest.fit(points, np.asarray(losses, dtype=float))
    shares = [_shares(tree.tree_, points.shape[1]) for tree in forest.estimators_]
    known = [share for share in shares if share is not None]
    if not known:
        return np.zeros(points.shape[1]), np.zeros(points.shape[1])
    return np.mean(known, axis=0), np.std(known, axis=0)


def _shares(tree: Any, num_dimensions: int) -> Array | None:
    """Returns the shares by one tree, of shape ``(d,)``; ``None`` where it is constant."""
    lows, highs, values = _leaves(tree, num_dimensions)
    widths = highs - lows
    volumes = widths.prod(axis=1)
    mean = float(volumes @ values)
    total = float(volumes @ (values - mean) ** 2)
    if total <= 1e-12 * max(1.0, mean**2):
        return None
    return np.array([_variance(lows[:, d], highs[:, d], volumes, values - mean) for d in range(num_dimensions)]) / total


def _leaves(tree: Any, num_dimensions: int) -> tuple[Array, Array, Array]:
    """Returns the boxes of a tree: their lower and upper corners ``(leaves, d)``, and values ``(leaves,)``."""
    waiting = [(0, np.zeros(num_dimensions), np.ones(num_dimensions))]
    lows, highs, values = [], [], []
    while waiting:
        node, low, high = waiting.pop()
        left, right = tree.children_left[node], tree.children_right[node]
        if left == right:
            lows.append(low)
            highs.append(high)
            values.append(tree.value[node].item())
            continue
        dimension, threshold = tree.feature[node], tree.threshold[node]
        below, above = high.copy(), low.copy()
        below[dimension] = above[dimension] = threshold
        waiting += [(left, low, below), (right, above, high)]
    return np.array(lows), np.array(highs), np.array(values)


def _variance(low: Array, high: Array, volumes: Array, values: Array) -> float:
    """Returns the variance of a tree's marginal over one dimension; ``values`` have mean zero."""
    edges = np.unique(np.concatenate([low, high]))
    widths = high - low
    # The mass of a box, spread over its width: added where it begins, taken off where it ends.
    density = np.divide(values * volumes, widths, out=np.zeros_like(values), where=widths > 0)
    steps = np.zeros(len(edges))
    np.add.at(steps, np.searchsorted(edges, low), density)
    np.add.at(steps, np.searchsorted(edges, high), -density)
    marginal = np.cumsum(steps)[:-1]
    return float(np.sum(marginal**2 * np.diff(edges)))
