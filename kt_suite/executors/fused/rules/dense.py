"""Dense layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kt_suite.executors.fused.activations import name_of
from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal, channels
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.rules.base import Layout, Rule, prefix, register_rule
from kt_suite.executors.fused.unfusable import describe


class Activated(Rule):
    """A layer with an activation of its own, and kernel and bias."""

    def reasons(self, step: Step) -> list[str]:
        layer = step.layer
        reasons = []
        if getattr(layer, "quantization_mode", None):
            reasons.append(f"{describe(layer)} is quantized: train it unquantized")
        if getattr(layer, "lora_enabled", False):
            reasons.append(f"{describe(layer)} has LoRA weights: train it without")
        if layer.activation is not None and name_of(layer.activation) is None:
            reasons.append(f"{describe(layer)} has an activation of its own: use one of keras.activations")
        return reasons

    def choices(self, step: Step) -> Mapping[str, str]:
        return {"activation": name_of(step.layer.activation) or "linear"}

    def variables(self, step: Step) -> Mapping[str, Any]:
        layer = step.layer
        return {"kernel": layer._kernel if hasattr(layer, "_kernel") else layer.kernel} | (
            {"bias": layer.bias} if layer.use_bias else {}
        )

    def finish(self, context: Context, value: Any, mask: Any) -> Signal:
        """Adds the bias and activates."""
        if context.has("bias"):
            value = value + channels(context.variable("bias"), value)
        return context.activate(Signal(value, mask))


@register_rule(keras.layers.Dense)
class DenseRule(Activated):
    """A batched product."""

    lifted = ("units", "activation")

    def width(self, step: Step) -> int | None:
        return int(step.layer.units)

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        output = prefix(step, width)
        return [output], {"kernel": [inputs[0], output], "bias": [output]}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        return self.finish(context, product(inputs[0].value, context.variable("kernel")), context.output_mask)


def product(value: Any, kernel: Any) -> Any:
    """Returns ``(members, batch, ..., d)`` times ``(members, d, u)``."""
    if len(value.shape) == 3:
        return ops.matmul(value, kernel)
    flat = ops.reshape(value, (value.shape[0], -1, value.shape[-1]))
    made = ops.matmul(flat, kernel)
    return ops.reshape(made, (made.shape[0], *value.shape[1:-1], kernel.shape[-1]))
