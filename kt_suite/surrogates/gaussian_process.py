"""A Gaussian process with given hyperparameters."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from kt_suite.surrogates.kernel_parameters import KernelParameters
from kt_suite.surrogates.mixed_matern import MixedMatern, matern52
from kt_suite.surrogates.posterior import Posterior

Array = np.ndarray

_MIN_VARIANCE = 1e-14


class GaussianProcess:
    """The posterior of a Gaussian process with an unknown constant mean around 0.

    Rasmussen and Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, algorithm 2.1; the inverse of the
    Cholesky factor is kept as well, because a maximisation asks for thousands of points.

    Args:
        kernel: The correlation.
        parameters: Its hyperparameters.
        x: Points, of shape ``(n, d)``, NaN where inactive.
        y: Observations, of shape ``(n,)``.

    Example:
        >>> import numpy as np
        >>> kernel = MixedMatern(np.array([False]), np.array([False]))
        >>> parameters = KernelParameters(np.array([0.5]), scale=1.0, noise=1e-6)
        >>> process = GaussianProcess(kernel, parameters, np.array([[0.0], [1.0]]), np.array([-1.0, 1.0]))
        >>> bool(abs(process.posterior(np.array([[0.5]])).mean[0]) < 1e-9)
        True
    """

    def __init__(self, kernel: MixedMatern, parameters: KernelParameters, x: Array, y: Array) -> None:
        self.kernel = kernel
        self.parameters = parameters
        self.x = x
        self.y = y
        covariance = self._covariance(x, x)
        covariance[np.diag_indices(len(x))] += parameters.noise
        self._set_factor(_cholesky(covariance))

    def _covariance(self, a: Array, b: Array) -> Array:
        square = self.kernel.weighted(a, b, self.parameters.weights)
        return np.asarray(self.parameters.scale * matern52(square)[0] + self.parameters.mean_variance)

    def _set_factor(self, factor: Array) -> None:
        self._factor = factor
        self._inverse = np.asarray(linalg.lapack.dtrtri(factor, lower=1)[0])
        self._alpha = self._inverse.T @ (self._inverse @ self.y)

    def posterior(self, x: Array) -> Posterior:
        """Returns the posterior of the function (without noise) at points ``(m, d)``."""
        scale, weights = self.parameters.scale, self.parameters.weights
        covariance, slope = matern52(self.kernel.weighted(x, self.x, weights))
        covariance *= scale
        covariance += self.parameters.mean_variance
        whitened = covariance @ self._inverse.T
        total = scale + self.parameters.mean_variance
        variance = np.maximum(total - np.einsum("ij,ij->i", whitened, whitened), _MIN_VARIANCE)

        def pull_back(by_mean: Array, by_variance: Array) -> Array:
            by_covariance = -2.0 * by_variance[:, None] * (whitened @ self._inverse)
            by_covariance += by_mean[:, None] * self._alpha
            by_covariance *= scale * slope
            return self.kernel.pull_back(x, self.x, weights, by_covariance)

        return Posterior(covariance @ self._alpha, variance, pull_back)

    def condition(self, x: Array, y: Array | None = None) -> GaussianProcess:
        """Returns the process that has seen points ``(m, d)`` as well, at a cost of O(n^2 m).

        Args:
            x: The points.
            y: What was observed there, of shape ``(m,)``; ``None`` to believe the posterior mean (a fantasy), which
                lowers the variance around the points and leaves the mean as it is everywhere.
        """
        if len(x) == 0:
            return self
        n, m = len(self.x), len(x)
        cross = self._covariance(x, self.x) @ self._inverse.T
        inner = self._covariance(x, x) - cross @ cross.T
        inner[np.diag_indices(m)] += self.parameters.noise
        factor = np.zeros((n + m, n + m))
        factor[:n, :n], factor[n:, :n], factor[n:, n:] = self._factor, cross, _cholesky(inner)
        extended = object.__new__(GaussianProcess)
        extended.kernel, extended.parameters = self.kernel, self.parameters
        extended.x = np.vstack([self.x, x])
        extended.y = np.concatenate([self.y, self.posterior(x).mean if y is None else y])
        extended._set_factor(factor)
        return extended


def _cholesky(matrix: Array) -> Array:
    """Returns the lower Cholesky factor; where rounding left none, with the least jitter of a ladder that makes one."""
    jitter = 0.0
    while True:
        try:
            return np.asarray(linalg.cholesky(matrix + jitter * np.eye(len(matrix)), lower=True))
        except linalg.LinAlgError:
            jitter = max(10.0 * jitter, 1e-10 * float(np.mean(np.diagonal(matrix))), 1e-12)
