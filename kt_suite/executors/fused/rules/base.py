"""What a rule is, and the registry of rules."""

from __future__ import annotations

import abc
import importlib
import os
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.keys import config_key

Layout = tuple[list[Axis], dict[str, list[Axis]]]
"""The last axis of each output, and by name the axes of each variable."""


class Rule(abc.ABC):
    """How one kind of layer acts on stacked members.

    Members of a program agree on a layer's configuration but for ``lifted``: widths, numbers and choices. Signals
    have a leading axis of members; of their other axes only the last may be padded, with entries that are zero.

    A subclass states what its layer has, and writes :meth:`call`.
    """

    lifted: ClassVar[tuple[str, ...]] = ()
    """Names in the layer's configuration that members need not agree on."""
    arguments: ClassVar[tuple[str, ...] | None] = ()
    """What the layer may be called with beside its inputs; ``None`` for anything."""

    def key(self, step: Step) -> Any:
        """Returns what members must agree on, hashable."""
        return config_key(step.layer, self.lifted)

    def reasons(self, step: Step) -> list[str]:
        """Returns what keeps this layer from being fused, each with its remedy."""
        return []

    def is_exact(self, step: Step) -> bool:
        """Whether the last axes of the inputs must not be padded."""
        return False

    def takes_masks(self, step: Step) -> bool:
        """Whether :meth:`call` heeds the masks of times of its inputs, where the layer does."""
        return False

    def width(self, step: Step) -> int | None:
        """Returns the size of the output's last axis where the layer sets it, and padding may lengthen it."""
        return None

    def numbers(self, step: Step) -> Mapping[str, float]:
        """Returns the lifted numbers by name."""
        return {}

    def choices(self, step: Step) -> Mapping[str, str]:
        """Returns the names of the activations that may differ."""
        return {}

    def variables(self, step: Step) -> Mapping[str, Any]:
        """Returns the layer's variables by name."""
        return {}

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        """Returns where real entries lie.

        Args:
            step: The step of one member.
            inputs: The last axes of the inputs.
            width: The padded size for :meth:`width`.
        """
        return [inputs[0]] * len(step.outputs), {}

    @abc.abstractmethod
    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        """Returns the output: a value, a signal, or a list of them.

        Args:
            context: Gives variables, numbers and noise.
            step: The step of the first member: what is no number, width or choice may be read from its layer.
            *inputs: The inputs, in the layer's compute type.
        """


_rules: dict[type, Rule] = {}
_is_loaded = False


def register_rule(*layers: type) -> Callable[[type[Rule]], type[Rule]]:
    """Returns a decorator that makes a class the rule of layers, exactly of these classes.

    Args:
        *layers: Layer classes.

    Example:
        >>> import keras
        >>> from kt_suite.executors.fused.rules import Rule, register_rule
        >>> class Double(keras.layers.Layer):
        ...     def call(self, x):
        ...         return 2 * x
        >>> @register_rule(Double)
        ... class DoubleRule(Rule):
        ...     def call(self, context, step, x):
        ...         return 2 * x.value
    """

    def register(rule: type[Rule]) -> type[Rule]:
        _rules.update(dict.fromkeys(layers, rule()))
        return rule

    return register


def rule_of(layer: Any) -> Rule:
    """Returns the rule of a layer; one that vectorises its call where none is registered."""
    global _is_loaded
    if not _is_loaded:
        for family in pkgutil.iter_modules([os.path.dirname(__file__)]):
            importlib.import_module(f"kt_suite.executors.fused.rules.{family.name}")
        _is_loaded = True
    anyones: Rule = importlib.import_module("kt_suite.executors.fused.rules.custom").ANYONES
    return _rules.get(type(layer), anyones)


def prefix(step: Step, width: int | None) -> Axis:
    """Returns the last axis of a layer's output whose size the layer sets."""
    real = int(step.output_shapes[0][-1] or 0)
    return Axis.prefix(real, real if width is None else width)
