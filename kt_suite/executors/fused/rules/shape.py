"""Layers that move entries and change none, or each alone."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal, fold, unfold
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.rules.base import Layout, Rule, register_rule


def needs_channels_last(step: Step) -> list[str]:
    """Returns a reason where the layer has its channels first."""
    if getattr(step.layer, "data_format", "channels_last") == "channels_last":
        return []
    return [f"layer {step.layer.name!r} has data_format 'channels_first': use 'channels_last'"]


@register_rule(
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Cropping3D,
    keras.layers.UpSampling1D,
    keras.layers.UpSampling2D,
    keras.layers.UpSampling3D,
    keras.layers.RepeatVector,
    keras.layers.Identity,
)
class RowWise(Rule):
    """What acts on each row alone and leaves channels where they are: the layer itself, on all members' rows."""

    def reasons(self, step: Step) -> list[str]:
        return needs_channels_last(step)

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value = inputs[0].value
        return unfold(step.layer.call(fold(value)), value.shape[0])


@register_rule(keras.layers.Permute)
class ExactRowWise(RowWise):
    """The same for what may move channels elsewhere."""

    def is_exact(self, step: Step) -> bool:
        return True

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        return [Axis(int(shape[-1] or 0)) for shape in step.output_shapes], {}


@register_rule(keras.layers.Rescaling)
class RescalingRule(RowWise):
    """The same; an offset moves zeros."""

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        return Signal(super().call(context, step, *inputs), inputs[0].mask).masked()


@register_rule(keras.layers.Flatten)
class FlattenRule(Rule):
    """Channels are repeated for each place."""

    def reasons(self, step: Step) -> list[str]:
        return needs_channels_last(step)

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        shape = step.input_shapes[0]
        if len(shape) == 1:
            return [Axis(1)], {}
        return [inputs[0].repeat(math.prod(int(size or 0) for size in shape[1:-1]))], {}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value = inputs[0].value
        return ops.reshape(value, (*value.shape[:2], math.prod(value.shape[2:])))


@register_rule(keras.layers.Reshape)
class ReshapeRule(Rule):
    """Channels may be padded where the last axis stays as it is."""

    def _keeps_channels(self, step: Step) -> bool:
        return len(step.input_shapes[0]) > 1 and step.input_shapes[0][-1] == step.output_shapes[0][-1]

    def is_exact(self, step: Step) -> bool:
        return not self._keeps_channels(step)

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        return [inputs[0] if self._keeps_channels(step) else Axis(int(step.output_shapes[0][-1] or 0))], {}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value = inputs[0].value
        shape = [int(size or 0) for size in step.output_shapes[0][1:]]
        if self._keeps_channels(step):
            shape[-1] = value.shape[-1]
        return ops.reshape(value, (*value.shape[:2], *shape))


@register_rule(keras.layers.Masking)
class MaskingRule(Rule):
    """By the layer itself; ``time_masks`` has what it tells the layers after it."""

    def reasons(self, step: Step) -> list[str]:
        return [] if isinstance(step.layer.mask_value, int | float) else [f"layer {step.layer.name!r} masks an array"]

    def is_exact(self, step: Step) -> bool:
        return True  # padding must not tell of a time

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value = inputs[0].value
        return unfold(step.layer.call(fold(value)), value.shape[0])
