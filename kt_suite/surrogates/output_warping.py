"""Losses made Gaussian."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

Array = np.ndarray

_POWER_BOUNDS = (-4.0, 3.0)
_MAX_SPREADS = 100.0


@dataclass(frozen=True)
class OutputWarping:
    """A monotone map from losses to values of mean 0 and variance 1: a bound on bad losses, and a power transform.

    Yeo and Johnson, "A new family of power transformations to improve normality or symmetry", Biometrika 87(4), 2000;
    that
    optimisers gain by it: Cowen-Rivers et al., "HEBO: pushing the limits of sample-efficient hyperparameter
        optimisation", JAIR 74,
    2022, arXiv 2012.03826. Deviation from HEBO: the user of this class can compare the marginal likelihoods with and
    without the power transform, by :meth:`log_slopes`, and take it only where it helps.

    Attributes:
        bound: Losses above it count as equal to it, so that a diverged training does not flatten all the others.
        center: Subtracted from losses.
        spread: Divides them next.
        power: Parameter of the power transform; 1 leaves values as they are.
        warped_center: Subtracted from transformed values.
        warped_spread: Divides them next.
    """

    bound: float
    center: float
    spread: float
    power: float = 1.0
    warped_center: float = 0.0
    warped_spread: float = 1.0

    @classmethod
    def standardizing(cls, loss: Array) -> OutputWarping:
        """Returns the map without power transform for finite losses of shape ``(n,)``."""
        low = float(loss.min())
        above = loss[loss > low] - low
        bound = low + _MAX_SPREADS * float(np.quantile(above, 0.25)) if len(above) else low
        loss = np.minimum(loss, bound)
        return cls(bound, float(np.mean(loss)), _spread(loss))

    @classmethod
    def powering(cls, loss: Array) -> OutputWarping:
        """Returns the map with the power transform that makes finite losses of shape ``(n,)`` most Gaussian."""
        plain = cls.standardizing(loss)
        z = plain(loss)
        logs = np.sign(z) * np.log1p(np.abs(z))

        def negative_log_likelihood(power: float) -> float:
            variance = float(np.var(_yeo_johnson(z, power)))
            return 0.5 * len(z) * np.log(max(variance, 1e-300)) - (power - 1.0) * float(logs.sum())  # type: ignore[no-any-return]

        found = optimize.minimize_scalar(negative_log_likelihood, bounds=_POWER_BOUNDS, method="bounded")
        power = float(found.x)
        warped = _yeo_johnson(z, power)
        return cls(plain.bound, plain.center, plain.spread, power, float(np.mean(warped)), _spread(warped))

    def __call__(self, loss: Array) -> Array:
        """Returns the warped losses, of the same shape."""
        z = (np.minimum(loss, self.bound) - self.center) / self.spread
        return np.asarray((_yeo_johnson(z, self.power) - self.warped_center) / self.warped_spread)

    def log_slopes(self, loss: Array) -> Array:
        """Returns the logarithms of the map's slopes at losses, of the same shape, the bound left aside."""
        z = (np.minimum(loss, self.bound) - self.center) / self.spread
        powered = (self.power - 1.0) * np.sign(z) * np.log1p(np.abs(z))
        return np.asarray(powered - np.log(self.warped_spread) - np.log(self.spread))


def _spread(values: Array) -> float:
    """Returns the standard deviation; 1 for values that are equal up to rounding."""
    spread = float(np.std(values))
    return spread if spread > 1e-12 * float(np.abs(values).max()) else 1.0


def _yeo_johnson(z: Array, power: float) -> Array:
    positive, negative = np.log1p(np.maximum(z, 0.0)), np.log1p(np.maximum(-z, 0.0))
    return np.where(z >= 0.0, _expm1_over(positive, power), -_expm1_over(negative, 2.0 - power))


def _expm1_over(logs: Array, power: float) -> Array:
    """Returns ((1 + z)^p - 1) / p from log(1 + z), and its limit log(1 + z) for p = 0."""
    return logs if abs(power) < 1e-8 else np.expm1(power * logs) / power
