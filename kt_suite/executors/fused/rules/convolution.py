"""Convolutions, as products of the patches that the kernel meets."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, ClassVar

import keras
from keras import ops

from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.rules.base import Layout, prefix, register_rule
from kt_suite.executors.fused.rules.dense import Activated, product
from kt_suite.executors.fused.rules.shape import needs_channels_last
from kt_suite.executors.fused.unfusable import describe


class Windowed(Activated):
    """A layer with channels last that moves a kernel over places; its filters are its width."""

    lifted: ClassVar[tuple[str, ...]] = ("filters", "activation")

    def reasons(self, step: Step) -> list[str]:
        return super().reasons(step) + needs_channels_last(step)

    def width(self, step: Step) -> int | None:
        return int(step.layer.filters)


def sides(layer: Any) -> list[Axis]:
    """Returns the axes of a kernel that lie along the places."""
    return [Axis(size) for size in layer.kernel_size]


@register_rule(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
class ConvolutionRule(Windowed):
    """One batched product of patches and kernels.

    Compilers are slow at grouped convolutions, which is what stacked kernels are to them.
    """

    def reasons(self, step: Step) -> list[str]:
        reasons = super().reasons(step)
        if step.layer.groups != 1:
            reasons.append(f"{describe(step.layer)} has groups: use 1, or a DepthwiseConv2D")
        return reasons

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        output = prefix(step, width)
        return [output], {"kernel": [*sides(step.layer), inputs[0], output], "bias": [output]}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        layer, kernel = step.layer, context.variable("kernel")
        windows = list(shifts(inputs[0].value, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding))
        patches = windows[0] if len(windows) == 1 else ops.concatenate(windows, axis=-1)
        kernel = ops.reshape(kernel, (kernel.shape[0], -1, kernel.shape[-1]))
        return self.finish(context, product(patches, kernel), context.output_mask)


def shifts(value: Any, size: Any, strides: Any, dilation: Any, padding: str, fill: float = 0.0) -> Iterator[Any]:
    """Yields for each place of a window, in row-major order, the entries of ``value`` that it meets.

    Args:
        value: ``(members, batch, *places, channels)``.
        size: Places of the window along each axis.
        strides: Steps of the window.
        dilation: Distances between its places.
        padding: ``"valid"``, ``"same"`` or ``"causal"``.
        fill: What stands around ``value``.
    """
    places = value.shape[2:-1]
    pads, counts = [], []
    for length, taps, stride, apart in zip(places, size, strides, dilation, strict=True):
        reach = (taps - 1) * apart + 1
        if padding == "valid":
            before = after = 0
            counts.append((length - reach) // stride + 1)
        else:
            counts.append(-(-length // stride))
            missing = max((counts[-1] - 1) * stride + reach - length, 0)
            before, after = (reach - 1, 0) if padding == "causal" else (missing // 2, missing - missing // 2)
        pads.append((before, after))
    if any(pad != (0, 0) for pad in pads):
        value = ops.pad(value, [(0, 0), (0, 0), *pads, (0, 0)], constant_values=fill)
    for taps in itertools.product(*(range(taps) for taps in size)):
        window: list[Any] = [slice(None), slice(None)]
        for tap, count, stride, apart in zip(taps, counts, strides, dilation, strict=True):
            start = tap * apart
            window.append(slice(start, start + (count - 1) * stride + 1, stride))
        yield value[tuple(window)]
