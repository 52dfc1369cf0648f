"""Group normalization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal, channels
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.rules.base import Layout, Rule, register_rule
from kt_suite.executors.fused.unfusable import describe


@register_rule(keras.layers.GroupNormalization)
class GroupNormalizationRule(Rule):
    """Moments of each group of a member's real channels, by products with a table of what is in which group."""

    lifted = ("epsilon",)

    def reasons(self, step: Step) -> list[str]:
        if step.layer.axis in (-1, len(step.input_shapes[0]) - 1):
            return []
        return [f"{describe(step.layer)} has axis {step.layer.axis}: use the last axis"]

    def numbers(self, step: Step) -> Mapping[str, float]:
        return {"epsilon": step.layer.epsilon}

    def variables(self, step: Step) -> Mapping[str, Any]:
        found = {"gamma": step.layer.gamma, "beta": step.layer.beta}
        return {name: variable for name, variable in found.items() if variable is not None}

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        return inputs, {"gamma": inputs, "beta": inputs}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value, mask = inputs[0].value, inputs[0].mask
        dtype = keras.backend.result_type(value.dtype, "float32")
        value = ops.cast(value, dtype)
        groups = _groups(step.layer.groups, value, mask)

        def mean(entries: Any) -> Any:
            """Returns each group's mean at each of its channels, ``(members, batch, 1, ..., channels)``."""
            places = entries.shape[2:-1]
            sums = ops.sum(entries, axis=tuple(range(2, len(entries.shape) - 1)))
            count = ops.sum(groups, axis=1, keepdims=True)
            for size in places:
                count = count * size
            means = ops.matmul(ops.matmul(sums, groups) / count, ops.swapaxes(groups, 1, 2))
            return ops.reshape(means, (*means.shape[:2], *([1] * len(places)), means.shape[-1]))

        centred = value - mean(value)
        spread = ops.rsqrt(mean(ops.square(centred)) + context.number("epsilon", value))
        made = centred * spread
        if context.has("gamma"):
            made = made * channels(context.variable("gamma", autocast=False), made)
        if context.has("beta"):
            made = made + channels(context.variable("beta", autocast=False), made)
        return Signal(ops.cast(made, step.layer.compute_dtype), mask)


def _groups(count: int, value: Any, mask: Any) -> Any:
    """Returns ``(members or 1, channels, groups)``: 1 where a real channel is in a group."""
    if mask is None:
        mask = ops.ones((1, value.shape[-1]), value.dtype)
    mask = ops.cast(mask, value.dtype)
    place = ops.cumsum(mask, axis=1) - 0.5
    group = ops.floor(place * count / ops.sum(mask, axis=1, keepdims=True))
    is_in = ops.cast(ops.equal(ops.expand_dims(group, -1), ops.cast(ops.arange(count), value.dtype)), value.dtype)
    return is_in * ops.expand_dims(mask, -1)
