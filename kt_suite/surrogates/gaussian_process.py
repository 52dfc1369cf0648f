"""A Gaussian process with given hyperparameters: posterior, gradients and conditioning."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from kt_suite.surrogates.kernel import MixedMatern52, matern52

Array = np.ndarray

MIN_VARIANCE = 1e-14


@dataclass(frozen=True)
class KernelParameters:
    """The hyperparameters of a Gaussian process.

    Attributes:
        length_scales: One for each coordinate, of shape ``(d,)``, in units of the cube's edge.
        scale: Variance of the function.
        noise: Variance of an observation around the function.
    """

    length_scales: Array
    scale: float
    noise: float

    @property
    def weights(self) -> Array:
        """The inverse squared length-scales, of shape ``(d,)``."""
        return np.asarray(self.length_scales, dtype=float) ** -2.0


def cholesky(matrix: Array) -> Array:
    """Returns the lower Cholesky factor, with the least jitter of a geometric ladder that makes one exist."""
    jitter = 0.0
    while True:
        try:
            return np.asarray(linalg.cholesky(matrix + jitter * np.eye(len(matrix)), lower=True, check_finite=False))
        except linalg.LinAlgError:
            jitter = max(10.0 * jitter, 1e-10 * float(np.mean(np.diag(matrix))))


class GaussianProcess:
    """The posterior of a zero-mean Gaussian process.

    Rasmussen & Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, algorithm 2.1.

    Args:
        kernel: The correlation.
        parameters: Its hyperparameters.
        x: Points, of shape ``(n, d)``, NaN where inactive.
        y: Observations, of shape ``(n,)``.
    """

    def __init__(self, kernel: MixedMatern52, parameters: KernelParameters, x: Array, y: Array) -> None:
        self.kernel = kernel
        self.parameters = parameters
        self.x = x
        self.y = y
        covariance = parameters.scale * matern52(kernel.weighted(x, x, parameters.weights))[0]
        covariance[np.diag_indices(len(x))] += parameters.noise
        self._set_factor(cholesky(covariance))

    def _set_factor(self, factor: Array) -> None:
        self._factor = factor
        self._inverse, info = linalg.lapack.dtrtri(factor, lower=1)
        self._alpha = self._inverse.T @ (self._inverse @ self.y)

    def posterior(self, x: Array) -> Posterior:
        """Returns the posterior of the function (without noise) at points ``(m, d)``."""
        square = self.kernel.weighted(x, self.x, self.parameters.weights)
        correlation, slope = matern52(square)
        correlation *= self.parameters.scale
        slope *= self.parameters.scale
        whitened = correlation @ self._inverse.T
        variance = self.parameters.scale - np.einsum("ij,ij->i", whitened, whitened)
        return Posterior(correlation @ self._alpha, np.maximum(variance, MIN_VARIANCE), self, x, slope, whitened)

    def condition(self, x: Array, y: Array | None = None) -> GaussianProcess:
        """Returns the process that has also seen points ``(m, d)``, at O(n^2 m) cost.

        Args:
            x: The points.
            y: What was observed there, of shape ``(m,)``; ``None`` to believe the posterior mean (a fantasy), which
                lowers the variance around the points and leaves the mean everywhere as it is.
        """
        if y is None:
            y = self.posterior(x).mean
        n, m = len(self.x), len(x)
        p = self.parameters
        cross = p.scale * matern52(self.kernel.weighted(x, self.x, p.weights))[0] @ self._inverse.T
        inner = p.scale * matern52(self.kernel.weighted(x, x, p.weights))[0] - cross @ cross.T
        inner[np.diag_indices(m)] += p.noise
        factor = np.zeros((n + m, n + m))
        factor[:n, :n] = self._factor
        factor[n:, :n] = cross
        factor[n:, n:] = cholesky(inner)
        extended = object.__new__(GaussianProcess)
        extended.kernel, extended.parameters = self.kernel, p
        extended.x, extended.y = np.vstack([self.x, x]), np.concatenate([self.y, y])
        extended._set_factor(factor)
        return extended


@dataclass(frozen=True)
class Posterior:
    """Means and variances at some points, and the way back to the points.

    Attributes:
        mean: Posterior means, of shape ``(m,)``.
        variance: Posterior variances of the function, at least ``MIN_VARIANCE``, of shape ``(m,)``.
    """

    mean: Array
    variance: Array
    _process: GaussianProcess
    _x: Array
    _slope: Array
    _whitened: Array

    @property
    def deviation(self) -> Array:
        """Posterior standard deviations, of shape ``(m,)``."""
        return np.sqrt(self.variance)

    def pull_back(self, by_mean: Array, by_variance: Array) -> Array:
        """Returns the gradient ``(m, d)`` in the points of a function of ``mean`` and ``variance``.

        Args:
            by_mean: Its derivative in each mean, of shape ``(m,)``.
            by_variance: Its derivative in each variance, of shape ``(m,)``.
        """
        process = self._process
        beta = self._whitened @ process._inverse
        slope = by_mean[:, None] * process._alpha - 2.0 * by_variance[:, None] * beta
        slope *= self._slope
        return process.kernel.pull_back(self._x, process.x, process.parameters.weights, slope)
