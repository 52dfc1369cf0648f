"""Attention."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal, channels
from kt_suite.executors.fused.graph import Slot, Step
from kt_suite.executors.fused.keys import config_key
from kt_suite.executors.fused.rules.base import Layout, Rule, register_rule
from kt_suite.executors.fused.rules.dense import product
from kt_suite.executors.fused.unfusable import describe

_MASKS = ("query_mask", "value_mask", "key_mask")
_ARGUMENTS = ("query", "value", "key", *_MASKS, "attention_mask", "return_attention_scores")


class _Attending(Rule):
    """Weighs values by scores; some weights are dropped, at each member's own rate."""

    lifted = ("dropout", "seed")
    arguments = ("use_causal_mask",)

    def takes_masks(self, step: Step) -> bool:
        return True

    def key(self, step: Step) -> Any:
        return config_key(step.layer, self.lifted), step.layer.dropout > 0

    def numbers(self, step: Step) -> Mapping[str, float]:
        return {"dropout": step.layer.dropout}

    def weigh(self, context: Context, step: Step, scores: Any, value: Any) -> Any:
        """Returns the values' means, weighted by the softmax of ``scores``."""
        weights = ops.softmax(scores, axis=-1)
        if context.training and step.layer.dropout > 0:
            drawn = context.uniform(tuple(weights.shape[1:]), "float32")
            rate = context.number("dropout", drawn)
            kept = weights * ops.cast(1 / (1 - rate), weights.dtype)
            weights = ops.where(drawn >= rate, kept, ops.zeros_like(kept))
        return ops.matmul(weights, value)


@register_rule(keras.layers.MultiHeadAttention)
class MultiHeadAttentionRule(_Attending):
    """All heads of all members in one product; heads and their sizes are equal, what they read may be padded."""

    def reasons(self, step: Step) -> list[str]:
        layer, given = step.layer, _given(step)
        reasons = []
        if any(len(shape) != 3 for shape in step.input_shapes if shape is not None) or layer._attention_axes != (1,):
            reasons.append(f"{describe(layer)} attends over other axes than times: give it (batch, times, channels)")
        if any(given.get(name) is not None for name in _MASKS):
            reasons.append(f"{describe(layer)} is given masks: give it one attention_mask")
        if given.get("return_attention_scores"):
            reasons.append(f"{describe(layer)} returns its scores: leave them out")
        if layer._output_shape is not None and len(layer._output_shape) > 1:
            reasons.append(f"{describe(layer)} has an output_shape of several axes: reshape after it")
        if layer._activity_regularizer is not None:
            reasons.append(f"{describe(layer)} has an activity regularizer: give it to a layer after it")
        return reasons

    def variables(self, step: Step) -> Mapping[str, Any]:
        layer = step.layer
        parts = {"query": layer._query_dense, "key": layer._key_dense, "value": layer._value_dense}
        parts["output"] = layer._output_dense
        if layer._use_gate:
            parts["gate"] = layer._gate_dense
        found = {f"{name}/kernel": part.kernel for name, part in parts.items()}
        return found | {f"{name}/bias": part.bias for name, part in parts.items() if part.bias is not None}

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        layer, given = step.layer, _given(step)
        query, value = inputs[given["query"].position], inputs[given["value"].position]
        key = inputs[given["key"].position] if given.get("key") is not None else value
        output = query if layer._output_shape is None else Axis(layer._output_shape[0])
        heads, sizes, value_sizes = Axis(layer.num_heads), Axis(layer.key_dim), Axis(layer.value_dim)
        axes = {"query": [query, heads, sizes], "key": [key, heads, sizes], "gate": [query, heads, value_sizes]}
        axes |= {"value": [value, heads, value_sizes], "output": [heads, value_sizes, output]}
        kernels = {f"{name}/kernel": of for name, of in axes.items()}
        biases = {f"{name}/bias": [output] if name == "output" else of[1:] for name, of in axes.items()}
        return [output], kernels | biases

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        layer, given = step.layer, _given(step)
        query, value = (inputs[given[name].position].value for name in ("query", "value"))
        key = inputs[given["key"].position].value if given.get("key") is not None else value
        mask = _scores_mask(layer, given, inputs)
        read = (("query", query), ("key", key), ("value", value))
        queries, keys, values = (self._heads(context, name, signal) for name, signal in read)
        dtype = keras.backend.result_type(queries.dtype, "float32")
        scores = ops.matmul(queries, ops.swapaxes(keys, -1, -2))
        # In single precision, as Keras takes it on TensorFlow.
        scores = ops.cast(scores, dtype) * float(np.float32(layer._inverse_sqrt_key_dim))
        if mask is not None:
            scores = ops.where(mask, scores, _least(scores))
        made = self.weigh(context, step, scores, ops.cast(values, dtype))
        made = ops.cast(made, values.dtype)
        if layer._use_gate:
            made = made * ops.sigmoid(self._heads(context, "gate", query))
        made = ops.transpose(made, (0, 1, 3, 2, 4))
        kernel = context.variable("output/kernel")
        made = ops.reshape(made, (*made.shape[:3], made.shape[3] * made.shape[4]))
        made = product(made, ops.reshape(kernel, (kernel.shape[0], -1, kernel.shape[-1])))
        return made + channels(context.variable("output/bias"), made) if context.has("output/bias") else made

    def _heads(self, context: Context, name: str, value: Any) -> Any:
        """Returns ``(members, batch, heads, times, size)``."""
        kernel = context.variable(f"{name}/kernel")
        heads, size = kernel.shape[2:]
        made = product(value, ops.reshape(kernel, (*kernel.shape[:2], heads * size)))
        if context.has(f"{name}/bias"):
            made = made + channels(ops.reshape(context.variable(f"{name}/bias"), (kernel.shape[0], heads * size)), made)
        return ops.transpose(ops.reshape(made, (*made.shape[:3], heads, size)), (0, 1, 3, 2, 4))


@register_rule(keras.layers.Attention)
class AttentionRule(_Attending):
    """Scores by products, or by sums; zeros add nothing to either."""

    def reasons(self, step: Step) -> list[str]:
        layer = step.layer
        reasons = []
        if any(len(shape) != 3 for shape in step.input_shapes):
            reasons.append(f"{describe(layer)} takes inputs that are no sequences: give it (batch, times, channels)")
        if _given(step, ("inputs", "mask")).get("mask") is not None or len(step.output_shapes) > 1:
            reasons.append(f"{describe(layer)} takes masks or returns scores: leave them out")
        return reasons

    def variables(self, step: Step) -> Mapping[str, Any]:
        found = {"scale": step.layer.scale, "weight": getattr(step.layer, "concat_score_weight", None)}
        return {name: variable for name, variable in found.items() if variable is not None}

    def is_exact(self, step: Step) -> bool:
        # Queries and keys of one signal are padded alike; of two they may not be.
        return step.inputs[0] != step.inputs[-1]

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        return [inputs[1]], {}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        # A sum hands gradients to padded entries too, if they are not masked.
        query, key = inputs[0].masked(), inputs[-1].masked()
        value = inputs[1].value
        if step.layer.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -1, -2))
            scores = scores * self._scalar(context, "scale", 4) if context.has("scale") else scores
        else:
            sums = ops.expand_dims(query, 3) + ops.expand_dims(key, 2)
            sums = sums * self._scalar(context, "scale", 5) if context.has("scale") else sums
            scores = self._scalar(context, "weight", 4) * ops.sum(ops.tanh(sums), axis=-1)
        mask = None if inputs[1].times is None else ops.expand_dims(inputs[1].times, 2)
        if step.arguments[1].get("use_causal_mask"):
            causal = ops.arange(query.shape[2])[:, None] >= ops.arange(value.shape[2])
            mask = causal if mask is None else ops.logical_and(mask, causal)
        if mask is not None:
            # As Keras does it here: where no time counts, the scores still matter.
            most = 65504.0 if keras.backend.standardize_dtype(scores.dtype) == "float16" else 1e9
            scores = ops.where(mask, scores, scores - most)
        made = self.weigh(context, step, scores, value)
        if inputs[0].times is not None:
            made = ops.where(ops.expand_dims(inputs[0].times, -1), made, ops.zeros_like(made))
        return made

    def _scalar(self, context: Context, name: str, rank: int) -> Any:
        return ops.reshape(context.variable(name), (-1, *([1] * (rank - 1))))


def _given(step: Step, names: tuple[str, ...] = _ARGUMENTS) -> dict[str, Any]:
    """Returns the arguments of a call by name."""
    args, kwargs = step.arguments
    return dict(zip(names, args, strict=False)) | dict(kwargs)


def _least(scores: Any) -> Any:
    is_half = keras.backend.standardize_dtype(scores.dtype) == "float16"
    return ops.cast(-3e4 if is_half else -1e30, scores.dtype)


def _scores_mask(layer: Any, given: Mapping[str, Any], inputs: tuple[Signal, ...]) -> Any:
    """Returns what may be attended to, to work with ``(members, batch, heads, times, times)``; ``None`` for all."""
    signals = {name: inputs[given[name].position] for name in ("query", "value", "key") if given.get(name) is not None}
    query, value = signals["query"].value, signals["value"].value
    parts = [layer._compute_attention_mask(query[0], value[0], use_causal_mask=bool(given.get("use_causal_mask")))]
    parts += [
        None if signal.times is None else ops.expand_dims(signal.times, (2, 4) if name == "query" else (2, 3))
        for name, signal in signals.items()
    ]
    if isinstance(given.get("attention_mask"), Slot):
        own = ops.cast(inputs[given["attention_mask"].position].value, "bool")
        parts.append(ops.expand_dims(own, 2) if len(own.shape) == 4 else own)
    parts = [part for part in parts if part is not None]
    return functools.reduce(ops.logical_and, parts) if parts else None
