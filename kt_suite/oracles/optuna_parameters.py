"""Hyperparameters as Optuna's distributions, and their values there and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kt_suite.hyperparameters import same
from kt_suite.space import Dimension, Space


@dataclass(frozen=True)
class OptunaParameter:
    """A hyperparameter as Optuna knows it.

    Attributes:
        key: Its name in the study: that of the hyperparameter; with a number behind where several share it
            under different conditions, for Optuna ties one range to a name.
        hp: The hyperparameter.
        dimension: Its axis in the space; ``None`` if it has one value only, which Optuna is not asked for.
        distribution: What Optuna samples it from; ``None`` if it has one value only.
        form: What Optuna's values are: the ``"value"`` itself, the ``"level"`` (its position among all, from
            0), or the ``"unit"`` coordinate in [0, 1].
    """

    key: str
    hp: Any
    dimension: Dimension | None = None
    distribution: Any = field(default=None, repr=False)
    form: str = "value"

    @property
    def name(self) -> str:
        """Name of the hyperparameter."""
        return str(self.hp.name)

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Whether the hyperparameter is active beside ``values``."""
        return all(condition.is_active(values) for condition in self.hp.conditions)

    def takes(self, values: Mapping[str, Any]) -> bool:
        """Whether ``values`` hold a value of the hyperparameter that Optuna can be told."""
        if self.dimension is None or self.name not in values or not self.is_active(values):
            return False
        return self.dimension.contains(values[self.name])

    def suggest(self, trial: Any) -> Any:
        """Returns the hyperparameter's value in an Optuna trial, sampled if it has none yet."""
        if self.dimension is None:
            return self.hp.default
        of = self.distribution
        if hasattr(of, "choices"):
            return self.decode(trial.suggest_categorical(self.key, of.choices))
        if isinstance(of.low, int):
            return self.decode(trial.suggest_int(self.key, of.low, of.high, step=of.step, log=of.log))
        return self.decode(float(trial.suggest_float(self.key, of.low, of.high, log=of.log)))

    def decode(self, raw: Any) -> Any:
        """Returns the value that Optuna's ``raw`` stands for."""
        if self.dimension is None or self.form == "value":
            return raw
        if self.form == "unit":
            return self.dimension.value(raw)
        return self.dimension.value((raw + 0.5) / (self.dimension.num_values or 1))

    def encode(self, value: Any) -> Any:
        """Returns what Optuna knows ``value`` as: the inverse of :meth:`decode`."""
        if self.dimension is None or self.form == "value":
            return value
        coordinate = self.dimension.coordinate(value)
        if self.form == "unit":
            return coordinate
        num_levels = self.dimension.num_values or 1
        return min(int(coordinate * num_levels), num_levels - 1)


def optuna_parameters(space: Space) -> list[OptunaParameter]:
    """Returns the hyperparameters of a space for Optuna, parents before children.

    Floats, integers (with a linear step) and both on a log scale are Optuna's own. So are choices among plain
    values that differ under ``==``; other choices (tuples, ``True`` beside ``1``) go by position. Ordered
    choices and floats with a step go by position too, as integers, so that samplers see the order. What
    Optuna has no scale for (``"reverse_log"``) goes by coordinate.
    """
    from optuna import distributions

    dimensions = {id(dimension.hp): dimension for dimension in space.dimensions}
    counts: dict[str, int] = {}
    parameters = []
    for hp in space.hyperparameters:
        number = counts[hp.name] = counts.get(hp.name, 0) + 1
        # The first keeps the bare name, so that names stay as they are when others join.
        key = hp.name if number == 1 else f"{hp.name}#{number}"
        dimension = dimensions.get(id(hp))
        if dimension is None:
            parameters.append(OptunaParameter(key, hp))
        else:
            distribution, form = _distribution(distributions, dimension)
            parameters.append(OptunaParameter(key, hp, dimension, distribution, form))
    return parameters


def _distribution(distributions: Any, dimension: Dimension) -> tuple[Any, str]:
    hp, num_values = dimension.hp, dimension.num_values
    sampling = getattr(hp, "sampling", None)
    if dimension.kind == "category":
        choices = list(hp.values)
        if _are_plain(choices):
            return distributions.CategoricalDistribution(choices), "value"
        return distributions.CategoricalDistribution(range(len(choices))), "level"
    if sampling == "reverse_log" and hp.step is None:
        return distributions.FloatDistribution(0.0, 1.0), "unit"
    if num_values is None:
        low, high = float(hp.min_value), float(hp.max_value)
        return distributions.FloatDistribution(low, high, log=sampling == "log"), "value"
    is_integer = type(hp).__name__ == "Int"
    if is_integer and sampling == "log" and hp.step is None:
        return distributions.IntDistribution(hp.min_value, hp.max_value, log=True), "value"
    if is_integer and sampling == "linear":
        step = 1 if hp.step is None else int(hp.step)
        return distributions.IntDistribution(hp.min_value, hp.min_value + (num_values - 1) * step, step=step), "value"
    return distributions.IntDistribution(0, num_values - 1), "level"


def _are_plain(choices: list[Any]) -> bool:
    if not all(choice is None or isinstance(choice, (bool, int, float, str)) for choice in choices):
        return False
    return not any(a == b and not same(a, b) for a in choices for b in choices)
