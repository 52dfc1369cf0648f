"""A hyperparameter as an axis: its scale as in the space, and a tick for "not active"."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kt_suite_tensorboard.figures.view import number
from kt_suite_tensorboard.search import Search, Trial

INACTIVE = "not active"
_LOG = ("log", "reverse_log")
_NUM_TICKS = 5


@dataclass(frozen=True)
class Dimension:
    """Where values of a hyperparameter stand on an axis.

    Attributes:
        name: The hyperparameter.
        low, high: Ends of the axis, in positions, without the place for "not active".
        is_log: Whether positions are decimal logarithms.
        categories: The values whose indices are positions; empty for numbers.
        has_inactive: Whether some trial does not have it.
        is_whole: Whether values are whole numbers.
    """

    name: str
    low: float
    high: float
    is_log: bool = False
    categories: tuple[Any, ...] = ()
    has_inactive: bool = False
    is_whole: bool = False

    @property
    def inactive(self) -> float:
        """The position of "not active", below all others."""
        return self.low - (1.0 if self.categories else 0.12 * (self.high - self.low or 1.0))

    def position(self, trial: Trial) -> float:
        """Returns where a trial stands."""
        if not trial.is_active(self.name):
            return self.inactive
        value = trial.values[self.name]
        if self.categories:
            return float(_index(self.categories, value))
        return math.log10(value) if self.is_log else float(value)

    def ticks(self) -> tuple[list[float], list[str]]:
        """Returns positions and labels of the ticks."""
        if self.categories:
            places = [float(index) for index in range(len(self.categories))]
            labels = [label(value) for value in self.categories]
        elif self.is_log:
            places, labels = _log_ticks(self.low, self.high)
        else:
            places = _linear_ticks(self.low, self.high, is_whole=self.is_whole)
            labels = [number(place) for place in places]
        if self.has_inactive:
            places, labels = [self.inactive, *places], [INACTIVE, *labels]
        return places, labels

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the axis with everything on it."""
        margin = 0.5 if self.categories else 0.04 * (self.high - self.low or 1.0)
        return (self.inactive if self.has_inactive else self.low) - margin, self.high + margin


def dimensions(search: Search) -> list[Dimension]:
    """Returns the hyperparameters that differ between trials, in the order of the space."""
    found = (_dimension(name, configs, search.trials) for name, configs in search.space().items())
    return [dimension for dimension in found if dimension is not None]


def label(value: Any) -> str:
    """Returns a value to read."""
    return number(value) if isinstance(value, float) else str(value)


def _dimension(name: str, configs: list[dict[str, Any]], trials: Sequence[Trial]) -> Dimension | None:
    active = [trial.values[name] for trial in trials if trial.is_active(name)]
    has_inactive = len(active) < len(trials)
    if not active or (len({repr(value) for value in active}) < 2 and not has_inactive):
        return None
    is_number = all(config["class_name"] in ("Int", "Float") for config in configs) and all(map(_is_number, active))
    if not is_number:
        categories = tuple(_distinct([*_declared(configs), *active]))
        return Dimension(name, 0.0, len(categories) - 1.0, False, categories, has_inactive)
    low = min([*active, *(config["min_value"] for config in configs)])
    high = max([*active, *(config["max_value"] for config in configs)])
    if low > 0 and all(config.get("sampling") in _LOG for config in configs):
        return Dimension(name, math.log10(low), math.log10(high), True, (), has_inactive)
    is_whole = all(config["class_name"] == "Int" for config in configs)
    return Dimension(name, float(low), float(high), False, (), has_inactive, is_whole)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _declared(configs: list[dict[str, Any]]) -> Iterable[Any]:
    for config in configs:
        if config["class_name"] == "Boolean":
            yield from (False, True)
        yield from config.get("values") or []


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Returns the values without repetition; True and 1 differ."""
    return list({repr(value): value for value in values}.values())


def _index(categories: Sequence[Any], value: Any) -> int:
    return [repr(category) for category in categories].index(repr(value))


def _linear_ticks(low: float, high: float, *, is_whole: bool) -> list[float]:
    if high <= low:
        return [low]
    step = 10.0 ** math.floor(math.log10((high - low) / _NUM_TICKS))
    step = next(factor * step for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= _NUM_TICKS + 1)
    step = max(1.0, step) if is_whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    mantissas = (1,) if high - low >= 2 else (1, 2, 5)
    exponents = range(math.floor(low), math.ceil(high) + 1)
    stride = max(1, len(exponents) // 8)
    values = [mantissa * 10.0**exponent for exponent in exponents[::stride] for mantissa in mantissas]
    values = [value for value in values if low - 1e-9 <= math.log10(value) <= high + 1e-9]
    if not values:
        values = [10.0**low, 10.0**high]
    return [math.log10(value) for value in values], [
        f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e") for value in values
    ]
