"""Keras' masks of times: which step makes or hands them on, and which layer cannot take one.

``Masking`` and ``Embedding(mask_zero=True)`` make them. They go from layer to layer as Keras has them go, by each
layer's own ``compute_mask``, up to losses and metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kt_suite.executors.fused.context import Signal, fold, unfold
from kt_suite.executors.fused.graph import Graph, Slot, Step
from kt_suite.executors.fused.unfusable import describe

HEEDING = (keras.layers.Multiply, keras.layers.Maximum, keras.layers.Minimum)
"""Layers that join branches by their masks."""


def masked_signals(graph: Graph, rules: Sequence[Any]) -> tuple[frozenset[int], list[str]]:
    """Returns the numbers of the signals that have a mask, and what keeps layers from taking theirs.

    Args:
        graph: Of a model.
        rules: Those of its steps.
    """
    masks: dict[int, Any] = {}
    reasons: list[str] = []
    if not any(makes_mask(step.layer) or _computes(step.layer) for step in graph.steps):
        return frozenset(), _given_as_arguments(graph, rules)
    for rule, step in zip(rules, graph.steps, strict=True):
        taken = [masks.get(number) for number in step.inputs]
        is_masked = any(mask is not None for mask in taken)
        if is_masked and _looks_at_masks(step.layer) and not rule.takes_masks(step):
            reasons.append(f"{describe(step.layer)} is given a mask of times: let it have none, or pool before it")
            continue
        values = [keras.KerasTensor(shape, "float32") for shape in step.input_shapes]
        made = _carried(step, values, taken)
        if any(mask is not None for mask in made) and not is_masked and not makes_mask(step.layer):
            reasons.append(f"{describe(step.layer)} makes a mask of its own: use Masking, or Embedding with mask_zero")
        masks.update(zip(step.outputs, made, strict=True))
    masked = frozenset(number for number, mask in masks.items() if mask is not None)
    return masked, reasons + _ambiguous(graph, masked) + _given_as_arguments(graph, rules)


def _ambiguous(graph: Graph, masked: frozenset[int]) -> list[str]:
    """Returns where Keras' own result depends on the order of layers and on their types."""
    attending = [step for step in graph.steps if type(step.layer) is keras.layers.MultiHeadAttention]
    if not any(masked & set(step.inputs) for step in attending):
        return []
    ends = [step.inputs for step in graph.steps if type(step.layer) in HEEDING]
    if not any(masked & set(numbers) for numbers in [graph.outputs, *ends]):
        return []
    return [f"{describe(attending[0].layer)} takes the mask off what it reads: pool the times before a loss"]


def _given_as_arguments(graph: Graph, rules: Sequence[Any]) -> list[str]:
    return [
        f"{describe(step.layer)} is given a mask as an argument: let Masking or an Embedding before it make one"
        for rule, step in zip(rules, graph.steps, strict=True)
        if rule.arguments is not None and "mask" in step.arguments[1] and step.arguments[1]["mask"] is not None
    ]


def makes_mask(layer: Any) -> bool:
    """Whether a layer tells from its input which times count."""
    is_table = type(layer) is keras.layers.Embedding and layer.mask_zero
    return is_table or type(layer) is keras.layers.Masking


def carried(step: Step, inputs: Sequence[Signal]) -> list[Any]:
    """Returns the masks of a step's outputs, ``(members or 1, batch, times)`` each, or ``None``."""
    if not makes_mask(step.layer) and all(signal.times is None for signal in inputs):
        return [None] * len(step.outputs)
    sizes = {signal.times.shape[0] for signal in inputs if signal.times is not None}
    if len(inputs) > 1 or not sizes:
        sizes |= {signal.value.shape[0] for signal in inputs}
    members = max(sizes)

    def flat(value: Any) -> Any:
        if value is None:
            return None
        if value.shape[0] > members:  # one input, whose mask all members share
            value = value[:1]
        return fold(ops.broadcast_to(value, (members, *value.shape[1:])))

    made = _carried(step, [flat(signal.value) for signal in inputs], [flat(signal.times) for signal in inputs])
    return [None if mask is None else unfold(mask, members) for mask in made]


def _carried(step: Step, values: Sequence[Any], masks: Sequence[Any]) -> list[Any]:
    """Returns the masks that Keras gives to what a layer makes of ``values``, symbolic or not."""
    layer, count = step.layer, len(step.outputs)
    if not isinstance(layer, keras.layers.Layer) or not layer.supports_masking:
        return [None] * count
    if all(mask is None for mask in masks) and not makes_mask(layer) and not _computes(layer):
        return [None] * count
    args, kwargs = step.arguments
    first = args[0] if args else kwargs.get("query", next(iter(kwargs.values())))

    def picked(parts: Sequence[Any]) -> Any:
        return keras.tree.map_structure(lambda one: parts[one.position] if isinstance(one, Slot) else one, first)

    made = layer.compute_mask(picked(values), picked(masks))
    flat = list(keras.tree.flatten(made)) if made is not None else []
    return [*flat, *[None] * count][:count]


def _computes(layer: Any) -> bool:
    """Whether a layer of anyone's has its own way with masks."""
    is_keras = type(layer).__module__.startswith("keras.")
    return not is_keras and type(layer).compute_mask is not keras.layers.Layer.compute_mask


def _looks_at_masks(layer: Any) -> bool:
    if not isinstance(layer, keras.layers.Layer):
        return False
    names = getattr(layer, "call_signature_parameters", ())
    return bool(layer._call_has_mask_arg) or any(name.endswith("_mask") for name in names)
