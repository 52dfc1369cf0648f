"""What a Gaussian process says of some points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Posterior:
    """Means and variances at ``m`` points, and the way back to the points.

    Attributes:
        mean: Posterior means, of shape ``(m,)``.
        variance: Posterior variances of the function (without noise), above 0, of shape ``(m,)``.
        pull_back: From the derivatives of a function in ``mean`` and in ``variance``, each of shape ``(m,)``, to its
            gradient
            in the points, of shape ``(m, d)``.
    """

    mean: np.ndarray
    variance: np.ndarray
    pull_back: Callable[[np.ndarray, np.ndarray], np.ndarray] = field(repr=False)

    @property
    def deviation(self) -> np.ndarray:
        """Posterior standard deviations, of shape ``(m,)``."""
        return np.asarray(np.sqrt(self.variance))
