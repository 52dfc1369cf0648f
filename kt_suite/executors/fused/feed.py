"""What a stack trains on, chunk by chunk: resident arrays are one chunk, streams several."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kt_suite.executors.fused import backend as backends
from kt_suite.executors.fused.batches import class_weights, flat_inputs, flat_outputs, orders
from kt_suite.executors.fused.group import Group
from kt_suite.executors.fused.unfusable import Unfusable

_MEANS = ("sum_over_batch_size", "mean")
_MAX_TEST_ROWS = 512
_MAX_TEST_ENTRIES = 2**24


class Feed:
    """Arrays of training and validation, on the device, and the order of their rows.

    Args:
        model: The first member's.
        data: What to train on.
        options: Batch size, shuffling, seed.
    """

    def __init__(self, model: Any, data: Any, options: Any) -> None:
        self._model, self._data, self._options = model, data, options
        self._backend = backends.current()
        if not hasattr(data.x, "shape") and not isinstance(data.x, list | tuple | dict):
            raise Unfusable([f"x is a {type(data.x).__name__}: give arrays"])
        self._x = flat_inputs(model, data.x)
        self._y = flat_outputs(model, data.y, "y")
        self._w = None if data.sample_weight is None else flat_outputs(model, data.sample_weight, "sample_weight")
        self._test: Any = None
        if data.validation is not None:
            x, y, *rest = data.validation
            weights = flat_outputs(model, rest[0], "sample_weight") if rest and rest[0] is not None else None
            self._test = (flat_inputs(model, x), flat_outputs(model, y, "y"), weights)
        self.targets = [keras.KerasTensor((None, *array.shape[1:]), array.dtype.name) for array in self._y]
        self.is_ragged = False
        self.batch_size = int(options.batch_size)
        self.step_bytes = 0
        self.steps: int | None = None
        self._device: dict[str, Any] = {}

    @property
    def has_resident_validation(self) -> bool:
        """Whether validation can be part of the same program."""
        return self._test is not None

    @property
    def signature(self) -> Any:
        """What a compiled program depends on."""
        arrays = [*self._x, *self._y, *(self._test[0] if self._test else ())]
        return tuple((array.shape[1:], array.dtype.name) for array in arrays), self._w is None

    def prepare(self, members: Sequence[Any], group: Group) -> None:
        """Takes in who trains now."""
        self._members, self._group = list(members), group
        size = len(self._x[0])
        self._rows = [np.arange(size) if one.rows is None else np.asarray(one.rows) for one in members]
        self._is_shared = _all_equal(self._rows) and self._options.shuffle != "per_trial"
        batch = self._options.batch_size
        counts = {-(-len(rows) // batch) for rows in self._rows}
        self.is_ragged = len(counts) > 1
        self.steps = max(counts)
        entries = max(row_entries(step) for step in group.view.steps)
        self.step_bytes = 4 * entries * batch * 4
        self._arrays = self._training_arrays()
        self._batches = self._validation_batches(entries) if self._test else None

    def _training_arrays(self) -> dict[str, Any]:
        if not self._device:
            self._device = {"x": self._on_device(self._x), "y": self._on_device(self._y)}
        weights: Any = None
        has_classes = any(one.class_weight for one in self._members)
        if has_classes:
            if len(self._y) > 1:
                raise Unfusable(["class_weight is for models with one output: use sample_weight"])
            shared = self._w[0] if self._w else np.ones(len(self._y[0]), keras.config.floatx())
            own = [
                shared * (class_weights(self._y[0], one.class_weight) if one.class_weight else 1.0)
                for one in self._members
            ]
            weights = [{"shared": None, "members": self._backend.tensor(np.stack(self._group.fill(own)))}]
        elif self._w is not None:
            weights = [{"shared": self._backend.tensor(array), "members": None} for array in self._w]
        return {**self._device, "w": weights}

    def _on_device(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        return [self._backend.tensor(_narrow(array)) for array in arrays]

    def training(self, epoch: int, iterations: np.ndarray, order: np.ndarray | None) -> Iterator[tuple[Any, bool]]:
        """Yields the batches of an epoch, and whether they are its last.

        Args:
            epoch: Number of the epoch, for a shared order.
            iterations: Steps that members took, for orders of their own.
            order: Order of all rows, in place of a drawn one.
        """
        rows = self._rows[:1] if self._is_shared else self._group.fill(self._rows)
        if order is not None:
            ranks = np.argsort(order)
            drawn = [own[np.argsort(ranks[own], kind="stable")] for own in rows]
        elif self._options.shuffle is None:
            drawn = rows
        elif self._options.shuffle == "shared":
            drawn = [np.random.default_rng([self._options.seed, epoch]).permutation(own) for own in rows]
        else:
            seeds = self._group.fill([one.seed for one in self._members])
            drawn = [
                np.random.default_rng([seed, int(steps)]).permutation(own)
                for seed, steps, own in zip(seeds, iterations, rows, strict=True)
            ]
        picked, mask = orders(drawn, self._options.batch_size)
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

    def _validation_batches(self, entries: int) -> dict[str, Any]:
        x, y, weights = self._test
        if "test_x" not in self._device:
            self._device.update(test_x=self._on_device(x), test_y=self._on_device(y))
        rows = [
            np.arange(len(x[0])) if one.validation_rows is None else np.asarray(one.validation_rows)
            for one in self._members
        ]
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
        if any(reduction not in _MEANS for reduction in reductions):
            return int(asked)
        most = max(asked, min(_MAX_TEST_ROWS, _MAX_TEST_ENTRIES // (entries * self._group.num_places)))
        steps = -(-count // most)
        return int(-(-count // steps))

    def validation(self) -> Any:
        """Returns the validation batches."""
        return self._batches

    def validations(self) -> Iterator[Any]:
        """Yields the validation batches, chunk by chunk."""
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
