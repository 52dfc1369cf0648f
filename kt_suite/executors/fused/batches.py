"""The arrays that members train on, and the order in which batches take their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kt_suite.executors.fused.graph import functional, output_names_of, outputs_of
from kt_suite.executors.fused.unfusable import Unfusable


def flat_inputs(model: Any, x: Any) -> list[np.ndarray]:
    """Returns the input arrays in the order of the model's inputs."""
    names = [tensor.name for tensor in model.inputs]
    if isinstance(x, Mapping):
        structure = getattr(functional(model), "_inputs_struct", None)
        keys = list(structure) if isinstance(structure, dict) else names
        arrays = [x[key] for key in keys]
    else:
        arrays = keras.tree.flatten(x)
    if len(arrays) != len(names):
        raise Unfusable([f"the model has {len(names)} inputs, but x holds {len(arrays)} arrays: give one an input"])
    return [_ranked(np.asarray(array), len(tensor.shape)) for array, tensor in zip(arrays, model.inputs, strict=True)]


def _ranked(array: np.ndarray, rank: int) -> np.ndarray:
    """Adds or takes away a last axis of size 1, as functional models do."""
    if array.ndim == rank - 1:
        return array[..., None]
    if array.ndim == rank + 1 and array.shape[-1] == 1:
        return array[..., 0]
    return array


def flat_outputs(model: Any, y: Any, what: str) -> list[Any]:
    """Returns targets (or sample weights) in the order of the model's outputs."""
    outputs = outputs_of(model)
    count = len(keras.tree.flatten(outputs))
    if isinstance(y, Mapping):
        keys = list(outputs) if isinstance(outputs, dict) else output_names_of(model)
        arrays = [y[key] for key in sorted(keys)] if isinstance(outputs, dict) else [y[key] for key in keys]
    else:
        arrays = list(keras.tree.flatten(y))
    if len(arrays) == 1 and what == "sample_weight":
        arrays = arrays * count
    if len(arrays) != count:
        raise Unfusable([f"the model has {count} outputs, but {what} holds {len(arrays)} arrays: give one an output"])
    return [standard(np.asarray(array)) for array in arrays]


def standard(array: np.ndarray) -> np.ndarray:
    """Returns floats in Keras' float type, and one axis as it is."""
    return array.astype(keras.config.floatx()) if array.dtype.kind == "f" else array


def class_weights(y: np.ndarray, weights: Mapping[int, float]) -> np.ndarray:
    """Returns the weight of each row's class; 1 for a class that is not named."""
    labels = y
    if y.ndim > 1:
        labels = y.argmax(-1) if y.shape[-1] > 1 else y[..., 0]
    labels = np.round(labels).astype("int64")
    table = np.ones(max(int(labels.max(initial=0)), *map(int, weights)) + 1)
    for label, weight in weights.items():
        table[int(label)] = weight
    return np.asarray(table[labels], keras.config.floatx())


def orders(rows: Sequence[np.ndarray], batch_size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the rows of each batch, and which of them are real.

    Args:
        rows: Rows of each member, in order; one for all where they are shared.
        batch_size: Rows of a batch.

    Returns:
        ``(steps, batch)`` for shared rows, else ``(steps, members, batch)``, and a mask of that shape, 0 where a batch
        is filled up; ``None`` where none is.
    """
    steps = -(-max(len(own) for own in rows) // batch_size)
    order = np.zeros((len(rows), steps * batch_size), "int32")
    mask = np.zeros((len(rows), steps * batch_size), keras.config.floatx())
    for member, own in enumerate(rows):
        order[member, : len(own)] = own
        order[member, len(own) :] = own[0] if len(own) else 0
        mask[member, : len(own)] = 1
    shape = (len(rows), steps, batch_size)
    order, mask = order.reshape(shape).swapaxes(0, 1), mask.reshape(shape).swapaxes(0, 1)
    if len(rows) == 1:
        order, mask = order[:, 0], mask[:, 0]
    return np.ascontiguousarray(order), None if mask.all() else np.ascontiguousarray(mask)
