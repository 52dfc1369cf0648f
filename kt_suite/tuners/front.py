"""One objective or a front of several: which oracle a tuner needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kt_suite.errors import InputError, rule
from kt_suite.oracles.pareto import ParetoOracle


def make_oracle(
    kind: Any,
    objective: Any,
    pareto: Sequence[Any] | None,
    *,
    sampler: str,
    arguments: Mapping[str, Any],
    own: Mapping[str, Any] | None = None,
) -> Any:
    """Returns an oracle for one objective, or for a front.

    Args:
        kind: The class of the oracle for one objective.
        objective: The objective.
        pareto: The objectives of a front; ``None`` for one objective.
        sampler: What a ``ParetoOracle`` draws by in its place.
        arguments: Arguments of either.
        own: Arguments of ``kind`` alone.

    Raises:
        InputError: Both or an argument of ``kind`` alone are given for a front.
    """
    if pareto is None:
        return kind(objective=objective, **arguments, **(own or {}))
    if objective is not None:
        raise InputError(rule("objective", "be None where pareto is given", objective))
    for name, value in (own or {}).items():
        if value:
            raise InputError(rule(name, "be left out where pareto is given", value))
    return ParetoOracle(pareto, sampler, **arguments)
