"""From a space to a domain, and from trials to evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kt_suite.acquisition.domain import Domain

if TYPE_CHECKING:
    from kt_suite.space import Dimension, Space

Array = np.ndarray

_MAX_LEVELS = 1024


def domain_of(space: Space) -> Domain:
    """Returns the domain of a space; ordered axes of very many levels count as continuous."""
    dimensions = space.dimensions
    names = {condition.name for dimension in dimensions for condition in dimension.hp.conditions}
    return Domain(
        levels=tuple(_levels(dimension) for dimension in dimensions),
        is_category=np.array([dimension.kind == "category" for dimension in dimensions], dtype=bool),
        is_conditional=np.array([dimension.is_conditional for dimension in dimensions], dtype=bool),
        parents=tuple(j for j, dimension in enumerate(dimensions) if dimension.name in names),
        activity=space.activity,
    )


def _levels(dimension: Dimension) -> Array | None:
    count = dimension.num_values
    if count is None or (count > _MAX_LEVELS and dimension.kind != "category"):
        return None
    return np.array([dimension.coordinate(value) for value in dimension.values()])
