"""Data sent to worker processes once: large arrays and data sets become files that workers map or read."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kt_suite.errors import InputError, rule

# Below this, pickling costs less than a file.
_LARGE_BYTES = 1 << 16


@dataclass(frozen=True)
class _ArrayFile:
    path: str

    def load(self) -> Any:
        return np.load(self.path, mmap_mode="r")


@dataclass(frozen=True)
class _DatasetFile:
    path: str

    def load(self) -> Any:
        import tensorflow as tf

        return tf.data.Dataset.load(self.path)


def pack(data: Any, directory: Path) -> Any:
    """Returns ``data`` with large arrays and ``tf.data`` sets inside it replaced by references to files in
    ``directory``.

    Raises:
        InputError: A data set without end, which cannot be written.
    """
    if isinstance(data, np.ndarray) and data.nbytes >= _LARGE_BYTES and not data.dtype.hasobject:
        path = directory / f"{uuid.uuid4().hex}.npy"
        np.save(path, data, allow_pickle=False)
        return _ArrayFile(str(path))
    if hasattr(data, "element_spec") and hasattr(data, "cardinality"):
        if int(data.cardinality()) == -1:
            raise InputError(
                rule("A data set for worker processes", "have an end", data, 'Use take(), or executor="inline".')
            )
        path = directory / uuid.uuid4().hex
        data.save(str(path))
        return _DatasetFile(str(path))
    if isinstance(data, Mapping):
        return {name: pack(item, directory) for name, item in data.items()}
    if type(data) in (tuple, list):
        return type(data)(pack(item, directory) for item in data)
    return data


def unpack(data: Any) -> Any:
    """Returns what :func:`pack` was given; arrays are mapped read-only, so that workers share their memory."""
    if isinstance(data, (_ArrayFile, _DatasetFile)):
        return data.load()
    if isinstance(data, Mapping):
        return {name: unpack(item) for name, item in data.items()}
    if type(data) in (tuple, list):
        return type(data)(unpack(item) for item in data)
    return data
