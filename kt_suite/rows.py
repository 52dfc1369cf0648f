"""Rows of data of any kind that Keras takes: how many there are, some of them, a digest of all."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kt_suite.errors import InputError, rule

# Bytes of a data set that are read into memory at most.
MEMORY_LIMIT = 1 << 31


def take(data: Any, indices: np.ndarray) -> Any:
    """Returns samples of arrays, tensors, data frames, or lists, tuples and dicts of these."""
    if data is None:
        return None
    if isinstance(data, Mapping):
        return {name: take(value, indices) for name, value in data.items()}
    if isinstance(data, (list, tuple)):
        return type(data)(take(value, indices) for value in data)
    if hasattr(data, "iloc"):
        return data.iloc[indices]
    if not hasattr(data, "shape"):
        raise _has_no_rows(data)
    if type(data).__module__.partition(".")[0] == "tensorflow":
        import tensorflow as tf

        return tf.gather(data, indices)
    return data[indices]


def num_samples(data: Any) -> int:
    """Returns the number of samples in data of the kinds that :func:`take` cuts."""
    while isinstance(data, (Mapping, list, tuple)) and data:
        data = next(iter(data.values() if isinstance(data, Mapping) else data))
    shape = getattr(data, "shape", None)
    if not shape:
        raise _has_no_rows(data)
    return int(shape[0])


def with_rows(data: Any) -> Any:
    """Returns data with plain lists of numbers made arrays, so that :func:`take` finds rows everywhere."""
    if isinstance(data, Mapping):
        return {name: with_rows(value) for name, value in data.items()}
    if isinstance(data, (list, tuple)):
        if data and any(hasattr(item, "shape") and np.ndim(item) for item in data):
            return type(data)(with_rows(item) for item in data)
        return np.asarray(data)
    return data


def split_validation(data: dict[str, Any], rest: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Carries out ``validation_split`` as ``fit`` does it: the last samples validate.

    Args:
        data: ``x``, ``y`` and ``sample_weight`` of ``fit``.
        rest: The other keyword arguments of ``fit``.
    """
    split = rest.get("validation_split") or 0.0
    if not split or rest.get("validation_data") is not None:
        return data, rest
    num = num_samples(data["x"])
    first = math.floor(num * (1.0 - split))
    parts = {name: take(value, np.arange(first, num)) for name, value in data.items()}
    held_out = tuple(part for part in parts.values() if part is not None)
    trained_on = {name: take(value, np.arange(first)) for name, value in data.items()}
    rest = {name: value for name, value in rest.items() if name != "validation_split"}
    return trained_on, {**rest, "validation_data": held_out}


def leaves(data: Any) -> list[Any]:
    """Returns the arrays and frames that data consist of, in a fixed order."""
    if data is None:
        return []
    if isinstance(data, Mapping):
        return [leaf for name in sorted(data) for leaf in leaves(data[name])]
    if isinstance(data, (list, tuple)):
        return [leaf for item in data for leaf in leaves(item)]
    return [data]


def digest(*data: Any) -> str:
    """Returns a digest in hex of the content of data: equal data have equal ones."""
    total = hashlib.blake2b(digest_size=16)
    for leaf in leaves(list(data)):
        columns = [leaf[name] for name in leaf.columns] if hasattr(leaf, "columns") else [leaf]
        for column in columns:
            array = np.ascontiguousarray(column)
            total.update(f"{array.dtype.kind}{array.dtype.itemsize}{array.shape}".encode())
            total.update(_bytes(array))
    return total.hexdigest()


def _bytes(array: np.ndarray) -> Any:
    if array.dtype.hasobject:
        return repr(array.tolist()).encode()
    return array.data.cast("B") if array.size and array.dtype.kind in "biufc" else array.tobytes()


def is_dataset(data: Any) -> bool:
    """Whether ``data`` is a ``tf.data.Dataset``."""
    return hasattr(data, "element_spec") and hasattr(data, "cardinality")


def materialise(dataset: Any, limit: int = MEMORY_LIMIT) -> tuple[tuple[Any, ...], int]:
    """Reads a batched ``tf.data.Dataset`` into memory.

    Args:
        dataset: Yields batches of ``x``, ``(x, y)`` or ``(x, y, sample_weight)``.
        limit: Bytes at most.

    Returns:
        The parts, each with all rows, and the size of the first batch.

    Raises:
        InputError: It has no end, is empty, or is larger than ``limit``.
    """
    import keras

    what, remedy = "A data set for cross-validation", "Give arrays (numpy.load(..., mmap_mode='r') for large ones)."
    if int(dataset.cardinality()) == -1:
        raise InputError(rule(what, "have an end", dataset, "Call dataset.take(n)."))
    batches, size = [], 0
    for batch in dataset.as_numpy_iterator():
        batches.append(batch if isinstance(batch, tuple) else (batch,))
        size += sum(np.asarray(leaf).nbytes for leaf in leaves(batches[-1]))
        if size > limit:
            raise InputError(rule(what, f"take at most {limit} bytes of memory", f"at least {size}", remedy))
    if not batches:
        raise InputError(rule(what, "hold at least one batch", dataset))
    parts = keras.tree.map_structure(lambda *each: np.concatenate(each), *batches)
    return parts, num_samples(batches[0][0])


def _has_no_rows(data: Any) -> InputError:
    remedy = "Give NumPy arrays, tensors, data frames or a tf.data.Dataset."
    return InputError(rule("Data of which some rows are wanted", "be of a kind that can be cut", data, remedy))
