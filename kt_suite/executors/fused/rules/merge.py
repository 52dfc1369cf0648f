"""Layers that join branches."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops
from keras.src.backend import set_keras_mask

from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.rules.base import Layout, Rule, register_rule
from kt_suite.executors.fused.time_masks import HEEDING
from kt_suite.executors.fused.unfusable import Unfusable, describe


def common_axis(step: Step, inputs: list[Axis]) -> Axis:
    """Returns the one last axis of inputs that are joined entry by entry."""
    wide = [axis for axis in inputs if axis.size > 1] or inputs[:1]
    if any(not axis.equals(wide[0]) for axis in wide):
        raise Unfusable([f"{describe(step.layer)} joins branches that padding made unlike: give them equal widths"])
    return wide[0]


@register_rule(
    keras.layers.Add,
    keras.layers.Subtract,
    keras.layers.Multiply,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
)
class MergeRule(Rule):
    """Entry by entry, by the layer itself."""

    def reasons(self, step: Step) -> list[str]:
        if len({len(shape) for shape in step.input_shapes}) == 1:
            return []
        return [f"{describe(step.layer)} joins inputs of different ranks: reshape them"]

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        return [common_axis(step, inputs)], {}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        values = [signal.value for signal in inputs]
        if isinstance(step.layer, HEEDING) and any(signal.times is not None for signal in inputs):
            values = [ops.copy(value) for value in values]
            for value, signal in zip(values, inputs, strict=True):
                set_keras_mask(value, signal.times)
        made = step.layer._merge_function(values)
        if len({signal.value.shape[-1] for signal in inputs}) > 1:  # a broadcast reaches padded entries
            made = Signal(made, context.output_mask).masked()
        return made


@register_rule(keras.layers.Concatenate)
class ConcatenateRule(Rule):
    """Channels after channels, or along another axis."""

    def _is_last(self, step: Step) -> bool:
        return step.layer.axis in (-1, len(step.input_shapes[0]) - 1)

    def reasons(self, step: Step) -> list[str]:
        return [f"{describe(step.layer)} joins rows: use another axis"] if step.layer.axis == 0 else []

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        return [Axis.concatenate(inputs) if self._is_last(step) else common_axis(step, inputs)], {}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        values = [signal.value for signal in inputs]
        members = max(value.shape[0] for value in values)
        values = [ops.broadcast_to(value, (members, *value.shape[1:])) for value in values]
        axis = step.layer.axis
        return ops.concatenate(values, axis=axis if axis < 0 else axis + 1)
