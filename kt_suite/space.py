"""The space as algorithms see it: a unit cube with finite and continuous axes, and rules for which of them are
active.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from kt_suite.errors import InputError, rule
from kt_suite.hyperparameters import plain, same

Kind = Literal["float", "integer", "category"]

_MAX_COUNTED = 10**15
_MAX_NODES = 100_000


@dataclass(frozen=True)
class Dimension:
    """One axis of the unit cube.

    Attributes:
        name: Name of the hyperparameter. Two dimensions may share a name under different conditions.
        kind: ``"float"`` for a continuous axis, ``"integer"`` for ordered levels, ``"category"`` for unordered ones.
        num_values: Number of levels; ``None`` for a continuous axis.
        hp: The hyperparameter itself.
    """

    name: str
    kind: Kind
    num_values: int | None
    hp: Any = field(repr=False, compare=False)

    @property
    def is_conditional(self) -> bool:
        """Whether the axis is active only for some values of others."""
        return bool(self.hp.conditions)

    def value(self, coordinate: float) -> Any:
        """Returns the value at a coordinate in [0, 1]; finite axes take the nearest level."""
        coordinate = min(max(float(coordinate), 0.0), 1.0)
        if self.kind == "category" or (self.num_values is not None and hasattr(self.hp, "index")):
            levels = list(self.hp.values)
            return levels[min(int(coordinate * len(levels)), len(levels) - 1)]
        return plain(self.hp.prob_to_value(coordinate))

    def coordinate(self, value: Any) -> float:
        """Returns the coordinate in [0, 1] of a value; levels lie in the middle of their part of the axis."""
        if self.kind == "category" or (self.num_values is not None and hasattr(self.hp, "index")):
            levels = list(self.hp.values)
            return next(i for i, level in enumerate(levels) if same(level, value)) / len(levels) + 0.5 / len(levels)
        return float(min(max(self.hp.value_to_prob(value), 0.0), 1.0))

    def snap(self, coordinate: float) -> float:
        """Returns the coordinate of the level nearest to ``coordinate``; a continuous axis returns it unchanged."""
        return coordinate if self.num_values is None else self.coordinate(self.value(coordinate))

    def values(self) -> list[Any]:
        """Returns all levels of a finite axis, in order."""
        if self.num_values is None:
            raise InputError(rule(f"Dimension {self.name!r}", "be finite to list its values", self.kind))
        return _levels(self.hp)

    def contains(self, value: Any) -> bool:
        """Whether ``value`` is one that the hyperparameter can take."""
        if hasattr(self.hp, "min_value"):
            if isinstance(value, (bool, str)) or not isinstance(value, (int, float)):
                return False
            if not self.hp.min_value <= value <= self.hp.max_value:
                return False
            return self.num_values is None or math.isclose(self.value(self.coordinate(value)), value, rel_tol=1e-9)
        return any(same(level, value) for level in self.hp.values)


def _levels(hp: Any) -> list[Any]:
    if hasattr(hp, "min_value") and hp.step is None:
        # An integer on a log scale; or a float whose range is one point.
        return [hp.min_value] if type(hp).__name__ == "Float" else list(range(hp.min_value, hp.max_value + 1))
    return [plain(value) for value in hp.values]


def _count_levels(hp: Any) -> int | None:
    if not hasattr(hp, "min_value"):
        return len(list(hp.values))
    if hp.step is not None:
        return int(hp._get_n_values())
    if type(hp).__name__ == "Int":
        return int(hp.max_value - hp.min_value + 1)
    return 1 if hp.min_value == hp.max_value else None


def _kind(hp: Any, num_values: int | None) -> Kind:
    if num_values is None:
        return "float"
    if hasattr(hp, "min_value") or getattr(hp, "ordered", False):
        return "integer"
    return "category"


class Space:
    """A read-only view of hyperparameters for algorithms.

    ``Fixed`` hyperparameters, and those with one level only, are part of the values but no dimension.

    Args:
        hyperparameters: The hyperparameters, parents before children.

    Attributes:
        dimensions: The axes, in the order of the hyperparameters.

    Example:
        >>> import kt_suite as kts
        >>> from kt_suite.space import Space
        >>> hp = kts.HyperParameters()
        >>> hp.Float("rate", 1e-4, 1e-2, sampling="log")
        0.0001
        >>> Space(hp).from_unit([0.5])
        {'rate': 0.001}
    """

    def __init__(self, hyperparameters: Any) -> None:
        self.hyperparameters = list(hyperparameters.space)
        self.dimensions: list[Dimension] = []
        self._axis: list[int | None] = []
        for hp in self.hyperparameters:
            num_values = _count_levels(hp)
            if type(hp).__name__ == "Fixed" or num_values == 1:
                self._axis.append(None)
                continue
            self._axis.append(len(self.dimensions))
            self.dimensions.append(Dimension(hp.name, _kind(hp, num_values), num_values, hp))

    def __len__(self) -> int:
        return len(self.dimensions)

    def to_unit(self, values: Mapping[str, Any]) -> np.ndarray:
        """Returns the ``(d,)`` coordinates of ``values``, NaN on axes that are not active."""
        unit = np.full(len(self.dimensions), np.nan)
        for hp, axis in zip(self.hyperparameters, self._axis, strict=True):
            if axis is not None and hp.name in values and _is_active(hp, values):
                unit[axis] = self.dimensions[axis].coordinate(values[hp.name])
        return unit

    def from_unit(self, unit: Any) -> dict[str, Any]:
        """Returns the values at ``(d,)`` coordinates; those of inactive axes are passed over, whatever they hold."""
        values: dict[str, Any] = {}
        for hp, axis in zip(self.hyperparameters, self._axis, strict=True):
            if not _is_active(hp, values):
                continue
            if axis is None:
                values[hp.name] = _levels(hp)[0] if type(hp).__name__ != "Fixed" else hp.value
            else:
                coordinate = float(unit[axis])
                values[hp.name] = hp.default if math.isnan(coordinate) else self.dimensions[axis].value(coordinate)
        return values

    def activity(self, unit: np.ndarray) -> np.ndarray:
        """Returns which axes are active at each row of ``unit``.

        Args:
            unit: Coordinates of shape ``(n, d)``; every axis holds a number.

        Returns:
            Booleans of shape ``(n, d)``.
        """
        unit = np.atleast_2d(unit)
        active = np.ones(unit.shape, dtype=bool)
        if not any(dimension.is_conditional for dimension in self.dimensions):
            return active
        for row in range(len(unit)):
            values: dict[str, Any] = {}
            for hp, axis in zip(self.hyperparameters, self._axis, strict=True):
                is_active = _is_active(hp, values)
                if axis is not None:
                    active[row, axis] = is_active
                if is_active and hp.name in self._parents:
                    values[hp.name] = _levels(hp)[0] if axis is None else self.dimensions[axis].value(unit[row, axis])
        return active

    def sample(self, rng: np.random.Generator) -> dict[str, Any]:
        """Returns values drawn uniformly on the unit cube."""
        return self.from_unit(rng.random(len(self.dimensions)))

    def defaults(self) -> dict[str, Any]:
        """Returns the values of a search that tunes nothing."""
        values: dict[str, Any] = {}
        for hp in self.hyperparameters:
            if _is_active(hp, values):
                values[hp.name] = plain(hp.default)
        return values

    @staticmethod
    def key(values: Mapping[str, Any]) -> str:
        """Returns text that is equal for equal values, whatever their order."""
        return json.dumps(sorted(values.items()), default=repr)

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns ``values`` completed with defaults and stripped of what is inactive.

        Raises:
            InputError: A name that is not in the space, or a value outside its range.
        """
        known = {hp.name for hp in self.hyperparameters}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(rule("Hyperparameter names", f"be among {sorted(known)}", unknown[0]))
        checked: dict[str, Any] = {}
        for hp in self.hyperparameters:
            if _is_active(hp, checked):
                value = plain(values.get(hp.name, hp.default))
                if not Dimension(hp.name, _kind(hp, _count_levels(hp)), _count_levels(hp), hp).contains(value):
                    raise InputError(rule(f"The value of {hp.name!r}", f"lie in {hp!r}", value))
                checked[hp.name] = value
        return checked

    @cached_property
    def _parents(self) -> frozenset[str]:
        return frozenset(condition.name for hp in self.hyperparameters for condition in hp.conditions)

    def size(self) -> int | None:
        """Returns the number of distinct points, or ``None`` if the space is infinite or too large to count."""
        nodes = 0

        def count(index: int, values: dict[str, Any]) -> int | None:
            nonlocal nodes
            total = 1
            for at in range(index, len(self.hyperparameters)):
                hp = self.hyperparameters[at]
                num_values = _count_levels(hp) if _is_active(hp, values) else 1
                if num_values is None:
                    return None
                if hp.name not in self._parents or not _is_active(hp, values):
                    total *= num_values
                    continue
                nodes += num_values
                if nodes > _MAX_NODES:
                    return None
                parts = [count(at + 1, {**values, hp.name: level}) for level in _levels(hp)]
                return None if None in parts else total * sum(part for part in parts if part is not None)
            return total

        counted = count(0, {})
        return None if counted is None or counted > _MAX_COUNTED else counted

    def points(self, axis_values: Any = _levels) -> Iterator[dict[str, Any]]:
        """Yields all distinct points, the last hyperparameter varying fastest.

        Args:
            axis_values: From a hyperparameter to the list of its levels. The default needs a finite space.
        """
        stack: list[tuple[int, dict[str, Any]]] = [(0, {})]
        while stack:
            index, values = stack.pop()
            if index == len(self.hyperparameters):
                yield values
                continue
            hp = self.hyperparameters[index]
            if not _is_active(hp, values):
                stack.append((index + 1, values))
                continue
            stack += [(index + 1, {**values, hp.name: level}) for level in reversed(axis_values(hp))]


def _is_active(hp: Any, values: Mapping[str, Any]) -> bool:
    return all(condition.is_active(values) for condition in hp.conditions)


def grid_values(hp: Any) -> list[Any]:
    """Returns the values that a grid walks: all levels, or KerasTuner's ten points of an axis without a step, in
    order.
    """
    if hasattr(hp, "min_value") and hp.step is None:
        return sorted({plain(hp.prob_to_value(i * 0.1 + 0.05)) for i in range(10)})
    return _levels(hp)
