"""Hyperparameters of which some are fixed."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras_tuner

from kt_suite.errors import InputError, rule

_KINDS: dict[str, tuple[type, ...]] = {"Int": (int,), "Float": (int, float), "Boolean": (bool,)}


class FixedHyperParameters:
    """Stands before a ``keras_tuner.HyperParameters`` and keeps fixed hyperparameters out of its space.

    Everything is passed on, with three differences:

    - a fixed hyperparameter has its fixed value wherever it would be active, and is not declared; what
      depends on it (``conditional_scope``) is declared only where the condition holds;
    - a name that is active already is not declared a second time under other conditions, so that a piece of a
      model which is repeated inside conditional scopes may share a hyperparameter with its siblings;
    - a scope over choices that the parent does not offer is left out, where KerasTuner would force them.

    Args:
        hp: The hyperparameters of a trial, or the space while it is explored.
        fixed: Name to value.
        seen: Collects the name of every hyperparameter asked for, but for those that can never be active.
    """

    def __init__(self, hp: Any, fixed: Mapping[str, Any], seen: set[str]) -> None:
        self._hp = hp
        self._fixed = dict(fixed)
        self._seen = seen
        self._num_outer_scopes = len(hp._name_scopes)
        self._num_inactive = 0  # Open scopes whose condition does not hold now, but may in another trial.
        self._num_absent = 0  # Open scopes whose condition can never hold.

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copy and pickle ask for these before __init__ has run
            raise AttributeError(name)
        return getattr(self._hp, name)

    def Int(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """As in KerasTuner."""
        return self._declare("Int", name, args, kwargs)

    def Float(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """As in KerasTuner."""
        return self._declare("Float", name, args, kwargs)

    def Choice(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """As in KerasTuner."""
        return self._declare("Choice", name, args, kwargs)

    def Boolean(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """As in KerasTuner."""
        return self._declare("Boolean", name, args, kwargs)

    def constant(self, name: str, value: Any) -> Any:
        """Fixes ``name`` at ``value``, unless it is fixed at another one, and returns it."""
        self._fixed.setdefault(self._local(name), value)
        return self._declare("Choice", name, ([value],), {})

    def get(self, name: str) -> Any:
        """Returns the value of ``name``, as in KerasTuner."""
        local = self._local(name)
        return self._fixed[local] if local in self._fixed else self._hp.get(name)

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __contains__(self, name: str) -> bool:
        return self._local(name) in self._fixed or name in self._hp

    @contextlib.contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """As in KerasTuner; the parent may be fixed."""
        wanted = list(parent_values) if isinstance(parent_values, (list, tuple)) else [parent_values]
        local = self._local(parent_name)
        if self._num_absent or local in self._fixed:
            is_absent = bool(self._num_absent) or self._fixed[local] not in wanted
            self._num_absent += is_absent
            try:
                yield
            finally:
                self._num_absent -= is_absent
            return
        offered = self._offered(parent_name)
        legal = wanted if offered is None else [value for value in wanted if value in offered]
        if not legal:
            self._num_absent += 1
            try:
                yield
            finally:
                self._num_absent -= 1
            return
        with self._hp.conditional_scope(parent_name, legal):
            is_inactive = parent_name not in self._hp or self._hp.get(parent_name) not in legal
            self._num_inactive += is_inactive
            try:
                yield
            finally:
                self._num_inactive -= is_inactive

    def _declare(self, kind: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        parent, parent_values = kwargs.pop("parent_name", None), kwargs.pop("parent_values", None)
        if parent is not None:
            with self.conditional_scope(parent, parent_values):
                return self._declare(kind, name, args, kwargs)
        local = self._local(name)
        if self._num_absent:
            return None
        self._seen.add(local)
        if local in self._fixed:
            return None if self._num_inactive else self._checked(kind, local)
        if name in self._hp and self._hp.is_active(self._full(name)):
            return self._hp.get(name)
        return getattr(self._hp, kind)(name, *args, **kwargs)

    def _checked(self, kind: str, name: str) -> Any:
        value, types = self._fixed[name], _KINDS.get(kind)
        is_legal = types is None or (isinstance(value, types) and (kind == "Boolean") == isinstance(value, bool))
        if not is_legal:
            wants = {"Int": "a whole number", "Float": "a number", "Boolean": "True or False"}[kind]
            raise InputError(rule(f"fixed[{name!r}]", f"be {wants}", value))
        return value

    def _offered(self, name: str) -> list[Any] | None:
        full = self._full(name)
        found = [
            hp for hp in self._hp.space if hp.name == full and isinstance(hp, keras_tuner.engine.hyperparameters.Choice)
        ]
        return [value for hp in found for value in hp.values] if found else None

    def _full(self, name: str) -> str:
        return "/".join([*self._hp._name_scopes, name])

    def _local(self, name: str) -> str:
        """The name seen from the model: without the scopes that were open when it was built."""
        return "/".join([*self._hp._name_scopes[self._num_outer_scopes :], name])


def check_fixed(fixed: Mapping[str, Any], seen: set[str], build: Callable[[Any], Any]) -> None:
    """Raises unless every fixed name is a hyperparameter of the space.

    Args:
        fixed: Name to value.
        seen: The names asked for so far; what ``build`` asks for must land in it.
        build: Builds a model from hyperparameters; called with further values only while names are
            unaccounted for.

    Raises:
        kt_suite.errors.InputError: A name is in no model of the space.
    """
    if set(fixed) <= seen:
        return
    tried: list[Any] = []
    waiting: list[Any] = [[]]
    while waiting:
        hp = keras_tuner.HyperParameters()
        hp.values.update({condition.name: condition.values[0] for condition in waiting.pop()})
        build(hp)
        new = [scope for scope in hp.inactive_scopes if scope not in tried]
        tried += new
        waiting += new
    unknown = sorted(set(fixed) - seen)
    if unknown:
        near = difflib.get_close_matches(unknown[0], seen, n=3, cutoff=0.5)
        remedy = f"Near: {', '.join(near)}." if near else f"There are: {', '.join(sorted(seen))}."
        raise InputError(rule("fixed", "name hyperparameters of the space", unknown, remedy))
