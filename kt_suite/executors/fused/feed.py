"""What a stack trains on, chunk by chunk: resident arrays are one chunk, streams several."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kt_suite.executors.fused import backend as backends
from kt_suite.executors.fused.batches import class_weights, flat_inputs, flat_outputs, orders
from kt_suite.executors.fused.group import Group
from kt_suite.executors.fused.streams import Stream, is_stream
from kt_suite.executors.fused.unfusable import Unfusable

_MEANS = ("sum_over_batch_size", "mean")
_MAX_TEST_ROWS = 512
_MAX_TEST_ENTRIES = 2**24


class Feed:
    """Batches of training and validation: rows of arrays that stay on the device, in an order, or those of a stream.

    Args:
        model: The first member's.
        data: What to train on.
        options: Batch size, steps, shuffling, seed.
    """

    def __init__(self, model: Any, data: Any, options: Any) -> None:
        self._model, self._options = model, options
        self._backend = backends.current()
        self._stream: Stream | None = None
        if is_stream(data.x):
            shuffles, steps = options.shuffle is not None, options.steps_per_epoch
            self._stream = Stream(model, data.x, steps=steps, shuffle=shuffles, seed=options.seed)
            self._x, self._y, self._w = self._stream.example
        else:
            self._x, self._y, self._w = _flat_arrays(model, data.x, data.y, data.sample_weight)
        self._test: Any = None
        self._test_stream: Stream | None = None
        if is_stream(data.validation):
            self._test_stream = Stream(model, data.validation, steps=options.validation_steps, begins_anew=True)
        elif data.validation is not None:
            self._test = _flat_arrays(model, *data.validation)
        self.targets = [keras.KerasTensor((None, *array.shape[1:]), array.dtype.name) for array in self._y]
        self.is_ragged = False
        self.batch_size = int(options.batch_size) if self._stream is None else len(self._x[0])
        self.step_bytes = 0
        self.steps: int | None = None
        self._device: dict[str, Any] = {}
        self._passes = self._taken = 0  # of the rows, where an epoch is a number of steps

    @property
    def is_all_resident(self) -> bool:
        """Whether an epoch is one pass over arrays, which can be looked at beforehand."""
        return self._stream is None and self._options.steps_per_epoch is None

    @property
    def has_resident_validation(self) -> bool:
        """Whether validation can be part of the same program."""
        return self._test is not None and self._stream is None

    @property
    def signature(self) -> Any:
        """What a compiled program depends on."""
        test = self._test or (self._test_stream.example if self._test_stream else ((),))
        arrays = [*self._x, *self._y, *test[0]]
        return tuple((array.shape[1:], array.dtype.name) for array in arrays), self._w is None

    def prepare(self, members: Sequence[Any], group: Group) -> None:
        """Takes in who trains now."""
        self._members, self._group = list(members), group
        entries = max(row_entries(step) for step in group.view.steps)
        self.step_bytes = 4 * entries * self.batch_size * 4
        if self._stream is not None:
            self.steps = self._stream.num_batches
        else:
            self._prepare_rows()
        self._batches = self._validation_batches(entries) if self._test else None

    def _prepare_rows(self) -> None:
        size, steps = len(self._x[0]), self._options.steps_per_epoch
        self._rows = [np.arange(size) if one.rows is None else np.asarray(one.rows) for one in self._members]
        self._is_shared = _all_equal(self._rows) and self._options.shuffle != "per_trial"
        counts = {-(-len(rows) // self.batch_size) for rows in self._rows}
        self.is_ragged = len(counts) > 1
        if self.is_ragged and steps is not None:
            raise Unfusable(["steps_per_epoch is given, and folds have different numbers of batches: leave it out"])
        self.steps = max(counts) if steps is None else min(max(counts), steps)
        self._arrays = self._training_arrays()

    def _training_arrays(self) -> dict[str, Any]:
        if not self._device:
            self._device = {"x": self._on_device(self._x), "y": self._on_device(self._y)}
        weights: Any = None
        if any(one.class_weight for one in self._members):
            own = self._class_weights(self._y, self._w)
            weights = [{"shared": None, "members": self._backend.tensor(own)}]
        elif self._w is not None:
            weights = [{"shared": self._backend.tensor(array), "members": None} for array in self._w]
        return {**self._device, "w": weights}

    def _class_weights(self, y: Sequence[np.ndarray], weights: Any) -> np.ndarray:
        """Returns the weights of rows for each place, ``(places, n)``, by the classes of the rows."""
        if len(y) > 1:
            raise Unfusable(["class_weight is for models with one output: use sample_weight"])
        if weights is not None:
            raise Unfusable(["class_weight and sample_weight are both given: give one of them"])
        plain = np.ones(len(y[0]), keras.config.floatx())
        own = [class_weights(y[0], one.class_weight) if one.class_weight else plain for one in self._members]
        return np.stack(self._group.fill(own))

    def _on_device(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        return [self._backend.tensor(_narrow(array)) for array in arrays]

    def training(self, epoch: int, iterations: np.ndarray, order: np.ndarray | None) -> Iterator[tuple[Any, bool]]:
        """Yields the batches of an epoch, and whether they are its last, where that is known.

        Args:
            epoch: Number of the epoch, for a shared order.
            iterations: Steps that members took, for orders of their own.
            order: Order of all rows, in place of a drawn one.
        """
        if self._stream is not None:
            has_classes = any(one.class_weight for one in self._members)
            for chunk in self._stream.chunks(epoch):
                yield self._streamed(chunk, has_classes=has_classes), False
            return
        picked, mask = self._orders(epoch, iterations, order)
        if self.is_ragged and mask is None:
            mask = np.ones(picked.shape, keras.config.floatx())
        yield (
            {
                **self._arrays,
                "order": self._backend.tensor(picked),
                "mask": None if mask is None else self._backend.tensor(mask),
            },
            True,
        )

    def _orders(
        self, epoch: int, iterations: np.ndarray, order: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the rows of each batch of an epoch, and which of them are real.

        Where an epoch is a number of steps, it goes on where the one before has ended, as in ``fit``.
        """
        steps = self._options.steps_per_epoch
        if steps is None:
            return orders(self._drawn(epoch, iterations, order), self.batch_size)
        picked, mask = orders(self._drawn(self._passes, None, order), self.batch_size)
        own = slice(self._taken, self._taken + steps)
        self._taken += steps
        if self._taken > len(picked):
            warnings.warn(
                f"The data hold fewer than steps_per_epoch={steps} more batches: the epoch ends with them.",
                stacklevel=2,
            )
        if self._taken >= len(picked):
            self._passes, self._taken = self._passes + 1, 0
        return picked[own], None if mask is None else mask[own]

    def _drawn(self, number: int, iterations: np.ndarray | None, order: np.ndarray | None) -> list[np.ndarray]:
        """Returns the rows of each member (one for all where they are shared) in the order of a pass."""
        rows = self._rows[:1] if self._is_shared else self._group.fill(self._rows)
        if order is not None:
            ranks = np.argsort(order)
            return [own[np.argsort(ranks[own], kind="stable")] for own in rows]
        if self._options.shuffle is None:
            return list(rows)
        if self._options.shuffle == "shared":
            return self._shared_order(number, iterations)
        seeds = self._group.fill([one.seed for one in self._members])
        moments = [number] * len(seeds) if iterations is None else [int(steps) for steps in iterations]
        return [
            np.random.default_rng([seed, moment]).permutation(own)
            for seed, moment, own in zip(seeds, moments, rows, strict=True)
        ]

    def _shared_order(self, number: int, iterations: np.ndarray | None) -> list[np.ndarray]:
        """Returns rows in the order that all runs of a search see in the same epoch of their own.

        By the epochs that a member itself has trained, so that it comes to the same whoever is beside it: one that
        joins a stack under way does not see the orders of those that were there before.
        """
        epochs = [number] * len(self._rows)
        if iterations is not None:
            counts = [-(-len(own) // self.batch_size) for own in self._rows]
            # To the nearest: in half precision, a member skips steps whose gradients are too large.
            epochs = [round(int(steps) / count) for steps, count in zip(iterations, counts, strict=False)]
        if self._is_shared and len(set(epochs)) == 1:
            return [self._permuted(epochs[0], self._rows[0])]
        if self._is_shared:  # few orders for many members
            drawn = {epoch: self._permuted(epoch, self._rows[0]) for epoch in set(epochs)}
            return self._group.fill([drawn[epoch] for epoch in epochs])
        return self._group.fill([self._permuted(*pair) for pair in zip(epochs, self._rows, strict=True)])

    def _permuted(self, number: int, rows: np.ndarray) -> np.ndarray:
        return np.random.default_rng([self._options.seed, number]).permutation(rows)

    def _streamed(self, chunk: dict[str, Any], *, has_classes: bool = False) -> dict[str, Any]:
        """Returns a chunk of a stream, on the device, with the weights of rows in the form that programs take."""
        weights = None if chunk["w"] is None else [{"shared": array, "members": None} for array in chunk["w"]]
        if has_classes:
            weights = [{"shared": None, "members": self._class_weights(chunk["y"], chunk["w"])}]
        return {
            "x": self._on_device(chunk["x"]),
            "y": self._on_device(chunk["y"]),
            "w": None if weights is None else [_each(self._backend.tensor, own) for own in weights],
            **{name: self._backend.tensor(chunk[name]) for name in ("order", "mask", "steps")},
        }

    def _validation_batches(self, entries: int) -> dict[str, Any]:
        x, y, weights = self._test
        if "test_x" not in self._device:
            self._device.update(test_x=self._on_device(x), test_y=self._on_device(y))
        rows = [
            np.arange(len(x[0])) if one.validation_rows is None else np.asarray(one.validation_rows)
            for one in self._members
        ]
        if (steps := self._options.validation_steps) is not None:
            first = steps * int(self._options.validation_batch_size or self._options.batch_size)
            rows = [own[:first] for own in rows]
        self._test_rows = rows
        shared = _all_equal(rows)
        batch = self._test_batch_size(max(len(own) for own in rows), entries)
        order, mask = orders(rows[:1] if shared else self._group.fill(rows), batch)
        w = None if weights is None else [{"shared": self._backend.tensor(array), "members": None} for array in weights]
        return {
            "x": self._device["test_x"],
            "y": self._device["test_y"],
            "w": w,
            "order": self._backend.tensor(order),
            "mask": None if mask is None else self._backend.tensor(mask),
        }

    def _test_batch_size(self, count: int, entries: int) -> int:
        """Returns the asked batch size, or a larger one where the means over all rows are the same."""
        asked = self._options.validation_batch_size or self._options.batch_size
        reductions = [term.loss.reduction for term in _terms(self._model, self.targets)]
        if self._group.view.has_masked_outputs or any(reduction not in _MEANS for reduction in reductions):
            return int(asked)
        most = max(asked, min(_MAX_TEST_ROWS, _MAX_TEST_ENTRIES // (entries * self._group.num_places)))
        steps = -(-count // most)
        return int(-(-count // steps))

    def validation(self) -> Any:
        """Returns the validation batches."""
        return self._batches

    def validations(self) -> Iterator[Any]:
        """Yields the validation batches, chunk by chunk."""
        if self._test_stream is not None:
            for chunk in self._test_stream.chunks(0):
                yield self._streamed(chunk)
            return
        if self._batches is None:
            raise ValueError("validation data must be given to evaluate, but got None.")
        yield self._batches

    def inputs(self) -> Iterator[list[Any]]:
        """Yields the inputs of validation batches."""
        batches = self._batches
        if batches is None:
            raise ValueError("validation data must be given to predict, but got None.")
        for order in batches["order"]:
            taken = [keras.ops.take(array, order, axis=0) for array in batches["x"]]
            yield [array[None] if len(order.shape) == 1 else array for array in taken]

    def num_validation_rows(self, place: int) -> int:
        """Returns how many validation rows the member at a place has."""
        return len(self._test_rows[place])


def _flat_arrays(model: Any, x: Any, y: Any = None, weights: Any = None) -> Any:
    """Returns inputs, targets and sample weights as lists of arrays, in the order of the model's."""
    if not hasattr(x, "shape") and not isinstance(x, list | tuple | dict):
        raise Unfusable([f"data of type {type(x).__name__} are not fused: give arrays, a data set or a PyDataset"])
    if y is None:
        raise Unfusable(["there are no targets: give y"])
    own = None if weights is None else flat_outputs(model, weights, "sample_weight")
    return flat_inputs(model, x), flat_outputs(model, y, "y"), own


def _each(change: Callable[[Any], Any], parts: dict[str, Any]) -> dict[str, Any]:
    return {name: None if value is None else change(value) for name, value in parts.items()}


def _terms(model: Any, targets: list[Any]) -> list[Any]:
    from kt_suite.executors.fused.losses import terms_of

    return terms_of(model, targets)


def _all_equal(rows: Sequence[np.ndarray]) -> bool:
    return all(np.array_equal(rows[0], own) for own in rows[1:])


def _narrow(array: np.ndarray) -> np.ndarray:
    """Returns floats in Keras' float type; a device has no use for more."""
    return array.astype(keras.config.floatx()) if array.dtype.kind == "f" else array


def row_entries(step: Any) -> int:
    """Returns how many entries one row of one member has in what a step makes and gathers."""
    made = max(math.prod(int(size or 1) for size in shape[1:]) for shape in step.output_shapes)
    taps = math.prod(getattr(step.layer, "kernel_size", ()) or (1,))
    if taps > 1:
        places = math.prod(int(size or 1) for size in step.output_shapes[0][1:-1])
        made = max(made, places * taps * int(step.input_shapes[0][-1] or 1))
    return made
