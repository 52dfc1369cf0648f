"""Batches for a training loop under a distribution: the same global batches whatever the number of replicas."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf
from keras.src.trainers import data_adapters

from kt_suite.errors import InputError, rule


class Feed:
    """Batches of one data set, epoch after epoch.

    Arrays are cut by us: every process computes the same order of samples from a seed, and each replica takes its
    part of each global batch, so that every sample comes once an epoch, the last and partial batch included. Any other
    data set is distributed by TensorFlow.

    Args:
        x, y, sample_weight, batch_size: As for ``model.fit``.
        steps: Batches of an epoch; all that there are if ``None``.
        shuffle, class_weight: As for ``model.fit``.
        seed: From which the order of samples follows.
        strategy: The distribution.
        is_coordinated: Whether this process hands out whole batches, in place of replicas that take their parts.

    Attributes:
        element_spec: Spec of one global batch.
        num_batches: Batches in the data; ``None`` until known.
        is_endless: Whether the iterator goes on from one pass to the next, so that it never runs out.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        batch_size: int | None,
        steps: int | None,
        shuffle: Any,
        class_weight: Any = None,
        seed: int,
        strategy: Any,
        is_coordinated: bool = False,
    ) -> None:
        is_distributed = isinstance(x, tf.distribute.DistributedDataset)
        adapter: Any = (
            None
            if is_distributed
            else data_adapters.get_data_adapter(
                x=x,
                y=y,
                sample_weight=sample_weight,
                batch_size=batch_size,
                steps_per_epoch=steps,
                shuffle=shuffle,
                class_weight=class_weight,
            )
        )
        self._adapter = adapter
        self._steps = steps
        self._seen = 0
        self._iterator: Any = None
        self.is_endless = isinstance(adapter, data_adapters.ArrayDataAdapter) and _are_dense(adapter._inputs)
        self.num_batches: int | None = None if adapter is None else adapter.num_batches
        if self.is_endless:
            arrays = _as_tensors(adapter._inputs)
            self.element_spec = keras.tree.map_structure(_batch_spec, arrays)
            order = _Order(arrays, adapter.batch_size, shuffle, seed)
            if is_coordinated:
                self._source: Any = order.dataset(1, 0, 1)
            else:
                self._source = strategy.distribute_datasets_from_function(order.for_pipeline(strategy))
        elif is_distributed:
            self.element_spec, self._source = x.element_spec, x
        else:
            dataset = adapter.get_tf_dataset()
            self.element_spec = dataset.element_spec
            self._source = dataset if is_coordinated else strategy.experimental_distribute_dataset(dataset)

    def begin_epoch(self) -> Any:
        """Returns the iterator of the epoch that begins."""
        if self._adapter is not None:
            self._adapter.on_epoch_begin()
        if self._iterator is None or not (self.is_endless or self._steps):
            self.restart()
        return self._iterator

    def restart(self) -> None:
        """Goes back to the first batch."""
        self._iterator, self._seen = iter(self._source), 0

    def executions(self, size: int) -> Iterator[tuple[int, int]]:
        """Yields, for an epoch, the first step and the number of steps of what is to be run at one go.

        Args:
            size: Steps at one go, at most.
        """
        step = 0
        limit = self._steps or self.num_batches
        while limit is None or step < limit:
            left = size if limit is None else min(size, limit - step)
            if self.num_batches is not None:
                if self._seen >= self.num_batches:
                    self._warn()
                    break
                left = min(left, self.num_batches - self._seen)
            self._seen += left
            yield step, left
            step += left
        self.end_epoch()

    def run_out(self, num_missing: int) -> None:
        """Notes that the data ended ``num_missing`` steps before the steps last yielded."""
        self._seen -= num_missing
        if self._steps:
            self._warn()
        if self.num_batches is None:
            self.num_batches = self._seen or None
        self._seen = self.num_batches or 0
        self.end_epoch()

    def end_epoch(self) -> None:
        """Notes the end of an epoch."""
        if self.num_batches is not None and self._seen >= self.num_batches:
            self._seen = 0
            if not self.is_endless:
                self._iterator = None
        if self._adapter is not None:
            self._adapter.on_epoch_end()

    @property
    def num_steps(self) -> int | None:
        """Steps of an epoch, where known."""
        return self._steps or self.num_batches

    def _warn(self) -> None:
        warnings.warn(
            "The data ran out before steps_per_epoch were done, and the epoch ends here. Repeat the data.",
            stacklevel=2,
        )


class _Order:
    """The endless sequence of batches of arrays: one pass after the other, each in an order of its own.

    Args:
        arrays: Tensors of ``n`` samples each, in any structure.
        batch_size: Samples of a global batch.
        shuffle: Whether samples are shuffled; ``"batch"`` for inside each batch only.
        seed: Of the orders.
    """

    def __init__(self, arrays: Any, batch_size: int, shuffle: Any, seed: int) -> None:
        self._arrays = arrays
        self._num_samples = int(keras.tree.flatten(arrays)[0].shape[0])
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._seed = seed

    def for_pipeline(self, strategy: Any) -> Any:
        """Returns a function from an input context to the data set of its replicas."""

        def dataset(context: Any) -> Any:
            num_local = context.num_replicas_in_sync // context.num_input_pipelines
            first = context.input_pipeline_id * num_local
            return self.dataset(context.num_replicas_in_sync, first, num_local)

        return dataset

    def dataset(self, num_replicas: int, first: int, num_local: int) -> Any:
        """Returns the parts of each batch that are due to the replicas from ``first`` on, one after the other."""

        def parts(indices: Any) -> Any:
            bounds = (tf.range(num_replicas + 1) * tf.size(indices) + num_replicas - 1) // num_replicas
            replicas = tf.data.Dataset.range(first, first + num_local)
            return replicas.map(lambda replica: indices[bounds[replica] : bounds[replica + 1]])

        batches = tf.data.Dataset.counter().flat_map(self._pass)
        if num_replicas > 1:
            batches = batches.flat_map(parts)
        batches = batches.map(self._gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        batches = batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
        return batches.prefetch(tf.data.AUTOTUNE)

    def _pass(self, number: Any) -> Any:
        indices = tf.range(self._num_samples)
        if self._shuffle and self._shuffle != "batch":
            indices = tf.random.experimental.stateless_shuffle(indices, seed=[self._seed, tf.cast(number, tf.int32)])
        batches = tf.data.Dataset.from_tensor_slices(indices).batch(self._batch_size)
        if self._shuffle == "batch":
            seed = tf.stack([self._seed, tf.cast(number, tf.int32)])
            batches = batches.enumerate().map(
                lambda index, batch: tf.random.experimental.stateless_shuffle(
                    batch, seed=tf.random.experimental.stateless_fold_in(seed, index)
                )
            )
        return batches

    def _gather(self, indices: Any) -> Any:
        return keras.tree.map_structure(lambda array: tf.gather(array, indices), self._arrays)


def _are_dense(inputs: Any) -> bool:
    leaves = keras.tree.flatten(inputs)
    return all(
        (hasattr(one, "__array__") or tf.is_tensor(one)) and not isinstance(one, (tf.SparseTensor, tf.RaggedTensor))
        for one in leaves
        if one is not None
    )


def _as_tensors(inputs: Any) -> Any:
    def convert(array: Any) -> Any:
        if array is None:
            return None
        with tf.device("/cpu:0"):
            tensor = tf.convert_to_tensor(array)
        return tf.cast(tensor, keras.backend.floatx()) if tensor.dtype.is_floating else tensor

    return keras.tree.lists_to_tuples(keras.tree.map_structure(convert, inputs))


def _batch_spec(array: Any) -> Any:
    return tf.TensorSpec((None, *array.shape[1:]), array.dtype)


def split_validation(x: Any, y: Any, sample_weight: Any, share: float) -> tuple[Any, Any]:
    """Returns training and validation data, each ``(x, y, sample_weight)``: the last share of the samples validates.

    Raises:
        InputError: The data cannot be split.
    """
    if not 0 < share < 1:
        raise InputError(rule("validation_split", "lie in [0, 1)", share))
    from keras.src.trainers.data_adapters import array_slicing

    training, validation = array_slicing.train_validation_split((x, y, sample_weight), validation_split=share)
    return training, validation
