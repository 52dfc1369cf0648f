"""Hyperparameters: KerasTuner's containers and types, with their defects mended.

What differs from KerasTuner 1.4.8, on purpose:

- ``Choice`` takes ``None``, booleans, tuples and mixed types, and returns them as they were given.
- Integers sampled on a log scale never exceed ``max_value``.
- Conditional scopes nest on any outer parent, and a scope that no value of its parent opens is an error.
- A name declared twice in one build with different ranges warns, in place of silently keeping the first.
- Values that are missing are filled with defaults, never from an unseeded generator.
- ``used`` remembers what a build really asked for.
"""

from __future__ import annotations

import abc
import contextlib
import copy
import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras_tuner
from keras_tuner.engine import hyperparameters as kt_types
from keras_tuner.src.engine.conditions import Parent as KTParent

from kt_suite.errors import InputError, rule


def plain(value: Any) -> Any:
    """Returns ``value`` as Python's own type: NumPy scalars unwrapped, lists made tuples."""
    if isinstance(value, (list, tuple)):
        return tuple(plain(item) for item in value)
    if hasattr(value, "item") and not isinstance(value, (str, bytes)) and getattr(value, "shape", None) == ():
        return value.item()
    return value


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal and of one kind, so that ``True`` is not ``1``."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


class Parent(KTParent):  # type: ignore[misc]
    """The condition that a parent has one of some values, which may be of any type a ``Choice`` can hold."""

    def __init__(self, name: str, values: Any) -> None:
        values = list(values) if isinstance(values, (list, tuple, set)) else [values]
        self.name = name
        self.values = [plain(value) for value in values]

    def is_active(self, values: dict[str, Any]) -> bool:
        return self.name in values and any(same(values[self.name], value) for value in self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KTParent) and other.name == self.name and same(tuple(other.values), tuple(self.values))

    def __hash__(self) -> int:
        return hash((self.name, tuple(map(repr, self.values))))


def _revive_condition(config: Any) -> Any:
    if isinstance(config, KTParent):
        return config
    fields = config.get("config", config)
    return Parent(fields["name"], fields["values"])


class _Revived:
    """Rebuilds a hyperparameter from its config, with conditions on values of any type."""

    conditions: list[Any]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        fields = dict(config)
        fields["conditions"] = [_revive_condition(condition) for condition in fields.get("conditions") or []]
        return cls(**fields)


class _Stepped(_Revived, abc.ABC):
    """Levels that are exact: the last one included, none beyond the range, and each mapped to itself and back."""

    min_value: Any
    max_value: Any
    step: Any
    sampling: str

    def _get_n_values(self) -> int:
        if self.sampling == "linear":
            return int((self.max_value - self.min_value) / self.step + 1e-8) + 1
        return int(math.log(self.max_value / self.min_value, self.step) + 1e-8) + 1

    def _get_value_by_index(self, index: int) -> Any:
        value = super()._get_value_by_index(index)  # type: ignore[misc]
        return min(max(self._rounded(value), self.min_value), self.max_value)

    @abc.abstractmethod
    def _rounded(self, value: float) -> Any:
        """Returns a level without what computing it has added."""

    def _to_prob_with_step(self, value: Any) -> float:
        if self.sampling == "linear":
            index = (value - self.min_value) / self.step
        elif self.sampling == "log":
            index = math.log(value / self.min_value, self.step)
        else:
            index = math.log((self.max_value - value + self.min_value) / self.min_value, self.step)
        return float((round(index) + 0.5) / self._get_n_values())


class Int(_Stepped, kt_types.Int):  # type: ignore[misc]
    """KerasTuner's ``Int``, never out of range."""

    def prob_to_value(self, prob: float) -> int:
        return int(min(max(super().prob_to_value(prob), self.min_value), self.max_value))

    def _rounded(self, value: float) -> int:
        return round(value)


class Float(_Stepped, kt_types.Float):  # type: ignore[misc]
    """KerasTuner's ``Float``, never out of range by rounding."""

    def prob_to_value(self, prob: float) -> float:
        return float(min(max(super().prob_to_value(prob), self.min_value), self.max_value))

    def _rounded(self, value: float) -> float:
        return float(f"{value:.12g}")


class Boolean(_Revived, kt_types.Boolean):  # type: ignore[misc]
    """KerasTuner's ``Boolean``."""


class Fixed(_Revived, kt_types.Fixed):  # type: ignore[misc]
    """KerasTuner's ``Fixed``."""


class Choice(_Revived, kt_types.Choice):  # type: ignore[misc]
    """One of several values: ``None``, booleans, numbers, strings and tuples of these, mixed as needed.

    Args:
        name: Name of the hyperparameter.
        values: The values, at least one; equal ones count once.
        ordered: Whether the values form an order. ``None`` says yes for numbers, no for anything else.
        default: The default; the first value if ``None`` (unless ``None`` is a value, which then is the default).
        conditions: Conditions under which the hyperparameter is active.

    Raises:
        InputError: No values, a value of another type, a default that is not a value, or an order of what has none.
    """

    def __init__(
        self,
        name: str,
        values: Sequence[Any],
        ordered: bool | None = None,
        default: Any = None,
        conditions: Any = None,
    ) -> None:
        kt_types.HyperParameter.__init__(self, name=name, default=default, conditions=conditions)
        what = f"The values of Choice {name!r}"
        if isinstance(values, str) or (not isinstance(values, Sequence) and not hasattr(values, "__iter__")):
            raise InputError(rule(what, "be a list", values))
        distinct: list[Any] = []
        for value in map(plain, values):
            _check_choice_value(what, value)
            if not any(same(value, known) for known in distinct):
                distinct.append(value)
        if not distinct:
            raise InputError(rule(what, "hold at least one value", values))
        self._values = distinct
        self._default = plain(default)
        if default is not None:
            self.index(self._default)
        is_numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in distinct)
        if ordered and not is_numeric:
            raise InputError(rule(f"ordered of Choice {name!r}", "be False for values that are no numbers", ordered))
        self.ordered = is_numeric if ordered is None else ordered

    @property
    def default(self) -> Any:
        if self._default is None and not any(value is None for value in self._values):
            return self._values[0]
        return self._default

    def index(self, value: Any) -> int:
        """Returns the position of ``value`` among the values."""
        for position, known in enumerate(self._values):
            if same(known, plain(value)):
                return position
        raise InputError(rule(f"A value of Choice {self.name!r}", f"be one of {self._values}", value))

    def value_to_prob(self, value: Any) -> float:
        return (self.index(value) + 0.5) / len(self._values)


def _check_choice_value(what: str, value: Any) -> None:
    if isinstance(value, tuple):
        for item in value:
            _check_choice_value(what, item)
    elif value is not None and not isinstance(value, (bool, int, float, str)):
        remedy = "Give names, and look the objects up in build."
        raise InputError(rule(what, "be None, bool, int, float, str or tuples of these", value, remedy))


_TYPES: dict[str, Any] = {kind.__name__: kind for kind in (Int, Float, Boolean, Fixed, Choice)}


def revive(config: dict[str, Any]) -> Any:
    """Returns the hyperparameter that ``{"class_name": ..., "config": {...}}`` describes."""
    kind = _TYPES.get(config["class_name"])
    if kind is None:
        return kt_types.deserialize(copy.deepcopy(config))
    return kind.from_config(config["config"])


def describe(hp: Any) -> dict[str, Any]:
    """Returns the JSON-able config of a hyperparameter, the inverse of :func:`revive`."""
    return {"class_name": type(hp).__name__, "config": hp.get_config()}


class HyperParameters(keras_tuner.HyperParameters):  # type: ignore[misc]
    """A space of hyperparameters and one point of it, as handed to ``build``.

    KerasTuner's class; see the module for what differs.

    Attributes:
        space: The hyperparameters, parents before children.
        values: Name to value, of the active hyperparameters only.
        used: Name to value, of what has been asked for since the object was made, in that order.

    Example:
        >>> import kt_suite as kts
        >>> hp = kts.HyperParameters()
        >>> hp.Choice("max_depth", [None, 10, 20])
        >>> hp.Int("units", 8, 64, step=8)
        8
    """

    def __init__(self) -> None:
        super().__init__()
        self.used: dict[str, Any] = {}
        self._declared: dict[str, dict[str, Any]] = {}
        self._asked: dict[str, list[Any]] = {}

    @classmethod
    def of(cls, hyperparameters: Any) -> HyperParameters:
        """Returns ``hyperparameters`` itself if it is of this class, else a copy that is."""
        return hyperparameters if isinstance(hyperparameters, cls) else cls.from_config(hyperparameters.get_config())

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> HyperParameters:
        hps = cls()
        for item in config["space"]:
            hp = revive(item)
            hps._hps[hp.name].append(hp)
            hps._space.append(hp)
        hps.values = {name: plain(value) for name, value in config["values"].items()}
        return hps

    def copy(self) -> HyperParameters:
        """Returns a copy with a space and values of its own; what is asked of it counts as asked of the original
        too.
        """
        copied = type(self).from_config(self.get_config())
        copied.used = self.used
        return copied

    def Choice(
        self,
        name: str,
        values: Sequence[Any],
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """Returns one of ``values``; ``None`` also when the hyperparameter is inactive."""
        with self._maybe_conditional_scope(parent_name, parent_values):
            return self._retrieve(Choice(self._get_name(name), values, ordered, default, conditions=self._conditions))

    @contextlib.contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """Opens a scope whose hyperparameters are active while the parent has one of ``parent_values``.

        Scopes nest freely: the parent may be declared outside, inside, or be the parent of an outer scope too.

        Args:
            parent_name: Name of a hyperparameter that is declared already.
            parent_values: One value, or a list.

        Raises:
            InputError: The parent is unknown, or can have none of the values.
        """
        condition = Parent(self._get_name(parent_name), parent_values)
        self._check_condition(condition)
        self._conditions.append(condition)
        scopes = self.active_scopes if self._conditions_are_active(self._conditions) else self.inactive_scopes
        scopes.append(copy.deepcopy(self._conditions))
        try:
            yield
        finally:
            self._conditions.pop()

    def _check_condition(self, condition: Parent) -> None:
        # What the build asked for counts beside what overrides it: a parent may have been fixed from outside.
        parents = [*self._hps.get(condition.name, []), *self._asked.get(condition.name, [])]
        if not parents:
            known = sorted(self._hps)
            raise InputError(rule("The parent of a conditional_scope", f"be one of {known}", condition.name))
        if not any(can_be(parent, value) for parent in parents for value in condition.values):
            raise InputError(
                rule(
                    f"parent_values of the scope on {condition.name!r}",
                    f"be values of {parents[0]!r}",
                    condition.values,
                )
            )

    def _retrieve(self, hp: Any) -> Any:
        kind = _TYPES.get(type(hp).__name__)
        if kind is not None and not isinstance(hp, kind):
            hp = kind.from_config(hp.get_config())
        self._warn_if_redeclared(hp)
        self._asked.setdefault(hp.name, []).append(hp)
        if self._exists(hp.name, hp.conditions) and self.is_active(hp):
            self.values.setdefault(hp.name, hp.default)  # younger than the values: stored before the build knew it
        value = super()._retrieve(hp)
        if self.is_active(hp):
            self.used[hp.name] = value
        return value

    def _warn_if_redeclared(self, hp: Any) -> None:
        config = hp.get_config()
        key = repr((hp.name, config["conditions"]))
        first = self._declared.setdefault(key, config)
        if first != config:
            self._declared[key] = config
            what = f"Hyperparameter {hp.name!r} is declared twice with different ranges; the first is kept: {first}"
            warnings.warn(what + f", not {config}. Use another name.", stacklevel=4)

    def get(self, name: str) -> Any:
        value = super().get(name)
        self.used[self._get_name(name)] = value
        return value

    def merge(self, hps: Any, overwrite: bool = True) -> None:
        """Takes over the hyperparameters of ``hps``: their definitions always, their defaults if ``overwrite``."""
        incoming = hps.space if isinstance(hps, keras_tuner.HyperParameters) else hps
        for hp in incoming:
            if not self._exists(hp.name, hp.conditions):
                self._register(revive(describe(hp)), overwrite)
            elif overwrite and self.is_active(hp):
                self.values[hp.name] = hp.default

    def ensure_active_values(self) -> None:
        """Drops values of inactive hyperparameters and gives defaults to active ones that have none."""
        for hp in self.space:
            if self.is_active(hp):
                self.values.setdefault(hp.name, hp.default)
            elif not any(self.is_active(other) for other in self._hps[hp.name]):
                self.values.pop(hp.name, None)


def can_be(parent: Any, value: Any) -> bool:
    """Whether a hyperparameter can have a value."""
    if hasattr(parent, "min_value"):
        return (
            not isinstance(value, (bool, str)) and value is not None and parent.min_value <= value <= parent.max_value
        )
    return any(same(known, value) for known in parent.values)
