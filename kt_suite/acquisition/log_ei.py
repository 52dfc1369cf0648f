"""Log expected improvement that stays exact in the tails.

Ament et al., "Unexpected Improvements to Expected Improvement for Bayesian Optimization", NeurIPS 2023, arXiv
2310.20708.
"""

from __future__ import annotations

import numpy as np
from scipy import special

Array = np.ndarray

_ROOT_HALF_PI = np.sqrt(0.5 * np.pi)
_HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)
_FAR = -150.0


def _log_h(z: Array) -> tuple[Array, Array, Array]:
    """Returns log h, Phi / h and phi / h, for h(z) = phi(z) + z Phi(z).

    For z <= -1 the two terms of h nearly cancel. There h = phi (1 - r) with r = |z| Phi / phi, which ``erfcx`` gives
    without
    cancellation (appendix A of the paper). Beyond ``_FAR``, where r rounds to 1, its asymptotic series takes over; the
    paper keeps the first term only, and therefore switches later and less exactly.
    """
    near = np.maximum(z, -1.0)
    density = np.exp(-0.5 * near**2 - _HALF_LOG_2PI)
    cumulative = special.ndtr(near)
    h = density + near * cumulative
    tail = np.clip(z, _FAR, -1.0)
    mills = _ROOT_HALF_PI * special.erfcx(-tail / np.sqrt(2.0))  # Phi / phi
    far = np.minimum(z, _FAR)
    series = np.log1p(-3.0 / far**2 + 15.0 / far**4) - 2.0 * np.log(-far)
    log_ratio = np.where(z > _FAR, np.log1p(tail * mills), series)  # log (h / phi)
    inverse = np.exp(-log_ratio)
    mills = np.where(z > _FAR, mills, -1.0 / far * (1.0 - 1.0 / far**2))
    is_near = z > -1.0
    return (
        np.where(is_near, np.log(h), log_ratio - 0.5 * np.minimum(z, -1.0) ** 2 - _HALF_LOG_2PI),
        np.where(is_near, cumulative / h, mills * inverse),
        np.where(is_near, density / h, inverse),
    )


def log_expected_improvement(mean: Array, deviation: Array, threshold: float) -> tuple[Array, Array, Array]:
    """Returns log E[max(threshold - f, 0)] for f ~ N(mean, deviation^2), and its derivatives.

    Args:
        mean: Posterior means of a loss, of shape ``(n,)``.
        deviation: Posterior standard deviations, above 0, of shape ``(n,)``.
        threshold: The loss to improve on.

    Returns:
        The logarithm, its derivative in ``mean`` and its derivative in ``deviation``, each of shape ``(n,)``.

    Example:
        >>> import numpy as np
        >>> value, *_ = log_expected_improvement(np.array([0.0, 40.0]), np.array([1.0, 1.0]), threshold=0.0)
        >>> [round(float(v), 3) for v in value]
        [-0.919, -808.299]
    """
    z = (threshold - np.asarray(mean, dtype=float)) / deviation
    log_h, cumulative_ratio, density_ratio = _log_h(z)
    return log_h + np.log(deviation), -cumulative_ratio / deviation, density_ratio / deviation
