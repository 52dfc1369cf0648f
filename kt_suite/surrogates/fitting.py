"""Hyperparameters of a Gaussian process by maximum a posteriori."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize

from kt_suite.surrogates.kernel_parameters import KernelParameters
from kt_suite.surrogates.mixed_matern import MixedMatern, matern52

Array = np.ndarray

_INFEASIBLE = 1e10


@dataclass(frozen=True)
class Priors:
    """Normal priors on the logarithms of the hyperparameters, for observations of mean 0 and variance 1.

    The median length-scale grows with the square root of the number of coordinates, so that the correlation at a
    typical
    distance does not depend on it: Hvarfner et al., "Vanilla Bayesian optimization performs great in high
        dimensions", ICML
    2024, arXiv 2402.02229. Deviations: shorter and narrower length-scales, which find narrow optima sooner; less noise,
    because many objectives repeat exactly; a free ``scale`` and a mean that is integrated out (Rasmussen and Williams,
    eq. 2.40), because optimisation gathers its points where the function is low.

    Attributes:
        length_scale: Median length-scale in one dimension.
        context_length_scale: The same for coordinates of the context, such as the fidelity.
        length_scale_spread: Standard deviation of the logarithm of both.
        scale: Median variance of the function.
        scale_spread: Standard deviation of its logarithm.
        noise: Median variance of the noise, beyond ``min_noise``.
        noise_spread: Standard deviation of its logarithm.
        min_noise: Least variance of the noise; keeps the covariance well conditioned.
        mean_variance: Variance of the function's mean.
    """

    length_scale: float = 0.5
    context_length_scale: float = 1.0
    length_scale_spread: float = 1.0
    scale: float = 1.0
    scale_spread: float = 1.0
    noise: float = 1e-5
    noise_spread: float = 3.0
    min_noise: float = 1e-8
    mean_variance: float = 1.0

    def moments(self, num_dimensions: int, num_context: int = 0) -> tuple[Array, Array]:
        """Returns means and standard deviations, of shape ``(d + 2,)``, of log length-scales, log scale and log
        noise.
        """
        lengths = np.full(num_dimensions, self.length_scale)
        lengths[num_dimensions - num_context :] = self.context_length_scale
        lengths *= np.sqrt(max(num_dimensions, 1))
        spreads = np.full(num_dimensions, self.length_scale_spread)
        return np.log(np.r_[lengths, self.scale, self.noise]), np.r_[spreads, self.scale_spread, self.noise_spread]


class NegativeLogPosterior:
    """-log p(y | theta) - log p(theta) up to a constant, with its gradient.

    theta is of shape ``(d + 2,)``: log length-scales, log scale, log noise.
    Gradient: Rasmussen and Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, eq. 5.9.

    Args:
        kernel: The correlation.
        x: Points, of shape ``(n, d)``, NaN where inactive.
        y: Observations, of shape ``(n,)``.
        priors: The priors.
        noise: A known variance of the noise; ``None`` to learn it.
        num_context: How many of the last coordinates are those of a context.
    """

    def __init__(
        self,
        kernel: MixedMatern,
        x: Array,
        y: Array,
        priors: Priors,
        noise: float | None = None,
        *,
        num_context: int = 0,
    ) -> None:
        self.y = y
        self.prior_mean, self.prior_spread = priors.moments(kernel.num_dimensions, num_context)
        self._min_noise = priors.min_noise
        self._mean_variance = priors.mean_variance
        self._noise = noise
        rows, columns = self._rows, self._columns = np.tril_indices(len(x), -1)
        self._lower = rows * len(x) + columns
        self._distances = np.empty((kernel.num_dimensions, len(rows)))
        for j in range(kernel.num_dimensions):
            self._distances[j] = kernel.distance(j, x[rows, j], x[columns, j])

    def parameters(self, theta: Array) -> KernelParameters:
        """Returns the hyperparameters that theta stands for."""
        noise = self._min_noise + float(np.exp(theta[-1])) if self._noise is None else self._noise
        return KernelParameters(np.exp(theta[:-2]), float(np.exp(theta[-2])), noise, self._mean_variance)

    def __call__(self, theta: Array) -> tuple[float, Array]:
        n, p = len(self.y), self.parameters(theta)
        correlation, slope = matern52(p.weights @ self._distances)
        covariance = np.zeros(n * n)
        covariance[self._lower] = p.scale * correlation + p.mean_variance
        covariance[:: n + 1] = p.scale + p.noise + p.mean_variance
        # LAPACK reads columns first, so that the lower triangle of this array is the upper one of what it sees.
        factor, info = linalg.lapack.dpotrf(covariance.reshape(n, n).T, lower=0, clean=0, overwrite_a=1)
        if info != 0:
            return _INFEASIBLE, np.zeros_like(theta)
        alpha = linalg.lapack.dpotrs(factor, self.y, lower=0)[0]
        inverse = np.ravel(linalg.lapack.dpotri(factor, lower=0)[0], order="F")
        standard = (theta - self.prior_mean) / self.prior_spread
        value = 0.5 * self.y @ alpha + np.log(np.diagonal(factor)).sum() + 0.5 * standard @ standard

        # d value / d K, below the diagonal and on it
        lower = inverse[self._lower] - alpha[self._rows] * alpha[self._columns]
        trace = float(inverse[:: n + 1].sum() - alpha @ alpha)
        gradient = standard / self.prior_spread
        gradient[:-2] -= 2.0 * p.scale * p.weights * (self._distances @ (lower * slope))
        gradient[-2] += p.scale * (0.5 * trace + lower @ correlation)
        if self._noise is None:
            gradient[-1] += 0.5 * trace * (p.noise - self._min_noise)
        return float(value), gradient


def fit(
    kernel: MixedMatern,
    x: Array,
    y: Array,
    *,
    priors: Priors | None = None,
    noise: float | None = None,
    num_context: int = 0,
    num_iterations: int = 60,
) -> tuple[KernelParameters, float]:
    """Returns the most probable hyperparameters, and their negative log posterior.

    Args:
        kernel: The correlation.
        x: Points, of shape ``(n, d)``, NaN where inactive.
        y: Observations of about mean 0 and variance 1, of shape ``(n,)``.
        priors: The priors.
        noise: A known variance of the noise; ``None`` to learn it.
        num_context: How many of the last coordinates are those of a context.
        num_iterations: Iterations of L-BFGS at most.
    """
    objective = NegativeLogPosterior(kernel, x, y, priors or Priors(), noise, num_context=num_context)
    start, spread = objective.prior_mean, objective.prior_spread
    result = optimize.minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=optimize.Bounds(start - 5.0 * spread, start + 5.0 * spread),
        options={"maxiter": num_iterations, "gtol": 1e-3, "ftol": 1e-7},
    )
    return objective.parameters(result.x), float(result.fun)
