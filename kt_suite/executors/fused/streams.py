"""Data that come batch by batch, read as ``model.fit`` reads them: data sets of ``tf.data``, PyDatasets, generators."""

from __future__ import annotations

import itertools
import random
import types
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras.src.trainers.epoch_iterator import EpochIterator

from kt_suite.executors.fused.batches import flat_inputs, flat_outputs
from kt_suite.executors.fused.unfusable import Unfusable
from kt_suite.rows import is_dataset
from kt_suite.seeds import generators_kept

_MAX_CHUNK_BYTES = 2**24
_MAX_CHUNK_STEPS = 64

Batch = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray] | None]
"""Inputs, targets and sample weights of one batch."""


def is_stream(data: Any) -> bool:
    """Whether ``model.fit`` reads data batch by batch."""
    return is_dataset(data) or isinstance(data, keras.utils.PyDataset | types.GeneratorType)


def num_batches(source: Any) -> int | None:
    """Returns the number of batches of a stream; ``None`` where it is not known, or there is no end."""
    if is_dataset(source):
        count = int(source.cardinality())
        return count if count >= 0 else None
    return None if isinstance(source, types.GeneratorType) else source.num_batches


class Stream:
    """The batches of one source, epoch by epoch, each read once for all members.

    Keras' own iterator reads, so that epochs begin, end and run out as in ``fit``. Several batches make a chunk, which
    a program trains on in one call; all chunks have one shape.

    Args:
        model: The first member's.
        source: What :func:`is_stream` knows.
        steps: Batches of an epoch; ``None`` for all that there are.
        shuffle: Whether the batches of a ``PyDataset`` are shuffled.
        seed: Seeds that order.
        begins_anew: Whether each epoch takes the first batches, as validation does.

    Attributes:
        example: A batch: its types and shapes are those of all, but for the number of rows.
    """

    def __init__(
        self,
        model: Any,
        source: Any,
        *,
        steps: int | None = None,
        shuffle: bool = False,
        seed: int = 0,
        begins_anew: bool = False,
    ) -> None:
        self._model, self._seed, self._begins_anew = model, seed, begins_anew
        _check(source)
        is_shuffled = shuffle and isinstance(source, keras.utils.PyDataset) and num_batches(source) is not None
        self._iterator = _EpochIterator(source, steps_per_epoch=steps, shuffle=is_shuffled)
        if not begins_anew:
            self._iterator.reset()
        self._chunk_steps: int | None = None
        self._batch_size = 0
        self._begun: Iterator[Batch] | None = None
        if is_dataset(source):  # another iterator would disturb the order of one that shuffles anew each time
            batches = self._batches(0)
            self.example = next(batches)
            self._begun = itertools.chain([self.example], batches)
        else:
            self.example = self._flat(_peek(self._iterator.data_adapter))

    @property
    def num_batches(self) -> int | None:
        """Batches of an epoch, where they can be known."""
        known: int | None = self._iterator.num_batches
        return known

    def chunks(self, epoch: int) -> Iterator[dict[str, Any]]:
        """Yields the batches of an epoch, many in a chunk.

        Args:
            epoch: Its number.
        """
        begun, self._begun = self._begun, None
        if self._begins_anew and begun is None:
            self._iterator.reset()
        held: list[Batch] = []
        for batch in begun or self._batches(epoch):
            held.append(batch)
            self._batch_size = max(self._batch_size, len(batch[0][0]))
            if len(held) == self._steps_of_chunk(held[0]):
                yield self._packed(held)
                held = []
        if held:
            yield self._packed(held)

    def _batches(self, epoch: int) -> Iterator[Batch]:
        batches = iter(self._iterator)
        with generators_kept():  # what is shuffled is shuffled before the first batch
            random.seed(f"{self._seed} {epoch}")
            first = next(batches, None)
        if first is None:
            raise ValueError("A data set must hold at least one batch, but it is empty.")
        step = first
        while step is not None:  # a for loop would begin the epoch again
            yield self._flat(step[2][0])
            step = next(batches, None)

    def _flat(self, batch: Any) -> Batch:
        x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
        if y is None:
            raise Unfusable(["the data hold inputs without targets"])
        own = None if weights is None else flat_outputs(self._model, weights, "sample_weight")
        return flat_inputs(self._model, x), flat_outputs(self._model, y, "y"), own

    def _steps_of_chunk(self, batch: Batch) -> int:
        """Returns the batches of a chunk: as many as one call should take, in chunks of about one size."""
        if self._chunk_steps is None:
            size = sum(array.nbytes for part in batch for array in part or ())
            most = max(1, min(_MAX_CHUNK_STEPS, _MAX_CHUNK_BYTES // max(1, size)))
            known = self.num_batches
            self._chunk_steps = most if known is None else -(-known // -(-known // most))
        return self._chunk_steps

    def _packed(self, batches: Sequence[Batch]) -> dict[str, Any]:
        """Returns a chunk: the rows of batches one after the other, each batch filled up to the largest so far."""
        steps, size = self._steps_of_chunk(batches[0]), self._batch_size
        counts = [len(batch[0][0]) for batch in batches]
        mask = np.zeros((steps, size), keras.config.floatx())
        for step, count in enumerate(counts):
            mask[step, :count] = 1

        def rows(part: int, index: int) -> np.ndarray:
            arrays = [batch[part][index] for batch in batches]  # type: ignore[index]
            packed = np.zeros((steps, size, *arrays[0].shape[1:]), arrays[0].dtype)
            for step, array in enumerate(arrays):
                packed[step, : len(array)] = array
            return packed.reshape(steps * size, *packed.shape[2:])

        x, y, weights = (
            None if part is None else [rows(number, index) for index in range(len(part))]
            for number, part in enumerate(batches[0])
        )
        order = np.arange(steps * size, dtype="int32").reshape(steps, size)
        return {"x": x, "y": y, "w": weights, "order": order, "mask": mask, "steps": np.int32(len(batches))}


class _EpochIterator(EpochIterator):  # type: ignore[misc]
    """Keras' iterator of TensorFlow begins to read a data set when it is made, and so moves the state of a shuffle."""

    def _get_iterator(self) -> Any:
        is_tensorflow = keras.backend.backend() == "tensorflow" and hasattr(self.data_adapter, "_dataset")
        return self.data_adapter.get_tf_dataset() if is_tensorflow else super()._get_iterator()


def _check(source: Any) -> None:
    if not is_dataset(source):
        return
    kinds = {type(spec).__name__ for spec in keras.tree.flatten(source.element_spec)} - {"TensorSpec"}
    if kinds:
        raise Unfusable([f"the data set yields {' and '.join(sorted(kinds))[:60]} in place of plain tensors"])


def _peek(adapter: Any) -> Any:
    """Returns the first batch of a PyDataset or a generator, and leaves it there."""
    dataset = getattr(adapter, "py_dataset", None)
    return adapter._first_batches[0] if dataset is None else adapter._standardize_batch(dataset[0])


def input_shape(data: Any) -> tuple[Any, ...] | None:
    """Returns the shape of the inputs, rows first, where these are one array whose shape can be told."""
    x: Any = data
    if is_dataset(data):
        x = keras.utils.unpack_x_y_sample_weight(data.element_spec)[0]
    elif isinstance(data, keras.utils.PyDataset):
        x = keras.utils.unpack_x_y_sample_weight(data[0])[0]
    shape = getattr(x, "shape", None)
    return None if shape is None or None in tuple(shape)[1:] else tuple(shape)
