"""Layers that normalise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal, channels, fold, rows, unfold
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.rules.base import Layout, Rule, register_rule
from kt_suite.executors.fused.unfusable import describe


def _is_last(axis: Any, step: Step) -> bool:
    axes = [axis] if isinstance(axis, int) else list(axis)
    return len(axes) == 1 and axes[0] in (-1, len(step.input_shapes[0]) - 1)


class _Scaled(Rule):
    """Has one number a channel in each of its variables."""

    names: tuple[str, ...] = ("gamma", "beta")

    def variables(self, step: Step) -> Mapping[str, Any]:
        found = {name: getattr(step.layer, name, None) for name in self.names}
        return {name: variable for name, variable in found.items() if variable is not None}

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        return inputs, {name: [inputs[0]] for name in self.variables(step)}


@register_rule(keras.layers.BatchNormalization)
class BatchNormalizationRule(_Scaled):
    """Moments of each channel over the real rows; padded channels have scale and offset 0, and stay 0."""

    lifted = ("momentum", "epsilon")
    names = ("gamma", "beta", "moving_mean", "moving_variance")

    def reasons(self, step: Step) -> list[str]:
        layer, reasons = step.layer, []
        if not _is_last(layer.axis, step):
            reasons.append(f"{describe(layer)} has axis {layer.axis}: use the last axis")
        if getattr(layer, "renorm", False):
            reasons.append(f"{describe(layer)} has renorm=True: leave it out")
        if not layer.epsilon > 0:
            reasons.append(f"{describe(layer)} has epsilon 0: use a positive one")
        return reasons

    def takes_masks(self, step: Step) -> bool:
        return True

    def numbers(self, step: Step) -> Mapping[str, float]:
        momentum = step.layer.momentum
        return {"momentum": momentum, "new": 1 - momentum, "epsilon": step.layer.epsilon}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value = inputs[0].value
        dtype = keras.backend.result_type(value.dtype, "float32")
        value = ops.cast(value, dtype)
        mean, variance = (
            ops.cast(context.variable(name, autocast=False), dtype) for name in ("moving_mean", "moving_variance")
        )
        if context.training and step.layer.trainable:
            old = {"moving_mean": mean, "moving_variance": variance}
            mean, variance = _moments(value, context.row_mask, inputs[0].times)
            for name, new in (("moving_mean", mean), ("moving_variance", variance)):
                kept = old[name] * context.number("momentum", new)
                context.update(name, kept + new * context.number("new", new))
        scale = ops.rsqrt(variance + context.number("epsilon", variance))
        if context.has("gamma"):
            scale = scale * ops.cast(context.variable("gamma", autocast=False), dtype)
        shift = -mean * scale
        if context.has("beta"):
            shift = shift + ops.cast(context.variable("beta", autocast=False), dtype)
        made = value * channels(scale, value) + channels(shift, value)
        return ops.cast(made, step.layer.compute_dtype)


def _moments(value: Any, row_mask: Any, times: Any) -> tuple[Any, Any]:
    """Returns mean and variance of each member's channels over all other axes, of shape ``(members, channels)``."""
    axes = list(range(1, len(value.shape) - 1))
    if times is not None:
        weight = ops.cast(ops.expand_dims(times, -1), value.dtype)
        if row_mask is not None:
            weight = weight * rows(row_mask, value)
        # So does Keras with a mask, and with a mask alone.
        count = ops.sum(weight, axes, keepdims=True) + keras.config.epsilon()
        mean = ops.sum(value * weight, axes, keepdims=True) / count
        variance = ops.sum(ops.square((value - mean) * weight), axes, keepdims=True) / count
    elif row_mask is None:
        mean = ops.mean(value, axes, keepdims=True)
        variance = ops.mean(ops.square(value - mean), axes, keepdims=True)
    else:
        weight = rows(row_mask, value)
        size = 1
        for axis in axes[1:]:
            size *= value.shape[axis]
        count = ops.maximum(ops.sum(weight, axes, keepdims=True) * size, 1.0)
        mean = ops.sum(value * weight, axes, keepdims=True) / count
        variance = ops.sum(ops.square(value - mean) * weight, axes, keepdims=True) / count
    shape = (value.shape[0], value.shape[-1])
    return ops.reshape(mean, shape), ops.reshape(variance, shape)


@register_rule(keras.layers.LayerNormalization, *filter(None, [getattr(keras.layers, "RMSNormalization", None)]))
class LayerNormalizationRule(_Scaled):
    """Moments of each row over its real channels."""

    lifted = ("epsilon",)
    names = ("gamma", "beta", "scale")

    def reasons(self, step: Step) -> list[str]:
        if _is_last(step.layer.axis, step):
            return []
        return [f"{describe(step.layer)} has axis {step.layer.axis}: use the last axis"]

    def variables(self, step: Step) -> Mapping[str, Any]:
        found = super().variables(step)
        return {name: variable for name, variable in found.items() if not isinstance(variable, bool)}

    def numbers(self, step: Step) -> Mapping[str, float]:
        return {"epsilon": step.layer.epsilon}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        mask = inputs[0].mask
        value = inputs[0].value
        dtype = keras.backend.result_type(value.dtype, "float32")
        value = ops.cast(value, dtype)
        weight = None if mask is None else channels(mask, value)
        if weight is not None:
            value = value * weight  # or the mean would pull on padded entries, and they would move
        if isinstance(step.layer, keras.layers.LayerNormalization) and not getattr(step.layer, "rms_scaling", False):
            centred = value - _mean(value, weight)
            centred = centred if weight is None else centred * weight
        else:
            centred = value
        variance = _mean(ops.square(centred), weight)
        made = centred * ops.rsqrt(variance + context.number("epsilon", variance))
        for name in ("gamma", "scale"):
            if context.has(name):
                made = made * channels(ops.cast(context.variable(name, autocast=False), dtype), made)
        if context.has("beta"):
            made = made + channels(ops.cast(context.variable("beta", autocast=False), dtype), made)
        return ops.cast(made, step.layer.compute_dtype)


def _mean(value: Any, weight: Any) -> Any:
    """Returns the mean over the last axis; padded entries of ``value`` are zero."""
    if weight is None:
        return ops.mean(value, -1, keepdims=True)
    return ops.sum(value, -1, keepdims=True) / ops.sum(weight, -1, keepdims=True)


@register_rule(keras.layers.UnitNormalization)
class UnitNormalizationRule(Rule):
    """By the layer itself: zeros add nothing to a norm over the channels."""

    def is_exact(self, step: Step) -> bool:
        return not _is_last(step.layer.axis, step)

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        return unfold(step.layer.call(fold(inputs[0].value)), inputs[0].value.shape[0])


@register_rule(keras.layers.Normalization)
class NormalizationRule(Rule):
    """Each member's own adapted mean and variance, or those given to the layer."""

    def is_exact(self, step: Step) -> bool:
        return True

    def variables(self, step: Step) -> Mapping[str, Any]:
        layer = step.layer
        return (
            {}
            if layer.input_mean is not None
            else {"mean": layer.adapt_mean, "variance": layer.adapt_variance, "count": layer.count}
        )

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        return inputs, {name: [Axis(size) for size in value.shape] for name, value in self.variables(step).items()}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        layer, value = step.layer, inputs[0].value
        if not context.has("mean"):
            return unfold(layer.call(fold(value)), value.shape[0])
        shape = (-1, *layer._broadcast_shape)
        mean = ops.reshape(context.variable("mean"), shape)
        scale = ops.maximum(ops.sqrt(ops.reshape(context.variable("variance"), shape)), keras.config.epsilon())
        mean, scale = ops.cast(mean, value.dtype), ops.cast(scale, value.dtype)
        return mean + value * scale if layer.invert else (value - mean) / scale
