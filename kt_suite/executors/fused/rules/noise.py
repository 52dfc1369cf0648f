"""Layers that are random in training, by each member's own seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kt_suite.executors.fused.context import Context, Signal
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.rules.base import Rule, register_rule

_SPATIAL = (keras.layers.SpatialDropout1D, keras.layers.SpatialDropout2D, keras.layers.SpatialDropout3D)


@register_rule(keras.layers.Dropout, *_SPATIAL)
class DropoutRule(Rule):
    """Drops entries, or whole maps."""

    lifted = ("rate", "seed")

    def reasons(self, step: Step) -> list[str]:
        if getattr(step.layer, "data_format", None) == "channels_first":
            return [f"layer {step.layer.name!r} has data_format 'channels_first': use 'channels_last'"]
        if isinstance(getattr(step.layer, "noise_shape", None), tuple | list):
            return [f"layer {step.layer.name!r} has a noise_shape: use a SpatialDropout layer"]
        return []

    def numbers(self, step: Step) -> Mapping[str, float]:
        rate = step.layer.rate
        return {"threshold": round(rate * 2**24), "scale": 1 / (1 - rate) if rate < 1 else 0.0}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value = inputs[0].value
        if not context.training:
            return value
        shape = list(value.shape[1:])
        if isinstance(step.layer, _SPATIAL):
            shape[1:-1] = [1] * (len(shape) - 2)
        bits = context.bits(tuple(shape))
        is_kept = bits >= ops.cast(context.number("threshold", ops.cast(bits, "float32")), "uint32")
        return ops.where(is_kept, value * context.number("scale", value), ops.zeros_like(value))


@register_rule(keras.layers.GaussianNoise)
class GaussianNoiseRule(Rule):
    """Adds noise."""

    lifted = ("stddev", "seed")

    def numbers(self, step: Step) -> Mapping[str, float]:
        return {"stddev": step.layer.stddev}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value = inputs[0].value
        if not context.training:
            return value
        noise = context.normal(tuple(value.shape[1:]), value.dtype) * context.number("stddev", value)
        return Signal(value + noise, context.output_mask).masked()


@register_rule(keras.layers.GaussianDropout)
class GaussianDropoutRule(Rule):
    """Multiplies by noise of mean 1."""

    lifted = ("rate", "seed")

    def numbers(self, step: Step) -> Mapping[str, float]:
        rate = step.layer.rate
        return {"stddev": (rate / (1 - rate)) ** 0.5}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value = inputs[0].value
        if not context.training:
            return value
        return value * (1 + context.normal(tuple(value.shape[1:]), value.dtype) * context.number("stddev", value))
