"""The utility of a point, from what surrogates say of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from kt_suite.acquisition.log_ei import log_expected_improvement
from kt_suite.surrogates import GaussianProcess, Posterior

Array = np.ndarray

# From a posterior at m points to a utility, its derivative in the mean and that in the variance, each of shape (m,).
Utility = Callable[[Posterior], tuple[Array, Array, Array]]


class Acquisition:
    """A sum of utilities, each of the posterior of one surrogate.

    Args:
        terms: Surrogates and what is made of them.
        context: Coordinates of shape ``(c,)`` that the surrogates expect after those of a point, such as the fidelity.
    """

    def __init__(self, terms: Sequence[tuple[GaussianProcess, Utility]], context: Array) -> None:
        self._terms = terms
        self._context = context

    def __call__(self, points: Array) -> Array:
        """Returns the utility, of shape ``(n,)``, of points ``(n, d)`` that hold NaN where inactive."""
        x = self._complete(points)
        return np.asarray(sum(utility(process.posterior(x))[0] for process, utility in self._terms))

    def with_gradient(self, points: Array) -> tuple[Array, Array]:
        """Returns the utility ``(n,)`` of points ``(n, d)`` that hold NaN where inactive, and its gradient ``(n,
        d)``.
        """
        x = self._complete(points)
        value, gradient = np.zeros(len(x)), np.zeros_like(x)
        for process, utility in self._terms:
            posterior = process.posterior(x)
            part, by_mean, by_variance = utility(posterior)
            value += part
            gradient += posterior.pull_back(by_mean, by_variance)
        return value, gradient[:, : points.shape[1]]

    def _complete(self, points: Array) -> Array:
        return np.concatenate([points, np.tile(self._context, (len(points), 1))], axis=1)


def log_improvement(threshold: float, floor: float = 0.0) -> Utility:
    """Returns the utility log(E[max(threshold - f, 0)] + floor) of a loss f."""

    def utility(posterior: Posterior) -> tuple[Array, Array, Array]:
        deviation = posterior.deviation
        value, by_mean, by_deviation = log_expected_improvement(posterior.mean, deviation, threshold)
        if floor > 0.0:
            raised = np.logaddexp(value, np.log(floor))
            share = np.exp(value - raised)
            value, by_mean, by_deviation = raised, share * by_mean, share * by_deviation
        return value, by_mean, by_deviation / (2.0 * deviation)

    return utility


def lower_confidence_bound(beta: float) -> Utility:
    """Returns the utility beta * deviation - mean of a loss."""

    def utility(posterior: Posterior) -> tuple[Array, Array, Array]:
        deviation = posterior.deviation
        return beta * deviation - posterior.mean, -np.ones_like(deviation), beta / (2.0 * deviation)

    return utility


def log_probability_below(limit: float, noise: float, *, weight: float = 1.0) -> Utility:
    """Returns the utility weight * log P(g + e <= limit), for e of variance ``noise``."""

    def utility(posterior: Posterior) -> tuple[Array, Array, Array]:
        deviation = np.sqrt(posterior.variance + noise)
        z = (limit - posterior.mean) / deviation
        value = special.log_ndtr(z)
        slope = np.exp(-0.5 * (z**2 + np.log(2.0 * np.pi)) - value)
        by_z = weight * slope
        return weight * value, -by_z / deviation, -0.5 * by_z * z / deviation**2

    return utility


def negative_mean(scale: float) -> Utility:
    """Returns the utility -scale * mean: the logarithm of speed, where the surrogate's is that of a cost."""

    def utility(posterior: Posterior) -> tuple[Array, Array, Array]:
        return -scale * posterior.mean, np.full_like(posterior.mean, -scale), np.zeros_like(posterior.mean)

    return utility
