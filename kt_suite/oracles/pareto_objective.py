"""The objective of a search for a front."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kt_suite.errors import InputError, rule
from kt_suite.objective import MultiObjective, create_objective, to_loss


class ParetoObjective(MultiObjective):  # type: ignore[misc]
    """Several objectives, none of which is traded for another beforehand.

    A run has one scored epoch, at which all objectives are read, so that every point of a front is a model
    that has existed: the epoch where the first objective is best, or the last epoch, as the tuner's ``score``
    says. The first objective also is the score that tables show. An epoch where any of them is no finite
    number counts as one without a score.

    Args:
        objectives: Metric names or ``Objective``s, the first of them being the one to score epochs by.

    Attributes:
        objectives: The objectives, as ``Objective``s.
        name, direction: Those of the first objective.

    Raises:
        InputError: There is none, one is named twice, or the direction of one is unknown.

    Example:
        >>> import kt_suite as kts
        >>> from kt_suite.oracles.pareto_objective import ParetoObjective
        >>> objective = ParetoObjective(["val_accuracy", kts.Objective("seconds", "min")])
        >>> objective.losses({"val_accuracy": 0.75, "seconds": 2.0}).tolist()
        [-0.75, 2.0]
    """

    def __init__(self, objectives: Any) -> None:
        given = list(objectives) if isinstance(objectives, (list, tuple)) else [objectives]
        parts = [create_objective(one) for one in given]
        names = [part.name for part in parts]
        if not parts or len(set(names)) < len(names) or any(hasattr(part, "objectives") for part in parts):
            raise InputError(rule("The objectives of a front", "be at least one, each a metric of its own", names))
        super().__init__(parts)
        self.name, self.direction = parts[0].name, parts[0].direction

    def get_value(self, logs: Mapping[str, float]) -> float:
        """Returns the first objective, or NaN if any objective is no finite number."""
        values = [float(logs[part.name]) for part in self.objectives]
        return values[0] if all(map(math.isfinite, values)) else math.nan

    def losses(self, metrics: Mapping[str, float]) -> np.ndarray:
        """Returns all objectives, of shape ``(m,)``, as something to minimise."""
        return np.array([to_loss(float(metrics[part.name]), part.direction) for part in self.objectives])
