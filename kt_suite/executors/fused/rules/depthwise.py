"""Convolutions of each channel alone, and those that spread entries over places."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.rules.base import Layout, prefix, register_rule
from kt_suite.executors.fused.rules.convolution import Windowed, shifts, sides
from kt_suite.executors.fused.rules.dense import product
from kt_suite.executors.fused.unfusable import describe


@register_rule(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
class DepthwiseRule(Windowed):
    """A sum of shifted inputs, each times its entry of the kernel; its inputs say how many channels there are."""

    lifted = ("activation",)

    def width(self, step: Step) -> int | None:
        return None

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        output = _multiplied(inputs[0], step.layer.depth_multiplier)
        return [output], {"kernel": _kernel_axes(step.layer, inputs[0]), "bias": [output]}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        made = _convolve(step.layer, inputs[0].value, context.variable("kernel"))
        return self.finish(context, made, context.output_mask)


@register_rule(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
class SeparableRule(Windowed):
    """Each channel alone, then a product over channels."""

    def variables(self, step: Step) -> Mapping[str, Any]:
        layer = step.layer
        kernels = {"depthwise_kernel": layer.depthwise_kernel, "pointwise_kernel": layer.pointwise_kernel}
        return kernels | ({"bias": layer.bias} if layer.use_bias else {})

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        output = prefix(step, width)
        ones = [Axis(1)] * step.layer.rank
        return [output], {
            "depthwise_kernel": _kernel_axes(step.layer, inputs[0]),
            "pointwise_kernel": [*ones, _multiplied(inputs[0], step.layer.depth_multiplier), output],
            "bias": [output],
        }

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        made = _convolve(step.layer, inputs[0].value, context.variable("depthwise_kernel"))
        pointwise = context.variable("pointwise_kernel")
        pointwise = ops.reshape(pointwise, (pointwise.shape[0], *pointwise.shape[-2:]))
        return self.finish(context, product(made, pointwise), context.output_mask)


@register_rule(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose)
class TransposeRule(Windowed):
    """One batched product, whose parts are laid where the kernel reaches and summed."""

    def reasons(self, step: Step) -> list[str]:
        layer, reasons = step.layer, super().reasons(step)
        if layer.output_padding is not None:
            reasons.append(f"{describe(layer)} has output_padding: leave it out, and crop or pad after the layer")
        if any(apart != 1 for apart in layer.dilation_rate):
            reasons.append(f"{describe(layer)} is dilated: use dilation_rate=1")
        return reasons

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        output = prefix(step, width)
        return [output], {"kernel": [*sides(step.layer), output, inputs[0]], "bias": [output]}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        layer, kernel = step.layer, context.variable("kernel")
        num_members, filters = kernel.shape[0], kernel.shape[-2]
        parts = product(inputs[0].value, ops.swapaxes(ops.reshape(kernel, (num_members, -1, kernel.shape[-1])), 1, 2))
        places = enumerate(itertools.product(*(range(size) for size in layer.kernel_size)))
        made: Any = sum(_spread(layer, parts[..., tap * filters : (tap + 1) * filters], place) for tap, place in places)
        return self.finish(context, made, context.output_mask)


def _spread(layer: Any, part: Any, place: tuple[int, ...]) -> Any:
    """Returns one place of the kernel's share of the output."""
    for axis, (offset, taps, stride) in enumerate(zip(place, layer.kernel_size, layer.strides, strict=True), start=2):
        part = _spread_along(part, axis, offset, taps, stride, layer.padding)
    return part


def _spread_along(part: Any, axis: int, offset: int, taps: int, stride: int, padding: str) -> Any:
    length = part.shape[axis]
    rank = len(part.shape)
    if stride > 1:
        part = ops.expand_dims(part, axis + 1)
        part = ops.pad(part, [(0, stride - 1) if place == axis + 1 else (0, 0) for place in range(rank + 1)])
        part = ops.reshape(part, (*part.shape[:axis], length * stride, *part.shape[axis + 2 :]))
    # Entry i lies at i * stride + offset of the full output, of which "same" keeps the middle.
    cut = max(taps - stride, 0) // 2 if padding == "same" else 0
    size = length * stride + (0 if padding == "same" else max(taps - stride, 0))
    start = offset - cut
    first = max(-start, 0)
    last = min(length * stride, size - start)
    part = part[tuple(slice(first, last) if place == axis else slice(None) for place in range(rank))]
    before = max(start, 0)
    after = size - before - part.shape[axis]
    return ops.pad(part, [(before, after) if place == axis else (0, 0) for place in range(rank)])


def _multiplied(axis: Axis, times: int) -> Axis:
    """Returns the axis of ``times`` outputs of each channel, side by side."""
    if axis.positions is None:
        return Axis(axis.size * times)
    return Axis(axis.size * times, (axis.positions[:, None] * times + np.arange(times)).ravel())


def _kernel_axes(layer: Any, channels: Axis) -> list[Axis]:
    return [*sides(layer), channels, Axis(layer.depth_multiplier)]


def _convolve(layer: Any, value: Any, kernel: Any) -> Any:
    """Returns the depthwise convolution, ``(members, batch, *places, channels * multiplier)``."""
    num_members, multiplier, rank = kernel.shape[0], kernel.shape[-1], layer.rank
    kernel = ops.reshape(kernel, (num_members, -1, *([1] * (rank + 1)), *kernel.shape[-2:]))
    windows = shifts(value, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)
    made: Any = sum(ops.expand_dims(window, -1) * kernel[:, tap] for tap, window in enumerate(windows))
    return ops.reshape(made, (*made.shape[:-2], made.shape[-2] * multiplier))
