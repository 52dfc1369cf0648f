"""Ranges of hyperparameters, as they are given to the constructors of models."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from kt_suite.errors import InputError, rule

Number = int | float


@dataclass(frozen=True)
class Range:
    """The values that one hyperparameter may take.

    Args:
        name: Name of the constructor argument, for errors; the hyperparameter has the same name unless it is
            indexed.
        given: A tuple ``(low, high)`` of numbers, both included; a list of choices (names may be in a tuple
            too); or one value, which is then no part of the space.
        default: The value of a trial that nothing was proposed for; moved to the nearest possible one.
        at_least: The smallest legal number.
        below: The number that all must be smaller than.
        step: Distance of neighbours of an integer range; ``None`` for floats.
        doubles: Whether an integer is twice its lower neighbour, instead of ``step`` above it.
        log: Whether floats are drawn on a logarithmic scale.
        names: The legal names, for a choice among names.

    Raises:
        kt_suite.errors.InputError: ``given`` is no such thing.
    """

    name: str
    given: Any
    default: Any
    at_least: Number | None = None
    below: Number | None = None
    step: int | None = None
    doubles: bool = False
    log: bool = False
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        self.choices  # noqa: B018 - read here, so that a bad range is refused at once

    @functools.cached_property
    def choices(self) -> list[Any] | None:
        """The possible values in order; ``None`` for an interval of floats."""
        given = self.given
        if not isinstance(given, (tuple, list)):
            return [self._legal(given)]
        values = [self._legal(value) for value in given]
        if not values or (len(set(values)) < len(values) and isinstance(given, list)):
            raise InputError(rule(self.name, "hold distinct values", given, "Name at least one, each once."))
        if isinstance(given, list) or self.names is not None or isinstance(self.default, (bool, str)):
            return values
        if len(values) != 2 or values[0] > values[1]:
            remedy = "Choices are given as a list, such as [0.1, 0.2, 0.5]."
            raise InputError(rule(self.name, "be (low, high) with low <= high", given, remedy))
        low, high = values
        if low == high:
            return [low]
        if self.step is None:
            return None
        if not self.doubles:
            return list(range(low, high + 1, self.step))
        return [low * 2**power for power in range(64) if low * 2**power <= high]

    def declare(self, hp: Any, name: str) -> Any:
        """Declares the hyperparameter ``name`` on ``hp``, a ``FixedHyperParameters``; returns its value."""
        if self.choices is None:
            low, high = self.given
            default = min(max(self.default, low), high)
            return hp.Float(name, low, high, sampling="log" if self.log else "linear", default=default)
        default = self._nearest_default()
        if len(self.choices) == 1:
            return hp.constant(name, self.choices[0])
        if all(isinstance(value, bool) for value in self.choices):
            return hp.Boolean(name, default=default)
        if isinstance(self.given, tuple) and self.step is not None:
            low, high = self.choices[0], self.choices[-1]
            if self.doubles:
                return hp.Int(name, low, high, step=2, sampling="log", default=default)
            return hp.Int(name, low, high, step=self.step, default=default)
        return hp.Choice(name, self.choices, default=default)

    def _nearest_default(self) -> Any:
        choices = self.choices or []
        if self.default in choices:
            return self.default
        if all(isinstance(value, (int, float)) for value in [*choices, self.default]):
            return min(choices, key=lambda value: abs(value - self.default))
        return choices[0]

    def _legal(self, value: Any) -> Any:
        """Returns ``value`` if the hyperparameter may have it."""
        if isinstance(self.default, bool):
            if not isinstance(value, bool):
                raise InputError(rule(self.name, "hold True or False", self.given))
            return value
        if isinstance(self.default, str):
            if not isinstance(value, str) or (self.names is not None and value not in self.names):
                among = f"hold names among {', '.join(self.names)}" if self.names else "hold names"
                raise InputError(rule(self.name, among, self.given))
            return value
        kind = "numbers" if self.step is None else "whole numbers"
        if isinstance(value, bool) or not isinstance(value, (int, float) if self.step is None else int):
            raise InputError(rule(self.name, f"hold {kind}", self.given))
        too_low = self.at_least is not None and not value >= self.at_least
        too_high = self.below is not None and not value < self.below
        not_positive = self.log and value <= 0 and isinstance(self.given, tuple)
        if too_low or too_high or not_positive:
            limits = [f">= {self.at_least}"] if self.at_least is not None else []
            limits += [f"< {self.below}"] if self.below is not None else []
            limits += ["> 0, for its scale is logarithmic"] if self.log else []
            raise InputError(rule(self.name, f"hold {kind} {' and '.join(limits)}", self.given))
        return value
