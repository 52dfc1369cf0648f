"""From a space to a domain, from trials to evidence, and from points back to values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kt_suite.acquisition.domain import Domain
from kt_suite.acquisition.evidence import Evidence
from kt_suite.acquisition.proposal import propose
from kt_suite.acquisition.search_model import Settings

if TYPE_CHECKING:
    from kt_suite.space import Dimension, Space

Array = np.ndarray
Values = Mapping[str, Any]

# An ordered axis of more levels counts as continuous; its values are rounded when they are read off.
_MAX_LEVELS = 1024


class Observed(Protocol):
    """What is asked of an observation: ``kt_suite.oracles.Observation`` has it."""

    @property
    def values(self) -> dict[str, Any]:
        """Hyperparameter name to value."""
        ...

    @property
    def is_pending(self) -> bool:
        """Whether the trial has not ended."""
        ...

    @property
    def fidelity(self) -> float:
        """Level at which the score was observed, in (0, 1]."""
        ...

    @property
    def seconds(self) -> float | None:
        """Cost of the trial."""
        ...


def domain_of(space: Space) -> Domain:
    """Returns the domain of a space."""
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


def evidence_of(
    space: Space,
    observations: Sequence[Observed],
    losses: Sequence[float | None],
    *,
    encode: Callable[[Observed], Array] | None = None,
) -> Evidence:
    """Returns what trials of one search tell.

    Args:
        space: The space.
        observations: The trials, in the order of their proposal.
        losses: Their losses; ``None`` while pending and after a failure.
        encode: From an observation to its unit coordinates, in place of ``space.to_unit``.
    """
    to_unit = encode or (lambda observation: space.to_unit(observation.values))
    return Evidence.of(
        np.array([to_unit(observation) for observation in observations]).reshape(len(losses), len(space)),
        np.array([np.nan if loss is None else loss for loss in losses], dtype=float),
        is_pending=np.array([observation.is_pending for observation in observations], dtype=bool),
        fidelities=np.array([observation.fidelity for observation in observations], dtype=float),
        seconds=np.array([observation.seconds or np.nan for observation in observations], dtype=float),
    )


def propose_values(
    space: Space,
    evidence: Evidence,
    rng: np.random.Generator,
    *,
    settings: Settings | None = None,
    num_proposals: int = 1,
    has_tried: Callable[[Values], bool] = lambda values: False,
) -> list[dict[str, Any]]:
    """Returns the values to try next, no two alike; see :func:`kt_suite.acquisition.propose`.

    Args:
        space: The space, of at least one dimension.
        evidence: What is known, with at least two losses.
        rng: Source of all randomness.
        settings: How to propose.
        num_proposals: Values wanted; fewer are returned where no others are left.
        has_tried: Whether values would be a repeat.
    """
    points = propose(
        domain_of(space),
        evidence,
        rng,
        settings=settings,
        num_proposals=num_proposals,
        is_allowed=lambda point: not has_tried(space.from_unit(point)),
    )
    return [space.from_unit(point) for point in points]
