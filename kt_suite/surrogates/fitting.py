"""Maximum a posteriori hyperparameters of a Gaussian process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize

from kt_suite.surrogates.gaussian_process import KernelParameters
from kt_suite.surrogates.kernel import MixedMatern52, matern52

Array = np.ndarray


@dataclass(frozen=True)
class LogNormalPriors:
    length_mean: float = 0.0
    length_sd: float = 1.0
    scale_mean: float = 0.0
    scale_sd: float = 1.0
    noise_mean: float = -8.0
    noise_sd: float = 2.0
    min_noise: float = 1e-6
    dim_scaled: float = 0.5

    def moments(self, d: int) -> tuple[Array, Array]:
        mean = np.r_[np.full(d, self.length_mean + self.dim_scaled * np.log(d)), self.scale_mean, self.noise_mean]
        sd = np.r_[np.full(d, self.length_sd), self.scale_sd, self.noise_sd]
        return mean, sd


class NegativeLogPosterior:
    """-log p(y | theta) - log p(theta), up to a constant, and its gradient."""

    def __init__(self, kernel: MixedMatern52, x: Array, y: Array, priors, noise: float | None = None) -> None:
        n = len(x)
        self.y = y
        self.n = n
        self.pairs = np.tril_indices(n, -1)
        self.flat = self.pairs[0] * n + self.pairs[1]
        self.distances = np.stack(
            [kernel.distance(j, x[:, j], x[:, j]).ravel()[self.flat] for j in range(kernel.num_dimensions)]
        )
        self.mean, self.sd = priors.moments(kernel.num_dimensions)
        self.noise = noise
        self.min_noise = priors.min_noise

    def parameters(self, theta: Array) -> KernelParameters:
        noise = self.noise if self.noise is not None else float(np.exp(theta[-1])) + self.min_noise
        return KernelParameters(np.exp(theta[:-2]), float(np.exp(theta[-2])), noise)

    def __call__(self, theta: Array) -> tuple[float, Array]:
        n, d = self.n, len(theta) - 2
        weights = np.exp(-2.0 * theta[:d])
        scale = np.exp(theta[d])
        noise = self.noise if self.noise is not None else np.exp(theta[-1]) + self.min_noise
        correlation, slope = matern52(weights @ self.distances)
        covariance = np.zeros((n, n))
        covariance.ravel()[self.flat] = scale * correlation
        covariance.ravel()[:: n + 1] = scale + noise
        # LAPACK reads columns first: the lower triangle of a C array is the upper one there
        factor, info = linalg.lapack.dpotrf(covariance.T, lower=0, overwrite_a=1, clean=0)
        z = (theta - self.mean) / self.sd
        if info != 0:
            return 1e10, np.zeros_like(theta)
        log_det = 2.0 * np.log(np.diagonal(factor)).sum()
        inverse, _ = linalg.lapack.dpotri(factor, lower=0)
        inverse = inverse.T  # lower triangle, C order
        alpha = linalg.lapack.dpotrs(factor, self.y, lower=0)[0]
        value = 0.5 * (self.y @ alpha) + 0.5 * log_det
        residual = inverse.ravel()[self.flat] if inverse.flags.c_contiguous else inverse[self.pairs]
        residual = residual - alpha[self.pairs[0]] * alpha[self.pairs[1]]
        trace = float(np.diagonal(inverse).sum() - alpha @ alpha)
        gradient = np.empty_like(theta)
        gradient[:d] = -2.0 * scale * weights * (self.distances @ (residual * slope))
        gradient[d] = 0.5 * scale * trace + scale * (residual @ correlation)
        gradient[-1] = 0.5 * (noise - self.min_noise) * trace if self.noise is None else 0.0
        value += 0.5 * (z @ z)
        gradient += z / self.sd
        return float(value), gradient


def fit(kernel, x, y, priors, noise=None, starts=(0.0,), maxiter=60):
    objective = NegativeLogPosterior(kernel, x, y, priors, noise)
    best = None
    evals = 0
    for shift in starts:
        theta = objective.mean.copy()
        theta[:-2] += shift
        bounds = [(np.log(5e-3), np.log(1e3))] * (len(theta) - 2) + [(np.log(1e-3), np.log(1e3)), (np.log(1e-9), np.log(2.0))]
        result = optimize.minimize(objective, theta, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": maxiter, "gtol": 1e-3, "ftol": 1e-7})
        evals += result.nfev
        if best is None or result.fun < best.fun:
            best = result
    return objective.parameters(best.x), best.fun, evals
