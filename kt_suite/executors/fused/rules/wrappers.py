"""Layers around layers: both ways through a sequence, and the same at each of its times."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.keys import config_key
from kt_suite.executors.fused.rules import recurrent
from kt_suite.executors.fused.rules.base import Layout, Rule, register_rule, rule_of
from kt_suite.executors.fused.unfusable import Unfusable, describe


@register_rule(keras.layers.Bidirectional)
class BidirectionalRule(Rule):
    """Two recurrent layers of equal units, joined."""

    def _ways(self, step: Step) -> dict[str, Any]:
        return {"forward/": step.layer.forward_layer, "backward/": step.layer.backward_layer}

    def reasons(self, step: Step) -> list[str]:
        ways = list(self._ways(step).values())
        if not all(recurrent.is_recurrent(way) for way in ways):
            return [f"{describe(step.layer)} goes through {type(ways[0]).__name__}: use LSTM, GRU or SimpleRNN"]
        reasons = [reason for way in ways for reason in recurrent.reasons_of(way)]
        if ways[0].units != ways[1].units:
            reasons.append(f"{describe(step.layer)} has more units one way than the other: give both the same")
        if len(step.inputs) > 1:
            reasons.append(f"{describe(step.layer)} is given initial states: leave them out")
        return reasons

    def takes_masks(self, step: Step) -> bool:
        return True

    def key(self, step: Step) -> Any:
        own = config_key(step.layer, ("layer", "backward_layer"))
        return own, *((type(way), recurrent.key_of(way)) for way in self._ways(step).values())

    def width(self, step: Step) -> int | None:
        return int(step.layer.forward_layer.units)

    def numbers(self, step: Step) -> Mapping[str, float]:
        return _joined(recurrent.numbers_of(way, path) for path, way in self._ways(step).items())

    def choices(self, step: Step) -> Mapping[str, str]:
        return _joined(recurrent.choices_of(way, path) for path, way in self._ways(step).items())

    def variables(self, step: Step) -> Mapping[str, Any]:
        return _joined(recurrent.variables_of(way, path) for path, way in self._ways(step).items())

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        real = int(step.layer.forward_layer.units)
        units = Axis.prefix(real, real if width is None else width)
        axes = _joined(recurrent.axes_of(way, inputs[0], units, path) for path, way in self._ways(step).items())
        outputs = [units] * len(step.outputs)
        if step.layer.merge_mode == "concat":
            outputs[0] = Axis.concatenate([units, units])
        return outputs, axes

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        layer, value, joined = step.layer, inputs[0].value, context.output_mask
        mask = joined
        if joined is not None and layer.merge_mode == "concat":
            mask = joined[:, : joined.shape[1] // 2]
        made, states = [], []
        for path, way in self._ways(step).items():
            output, last = recurrent.go_through(context, way, value, mask, path=path, steps=inputs[0].times)
            made.append(output)
            states += last if layer.return_state else []
        if layer.return_sequences:
            made[1] = ops.flip(made[1], axis=2)
        outputs = [Signal(output, joined) for output in _merge(layer.merge_mode, made)]
        return [*outputs, *(Signal(Signal(state, mask).masked(), mask) for state in states)]


def _merge(mode: str | None, made: list[Any]) -> list[Any]:
    if mode is None:
        return made
    if mode == "concat":
        return [ops.concatenate(made, axis=-1)]
    if mode == "mul":
        return [made[0] * made[1]]
    return [made[0] + made[1] if mode == "sum" else (made[0] + made[1]) / 2]


def _joined(parts: Any) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.items()}


@register_rule(keras.layers.TimeDistributed)
class TimeDistributedRule(Rule):
    """The rule of the layer inside, with times for rows."""

    def _inner(self, step: Step) -> tuple[Rule, Step]:
        inner = dataclasses.replace(
            step,
            layer=step.layer.layer,
            input_shapes=[_without_times(shape) for shape in step.input_shapes],
            output_shapes=[_without_times(shape) for shape in step.output_shapes],
        )
        return rule_of(inner.layer), inner

    def reasons(self, step: Step) -> list[str]:
        try:
            rule, inner = self._inner(step)
        except Unfusable as unfusable:
            return unfusable.reasons
        reasons = rule.reasons(inner)
        if step.layer.non_trainable_variables:
            reasons.append(f"{describe(step.layer)} has a layer with a state inside: put it outside")
        if inner.layer.activity_regularizer is not None:
            reasons.append(f"{describe(inner.layer)} has an activity regularizer: give it to a layer outside")
        if any(shape[1] is None for shape in step.input_shapes):
            reasons.append(f"{describe(step.layer)} has an unknown number of times: give the input a fixed length")
        return reasons

    def is_exact(self, step: Step) -> bool:
        rule, inner = self._inner(step)
        return rule.is_exact(inner)

    def takes_masks(self, step: Step) -> bool:
        return not step.layer.layer._call_has_mask_arg

    def key(self, step: Step) -> Any:
        rule, inner = self._inner(step)
        return type(inner.layer), rule.key(inner), inner.layer.dtype_policy.name

    def width(self, step: Step) -> int | None:
        rule, inner = self._inner(step)
        return rule.width(inner)

    def numbers(self, step: Step) -> Mapping[str, float]:
        rule, inner = self._inner(step)
        return rule.numbers(inner)

    def choices(self, step: Step) -> Mapping[str, str]:
        rule, inner = self._inner(step)
        return rule.choices(inner)

    def variables(self, step: Step) -> Mapping[str, Any]:
        rule, inner = self._inner(step)
        return rule.variables(inner)

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        rule, inner = self._inner(step)
        return rule.layout(inner, inputs, width)

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        rule, inner = self._inner(step)
        value = inputs[0].value
        batch, times = value.shape[1], value.shape[2]
        flat = ops.reshape(value, (value.shape[0], batch * times, *value.shape[3:]))
        made = rule.call(context, inner, Signal(flat, inputs[0].mask))
        signal = made if isinstance(made, Signal) else Signal(made, context.output_mask)
        unfolded = ops.reshape(signal.value, (signal.value.shape[0], batch, times, *signal.value.shape[2:]))
        return Signal(unfolded, signal.mask)


def _without_times(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    return (shape[0], *shape[2:])
