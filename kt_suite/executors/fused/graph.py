"""A Keras model as the list of the calls that its graph makes, nested models opened up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
from keras.src.backend import get_keras_mask
from keras.src.models.functional import Functional

from kt_suite.executors.fused.unfusable import Unfusable, describe


@dataclass
class Step:
    """One call of a layer or operation.

    Attributes:
        layer: The layer or operation.
        inputs: Numbers of the signals that it takes, in order.
        outputs: Numbers of the signals that it makes.
        input_shapes: Shapes of the inputs, with ``None`` for the batch axis.
        output_shapes: Shapes of the outputs.
        arguments: ``(args, kwargs)`` of the call, each tensor replaced by a :class:`Slot`.
    """

    layer: Any
    inputs: list[int]
    outputs: list[int]
    input_shapes: list[tuple[int | None, ...]]
    output_shapes: list[tuple[int | None, ...]]
    arguments: tuple[Any, Any]


@dataclass(frozen=True)
class Slot:
    """The place of a tensor among the arguments of a call.

    Attributes:
        position: Index among the inputs of the step.
    """

    position: int


@dataclass
class Graph:
    """The steps of a model.

    Attributes:
        steps: In an order in which they can be taken.
        inputs: Numbers of the signals that are the model's inputs.
        outputs: Numbers of the signals that are the model's outputs, flattened.
        input_tensors: The symbolic inputs.
        num_signals: How many signals there are.
    """

    steps: list[Step] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    input_tensors: list[Any] = field(default_factory=list)
    num_signals: int = 0


def functional(model: Any) -> Any | None:
    """Returns the functional graph of a model or layer; ``None`` where it has none."""
    if isinstance(model, keras.Sequential):
        model = getattr(model, "_functional", None)
    return model if isinstance(model, Functional) and type(model).call is Functional.call else None


def outputs_of(model: Any) -> Any:
    """Returns the symbolic outputs of a model, in their structure; one alone without a list around it."""
    graph = functional(model)
    flat = keras.tree.flatten(graph._outputs_struct if graph is not None else [])
    return flat[0] if len(flat) == 1 else graph._outputs_struct  # type: ignore[union-attr]


def output_names_of(model: Any) -> list[str]:
    """Returns the names of a model's outputs, in the order of its flattened outputs."""
    return list(functional(model).output_names)  # type: ignore[union-attr]


def walk(model: Any) -> Graph:
    """Returns the graph of a model.

    Raises:
        Unfusable: It is neither functional nor sequential.
    """
    root = functional(model)
    if root is None:
        raise Unfusable([f"model {model.name!r} ({type(model).__name__}) has no graph: build it functionally"])
    graph = Graph()
    graph.input_tensors = list(root.inputs)
    graph.inputs = [_new_signal(graph) for _ in root.inputs]
    graph.outputs = _walk(root, graph.inputs, graph)
    _prune(graph)
    return graph


def _prune(graph: Graph) -> None:
    """Drops operations whose outputs nothing takes: those that made masks."""
    used, kept = set(graph.outputs), []
    for step in reversed(graph.steps):
        if isinstance(step.layer, keras.layers.Layer) or used & set(step.outputs):
            used |= set(step.inputs)
            kept.append(step)
    graph.steps = kept[::-1]


def _new_signal(graph: Graph) -> int:
    graph.num_signals += 1
    return graph.num_signals - 1


def _walk(model: Any, inputs: list[int], graph: Graph) -> list[int]:
    """Appends the steps of ``model`` to ``graph``; returns the numbers of its outputs."""
    numbers = {id(tensor): number for tensor, number in zip(model.inputs, inputs, strict=True)}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.operation is None or node.is_input:
                continue
            arguments = _arguments(node)
            tensors = [value for value in keras.tree.flatten(arguments) if isinstance(value, keras.KerasTensor)]
            if any(id(tensor) not in numbers for tensor in tensors):
                raise Unfusable([f"{describe(node.operation)} is called outside of the model's graph"])
            taken = [numbers[id(tensor)] for tensor in tensors]
            inner = functional(node.operation)
            if inner is not None:
                made = _walk(inner, taken, graph)
            else:
                made = [_new_signal(graph) for _ in node.outputs]
                graph.steps.append(_step(node, arguments, taken, made))
            numbers.update({id(tensor): number for tensor, number in zip(node.outputs, made, strict=True)})
    return [numbers[id(tensor)] for tensor in keras.tree.flatten(model._outputs_struct)]


def _arguments(node: Any) -> tuple[Any, Any]:
    """Returns the arguments of a call without what Keras adds: whether to train, and the masks of the inputs."""
    masks = {id(get_keras_mask(tensor)) for tensor in node.input_tensors}

    def is_added(name: str, value: Any) -> bool:
        if name == "mask" or name.endswith("_mask"):
            return all(one is None or id(one) in masks for one in keras.tree.flatten(value))
        return name == "training"

    kwargs = {name: value for name, value in node.arguments.kwargs.items() if not is_added(name, value)}
    return tuple(node.arguments.args), kwargs


def _step(node: Any, arguments: tuple[Any, Any], inputs: list[int], outputs: list[int]) -> Step:
    positions = iter(range(len(inputs)))
    tensors = [value for value in keras.tree.flatten(arguments) if isinstance(value, keras.KerasTensor)]
    return Step(
        node.operation,
        inputs,
        outputs,
        [tuple(tensor.shape) for tensor in tensors],
        [tuple(tensor.shape) for tensor in node.outputs],
        keras.tree.map_structure(
            lambda value: Slot(next(positions)) if isinstance(value, keras.KerasTensor) else value, arguments
        ),
    )
