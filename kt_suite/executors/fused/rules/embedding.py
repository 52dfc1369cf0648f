"""Embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.rules.base import Layout, Rule, prefix, register_rule
from kt_suite.executors.fused.unfusable import describe


@register_rule(keras.layers.Embedding)
class EmbeddingRule(Rule):
    """Rows of each member's table.

    The gradient of a row is the sum of what all its places in a batch ask for, as in Keras on JAX. On TensorFlow,
    optimizers that square gradients (Adam, RMSprop) get from Keras the sum of the places' squares instead of the square
    of their sum (the gradient is an ``IndexedSlices`` with repeated rows), so there steps differ where words repeat.
    """

    lifted = ("output_dim",)

    def reasons(self, step: Step) -> list[str]:
        layer = step.layer
        reasons = []
        if layer.lora_enabled or getattr(layer, "quantization_mode", None):
            reasons.append(f"{describe(layer)} is quantized or has LoRA weights: train it without")
        return reasons

    def is_exact(self, step: Step) -> bool:
        return True

    def width(self, step: Step) -> int | None:
        return int(step.layer.output_dim)

    def variables(self, step: Step) -> Mapping[str, Any]:
        return {"embeddings": step.layer._embeddings}

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        output = prefix(step, width)
        return [output], {"embeddings": [Axis(step.layer.input_dim), output]}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        table = context.variable("embeddings")
        indices = inputs[0].value
        if "int" not in str(indices.dtype):
            indices = ops.cast(indices, "int32")
        made = _look_up(table, indices)
        return ops.cast(made, step.layer.compute_dtype)


def _look_up(table: Any, indices: Any) -> Any:
    num_members, num_rows, width = table.shape
    if indices.shape[0] == 1:
        return ops.take(table, indices[0], axis=1)
    # All tables are one; an index beyond a member's own must not meet its neighbour's.
    is_own = ops.logical_and(indices >= 0, indices < num_rows)
    first = ops.arange(num_members, dtype=indices.dtype) * num_rows
    first = ops.reshape(first, (-1, *([1] * (len(indices.shape) - 1))))
    found = ops.take(ops.reshape(table, (-1, width)), ops.where(is_own, indices, 0) + first, axis=0)
    return ops.where(ops.expand_dims(is_own, -1), found, ops.cast(float("nan"), found.dtype))
