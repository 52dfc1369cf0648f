"""Layers that are activations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kt_suite.executors.fused.activations import activate, name_of
from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal, fold, unfold
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.rules.base import Layout, Rule, register_rule


@register_rule(keras.layers.Activation)
class ActivationRule(Rule):
    """Each member's own activation; one that is not Keras' own keeps its exact shape."""

    lifted = ("activation",)

    def is_exact(self, step: Step) -> bool:
        return name_of(step.layer.activation) is None

    def choices(self, step: Step) -> Mapping[str, str]:
        name = name_of(step.layer.activation)
        return {} if name is None else {"activation": name}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        if name_of(step.layer.activation) is not None:
            return context.activate(inputs[0])
        value = inputs[0].value
        return unfold(step.layer.activation(fold(value)), value.shape[0])


@register_rule(keras.layers.ReLU)
class ReLURule(Rule):
    """Elementwise, by the layer itself."""

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        made = step.layer.call(inputs[0].value)
        return Signal(made, inputs[0].mask).masked() if step.layer.threshold else made


@register_rule(keras.layers.LeakyReLU)
class LeakyReLURule(Rule):
    """Each member's own slope."""

    lifted = ("negative_slope",)

    def numbers(self, step: Step) -> Mapping[str, float]:
        return {"negative_slope": step.layer.negative_slope}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value = inputs[0].value
        return ops.where(value > 0, value, value * context.number("negative_slope", value))


@register_rule(keras.layers.ELU)
class ELURule(Rule):
    """Each member's own scale."""

    lifted = ("alpha",)

    def numbers(self, step: Step) -> Mapping[str, float]:
        return {"alpha": step.layer.alpha}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value = inputs[0].value
        bent = ops.expm1(ops.minimum(value, ops.zeros_like(value))) * context.number("alpha", value)
        return ops.where(value > 0, value, bent)


@register_rule(keras.layers.PReLU)
class PReLURule(Rule):
    """A learned slope for each entry, or for each of some axes."""

    def variables(self, step: Step) -> Mapping[str, Any]:
        return {"alpha": step.layer.alpha}

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        *middle, last = step.layer.alpha.shape
        is_shared = last == 1 and step.input_shapes[0][-1] != 1
        return inputs, {"alpha": [*(Axis(size) for size in middle), Axis(1) if is_shared else inputs[0]]}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value, alpha = inputs[0].value, context.variable("alpha")
        alpha = ops.expand_dims(alpha, 1)
        return ops.relu(value) - alpha * ops.relu(-value)


@register_rule(keras.layers.Softmax)
class SoftmaxRule(Rule):
    """Over the channels, the padded ones left out; over other axes by the layer itself."""

    def reasons(self, step: Step) -> list[str]:
        return [] if len(step.inputs) == 1 else [f"layer {step.layer.name!r} takes a mask: mask its input instead"]

    def is_exact(self, step: Step) -> bool:
        return not self._is_last(step)

    def _is_last(self, step: Step) -> bool:
        return step.layer.axis in (-1, len(step.input_shapes[0]) - 1)

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        if self._is_last(step):
            return activate(inputs[0], ("softmax",), None)
        return unfold(step.layer.call(fold(inputs[0].value)), inputs[0].value.shape[0])
