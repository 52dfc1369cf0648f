"""Pooling."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from kt_suite.executors.fused.context import Context, Signal, fold, unfold
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.rules.base import Rule, register_rule
from kt_suite.executors.fused.rules.convolution import shifts
from kt_suite.executors.fused.rules.shape import needs_channels_last


class _Pooling(Rule):
    def reasons(self, step: Step) -> list[str]:
        return needs_channels_last(step)

    def windows(self, step: Step, value: Any, fill: float) -> list[Any]:
        """Returns the entries that a window meets, by place."""
        layer = step.layer
        return list(shifts(value, layer.pool_size, layer.strides, [1] * len(layer.pool_size), layer.padding, fill))


@register_rule(keras.layers.MaxPooling1D, keras.layers.MaxPooling2D, keras.layers.MaxPooling3D)
class MaxPoolingRule(_Pooling):
    """The first of the largest entries takes the gradient, as in the backends' own operations."""

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        layer, value = step.layer, inputs[0].value
        if not _are_apart(layer, value.shape[2:-1]):
            return _first_largest(self.windows(step, value, -np.inf))
        # Windows that share no entry are reshaped apart; their last axis first, which keeps row-major order.
        for axis, (length, taps) in reversed(list(enumerate(zip(value.shape[2:-1], layer.pool_size, strict=True), 2))):
            before, after = value.shape[:axis], value.shape[axis + 1 :]
            value = value[(slice(None),) * axis + (slice(0, length // taps * taps),)]
            value = ops.reshape(value, (*before, length // taps, taps, *after))
            value = _first_largest([value[(slice(None),) * (axis + 1) + (tap,)] for tap in range(taps)])
        return value


def _are_apart(layer: Any, places: Any) -> bool:
    """Whether windows neither overlap nor reach over the edge."""
    is_whole = layer.padding == "valid" or all(
        length % taps == 0 for length, taps in zip(places, layer.pool_size, strict=True)
    )
    return tuple(layer.strides) == tuple(layer.pool_size) and is_whole


def _first_largest(entries: list[Any]) -> Any:
    return functools.reduce(lambda best, other: ops.where(best >= other, best, other), entries)


@register_rule(keras.layers.AveragePooling1D, keras.layers.AveragePooling2D, keras.layers.AveragePooling3D)
class AveragePoolingRule(_Pooling):
    """The mean of the entries inside of the image."""

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value = inputs[0].value
        total = functools.reduce(ops.add, self.windows(step, value, 0.0))
        return total / ops.cast(ops.convert_to_tensor(_counts(step, value.shape[2:-1])), value.dtype)


def _counts(step: Step, places: Any) -> Any:
    """Returns how many entries of the image each window meets, as ``(1, 1, *places, 1)``."""
    layer = step.layer
    counts = np.ones((1,))
    for length, taps, stride in zip(places, layer.pool_size, layer.strides, strict=True):
        if layer.padding == "valid":
            along = np.full((length - taps) // stride + 1, taps)
        else:
            num_windows = -(-length // stride)
            before = max((num_windows - 1) * stride + taps - length, 0) // 2
            starts = np.arange(num_windows) * stride - before
            along = np.minimum(starts + taps, length) - np.maximum(starts, 0)
        counts = counts[..., None] * along
    return counts.reshape(1, 1, *counts.shape[1:], 1).astype("float64")


@register_rule(
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalMaxPooling3D,
)
class GlobalPoolingRule(_Pooling):
    """By the layer itself; a mean over times is one over those that count."""

    def takes_masks(self, step: Step) -> bool:
        return True

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value, times = inputs[0].value, inputs[0].times
        if times is None or not step.layer._call_has_mask_arg:
            return unfold(step.layer.call(fold(value)), value.shape[0])
        times = fold(ops.broadcast_to(times, (value.shape[0], *times.shape[1:])))
        return unfold(step.layer.call(fold(value), mask=times), value.shape[0])
