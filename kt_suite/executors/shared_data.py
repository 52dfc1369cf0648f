"""Data sent to worker processes once: large arrays and data sets become files that workers map or read."""

from __future__ import annotations

import abc
import atexit
import io
import shutil
import tarfile
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kt_suite.errors import InputError, rule
from kt_suite.rows import is_dataset

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


@dataclass(frozen=True)
class _DatasetArchive:
    content: np.ndarray

    def load(self) -> Any:
        import tensorflow as tf

        directory = tempfile.mkdtemp(prefix="kt-suite-")
        atexit.register(shutil.rmtree, directory, ignore_errors=True)  # read for as long as this process lives
        with tarfile.open(fileobj=io.BytesIO(self.content.tobytes())) as tar:
            tar.extractall(directory, filter="data")
        return tf.data.Dataset.load(f"{directory}/dataset")


class DataStore(abc.ABC):
    """Keeps large data for workers, so that they do not travel with every trial."""

    @abc.abstractmethod
    def keep_array(self, array: np.ndarray) -> Any:
        """Returns what travels in the place of an array."""

    @abc.abstractmethod
    def keep_dataset(self, dataset: Any) -> Any:
        """Returns what travels in the place of a ``tf.data.Dataset``."""


class FileStore(DataStore):
    """Writes data into a directory that the workers see.

    Args:
        directory: The directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep_array(self, array: np.ndarray) -> Any:
        if array.nbytes < _LARGE_BYTES or array.dtype.hasobject:
            return array
        path = self._directory / f"{uuid.uuid4().hex}.npy"
        np.save(path, array, allow_pickle=False)
        return _ArrayFile(str(path))

    def keep_dataset(self, dataset: Any) -> Any:
        path = self._directory / uuid.uuid4().hex
        dataset.save(str(path))
        return _DatasetFile(str(path))


class TravellingStore(DataStore):
    """Leaves arrays where they are, for a carrier that stores each of them once, and turns data sets into bytes."""

    def keep_array(self, array: np.ndarray) -> Any:
        return array

    def keep_dataset(self, dataset: Any) -> Any:
        with tempfile.TemporaryDirectory() as directory:
            dataset.save(f"{directory}/dataset")
            archive = io.BytesIO()
            with tarfile.open(fileobj=archive, mode="w") as tar:
                tar.add(f"{directory}/dataset", arcname="dataset")
        return _DatasetArchive(np.frombuffer(archive.getvalue(), np.uint8))


def pack(data: Any, store: DataStore) -> Any:
    """Returns ``data`` with arrays and ``tf.data`` sets inside it replaced by what ``store`` has travel for them.

    Raises:
        InputError: A data set without end, which cannot be written.
    """
    if isinstance(data, np.ndarray):
        return store.keep_array(data)
    if is_dataset(data):
        if int(data.cardinality()) == -1:
            raise InputError(
                rule("A data set for worker processes", "have an end", data, 'Use take(), or executor="inline".')
            )
        return store.keep_dataset(data)
    if isinstance(data, Mapping):
        return {name: pack(item, store) for name, item in data.items()}
    if type(data) in (tuple, list):
        return type(data)(pack(item, store) for item in data)
    return data


def unpack(data: Any) -> Any:
    """Returns what :func:`pack` was given; arrays are mapped read-only, so that workers share their memory."""
    if isinstance(data, (_ArrayFile, _DatasetFile, _DatasetArchive)):
        return data.load()
    if isinstance(data, Mapping):
        return {name: unpack(item) for name, item in data.items()}
    if type(data) in (tuple, list):
        return type(data)(unpack(item) for item in data)
    return data
