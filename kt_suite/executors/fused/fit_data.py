"""What runs train on, from the arguments of ``model.fit``: shared by all runs that were given the same."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kt_suite.executors.fused.member import Data, Options
from kt_suite.executors.fused.streams import is_stream
from kt_suite.executors.fused.unfusable import Unfusable
from kt_suite.executors.subset import choose, cut_fit_arguments
from kt_suite.rows import num_samples
from kt_suite.runs import RunPlan, fit_arguments

FitArguments = tuple[tuple[Any, ...], dict[str, Any]]


class FitData:
    """Turns the arguments of ``fit`` into the data of stacks, and keeps what it has made.

    Args:
        args: Positional arguments of ``search``.
        kwargs: Keyword arguments of ``search``.
        seed: Chooses shares of the data.
        cuts_folds: Whether runs of folds are given their own rows, to be looked at before training.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], seed: int, *, cuts_folds: bool) -> None:
        self._seed, self._cuts_folds = seed, cuts_folds
        self._given = (args, kwargs)
        self._shares: dict[tuple[str | None, float], FitArguments] = {}
        self._data: dict[Any, tuple[Data, Any]] = {}

    def of(self, plan: RunPlan, share: float) -> FitArguments:
        """Returns the arguments of a run: the same arrays each time, but for the rows of a fold."""
        if plan.rows is not None:
            args, kwargs = self._all_rows(plan)
            if self._cuts_folds:
                args, kwargs = cut_fit_arguments(*fit_arguments(plan, args, kwargs), share, self._seed)
            return args, kwargs
        if (plan.task, share) not in self._shares:
            self._shares[plan.task, share] = cut_fit_arguments(*self._all_rows(plan), share, self._seed)
        return self._shares[plan.task, share]

    def _all_rows(self, plan: RunPlan) -> FitArguments:
        """Returns the arguments of a run's task, with all rows."""
        if plan.rows is None:
            return fit_arguments(plan, *self._given)
        return self.of(dataclasses.replace(plan, rows=None, validation_rows=None), 1.0)

    def rows(self, plan: RunPlan, share: float) -> np.ndarray | None:
        """Returns the rows of the data that a run trains on; ``None`` for all."""
        rows: np.ndarray | None = plan.rows
        return rows if rows is None or share == 1 else rows[choose(len(rows), share, self._seed)]

    def options(self, arguments: dict[str, Any], plan: RunPlan, shuffle: str) -> Options:
        """Returns how a run trains, by its arguments of ``fit``.

        Args:
            arguments: By name.
            plan: The run.
            shuffle: How rows are shuffled, where they are.
        """
        x, validation = arguments.get("x"), arguments.get("validation_data")
        batch_size, test_batch_size = arguments.get("batch_size"), arguments.get("validation_batch_size")
        steps, test_steps = arguments.get("steps_per_epoch"), arguments.get("validation_steps")
        test_batch_size = test_batch_size or batch_size
        if steps and not batch_size and not is_stream(x):  # as Keras does
            batch_size = math.ceil(_num_rows(arguments, plan) / steps)
        if test_steps and not test_batch_size and validation is not None and not is_stream(validation):
            test_batch_size = math.ceil(num_samples(validation[0]) / test_steps)
        return Options(
            batch_size=32 if is_stream(x) else int(batch_size or 32),
            shuffle=shuffle if arguments.get("shuffle", True) else None,
            seed=self._seed,
            validation_batch_size=int(test_batch_size or 32),
            steps_per_epoch=steps or None,
            validation_steps=test_steps or None,
        )

    def data(self, arguments: dict[str, Any], plan: RunPlan) -> Data:
        """Returns the data that a run's arguments of ``fit`` stand for; equal arguments give the same object.

        Args:
            arguments: By name.
            plan: The run.

        Raises:
            Unfusable: Data of a kind that a stack cannot read.
        """
        parts = [arguments.get(name) for name in ("x", "y", "sample_weight", "validation_data")]
        is_fold = plan.rows is not None
        if is_fold:  # all rows, whatever the run was given to look at
            args, kwargs = self._all_rows(plan)
            parts = [*(*args, None)[:2], kwargs.get("sample_weight"), None]
        split = float(arguments.get("validation_split") or 0.0)
        key = (*map(id, parts), split, is_fold)
        if key not in self._data:
            self._data[key] = (_data(*parts, split=split, is_fold=is_fold), parts)  # parts live as long as their ids
        return self._data[key][0]


def _num_rows(arguments: dict[str, Any], plan: RunPlan) -> int:
    """Returns how many rows a run trains on."""
    if plan.rows is not None:
        return len(plan.rows)
    return math.floor(num_samples(arguments["x"]) * (1.0 - float(arguments.get("validation_split") or 0.0)))


def _data(x: Any, y: Any, sample_weight: Any, validation: Any, *, split: float, is_fold: bool) -> Data:
    if is_stream(x):
        if split or y is not None or sample_weight is not None:
            raise Unfusable(["a data set holds its targets and weights, and cannot be split: give x alone"])
        return Data(x, validation=_validation(validation))
    for what, given in (("training", x), ("validation", validation)):
        if given is not None and not _is_plain(given):
            raise Unfusable([f"{what} data of type {type(given).__name__} are not fused: give arrays"])
    x, y, sample_weight = _arrays(x), _arrays(y), _arrays(sample_weight)
    if is_fold:
        return Data(x, y, sample_weight, _tuple((x, y, sample_weight)))
    if validation is not None or not split:
        return Data(x, y, sample_weight, _validation(validation))
    first = math.floor(len(keras.tree.flatten(x)[0]) * (1.0 - split))  # as Keras does: the last rows
    held_out = _tuple([_each(part, lambda one: one[first:]) for part in (x, y, sample_weight)])
    trained_on = [_each(part, lambda one: one[:first]) for part in (x, y, sample_weight)]
    return Data(trained_on[0], trained_on[1], trained_on[2], held_out)


def _is_plain(data: Any) -> bool:
    return hasattr(data, "shape") or isinstance(data, list | tuple | dict) or is_stream(data)


def _validation(validation: Any) -> Any:
    return validation if is_stream(validation) else _tuple(validation)


def _tuple(validation: Any) -> Any:
    if validation is None:
        return None
    parts = [_arrays(part) for part in validation]
    return tuple(parts[:2] if len(parts) < 3 or parts[2] is None else parts)


def _each(data: Any, change: Callable[[Any], Any]) -> Any:
    return None if data is None else keras.tree.map_structure(change, data)


def _arrays(data: Any) -> Any:
    """Returns arrays of the types that Keras would train on: floating numbers in its own precision."""
    return _array(data) if hasattr(data, "iloc") else _each(data, _array)


def _array(data: Any) -> np.ndarray:
    if hasattr(data, "iloc"):
        data = data.to_numpy()[:, None] if data.ndim == 1 else data.to_numpy()
    array = np.asarray(data)
    if array.dtype == object or array.dtype.kind in "US":
        raise Unfusable([f"arrays of {array.dtype} are not fused: turn them into numbers first"])
    floatx = keras.config.floatx()
    return array.astype(floatx) if array.dtype.kind == "f" and array.dtype != floatx else array
