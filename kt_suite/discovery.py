"""Finding the space of a hypermodel by building it, and keeping it the same over the parts of a resumed search."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from kt_suite.hyperparameters import HyperParameters, can_be, describe


def discover(oracle: Any, build: Callable[[Any], Any]) -> Any:
    """Builds until every conditional scope that can be active has been, telling the oracle of what it meets.

    Every scope is tried once, so that the number of builds is bounded whatever a build does.

    Args:
        oracle: The oracle whose space grows.
        build: From hyperparameters to a model.

    Returns:
        The model that was built last.
    """
    seen: list[Any] = []
    hp = HyperParameters.of(oracle.get_space())
    while True:
        model = build(hp)
        oracle.update_space(hp)
        seen += [scope for scope in hp.active_scopes if scope not in seen]
        waiting = [scope for scope in hp.inactive_scopes if scope not in seen]
        if not waiting:
            return model
        seen.append(waiting[0])
        hp = HyperParameters.of(oracle.get_space())
        _open_scope(hp, waiting[0])


def _open_scope(hp: HyperParameters, scope: list[Any]) -> None:
    """Gives the parents of a scope values that open it: for each the first that it can have."""
    for condition in scope:
        hp.ensure_active_values()
        parents = [one for one in hp.space if one.name == condition.name]
        legal = [value for value in condition.values if any(can_be(parent, value) for parent in parents)]
        if legal and not condition.is_active(hp.values):
            hp.values[condition.name] = legal[0]
    hp.ensure_active_values()


def reconcile(stored: list[dict[str, Any]], today: HyperParameters) -> HyperParameters:
    """Returns a space in the order of the stored one, with today's definitions where both have one.

    Args:
        stored: The space of an earlier part of the search, as configs.
        today: What today's code declares.
    """
    merged = HyperParameters()
    for hp in HyperParameters.from_config({"space": stored, "values": {}}).space:
        current = next((one for one in today.space if one.name == hp.name and one.conditions == hp.conditions), None)
        if current is not None and describe(current) != describe(hp):
            warnings.warn(
                f"Hyperparameter {hp.name!r} was {hp!r} when the search began; new trials use {current!r}.",
                stacklevel=4,
            )
        merged.merge([current or hp])
    merged.merge([hp for hp in today.space if not merged._exists(hp.name, hp.conditions)])
    return merged
