"""The hyperparameters of a Gaussian process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class KernelParameters:
    """Length-scales and variances.

    Attributes:
        length_scales: One for each coordinate, of shape ``(d,)``, in units of the cube's edge.
        scale: Variance of the function.
        noise: Variance of an observation around the function.
        mean_variance: Variance of the function's unknown mean, which is the same everywhere. Optimisation gathers its
            points where losses are low, so that their average says little of what is far away from them.
    """

    length_scales: np.ndarray
    scale: float
    noise: float
    mean_variance: float = 0.0

    @property
    def weights(self) -> np.ndarray:
        """The inverse squared length-scales, of shape ``(d,)``."""
        return np.asarray(self.length_scales, dtype=float) ** -2.0
