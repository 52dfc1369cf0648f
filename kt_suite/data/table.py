"""Data before they are split, and the splitting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kt_suite.data.data_set import Array, DataSet
from kt_suite.data.messages import shortened
from kt_suite.errors import InputError, rule

Part = tuple[Array, Array]
Layout = Literal["rows", "images"]


@dataclass
class Table:
    """Data before they are split.

    Attributes:
        name, task: As in :class:`DataSet`.
        x: Inputs of shape ``(n, ...)``, or columns by name: floats, or text to be one-hot encoded.
        y: Targets as a model takes them, ``(n, ...)``.
        class_names, feature_names: As in :class:`DataSet`.
        validation, test: Parts that need no splitting off.
    """

    name: str
    task: str
    x: Array | Mapping[str, Array]
    y: Array
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    validation: Part | None = None
    test: Part | None = None

    def split(
        self,
        seed: int,
        *,
        layout: Layout | None = None,
        validation_share: float = 0.15,
        test_share: float = 0.15,
    ) -> DataSet:
        """Returns the parts, with those split off that were not given; arguments as in ``load_data``."""
        shares = (validation_share, test_share)
        if min(shares) <= 0 or sum(shares) >= 1:
            must = "be positive and leave rows to train on"
            raise InputError(rule("The shares of validation and test", must, shares))
        wanted = {"validation": validation_share, "test": test_share}
        wanted = {name: share for name, share in wanted.items() if getattr(self, name) is None}
        if wanted:
            self._check_size(math.ceil(1 / min(wanted.values())))
        rows = {"training": np.arange(len(self.y))}
        for name, share in wanted.items():
            num_rows = max(1, round(share * len(self.y)))
            rows["training"], rows[name] = self._split_off(rows["training"], num_rows, seed)
        x, feature_names = self._encode(rows["training"])
        parts = {name: (x[where], self.y[where]) for name, where in rows.items()}
        x_train, y_train = parts["training"]
        x_val, y_val = self.validation or parts["validation"]
        x_test, y_test = self.test or parts["test"]
        x_train, x_val, x_test = (_arrange(array, layout, self.name) for array in (x_train, x_val, x_test))
        return DataSet(
            *(self.name, self.task, x_train, x_val, x_test, y_train, y_val, y_test),
            class_names=self.class_names,
            feature_names=feature_names,
        )

    def _split_off(self, rows: Array, num_rows: int, seed: int) -> tuple[Array, Array]:
        from sklearn.model_selection import train_test_split

        strata = self.y[rows] if self.is_stratified else None
        kept, taken = train_test_split(rows, test_size=num_rows, random_state=seed, stratify=strata)
        return kept, taken

    @property
    def is_stratified(self) -> bool:
        """Whether each part gets its share of every class."""
        return self.task in ("binary", "multiclass")

    def _check_size(self, least: int) -> None:
        must = f"have at least {least} rows to be split"
        if len(self.y) < least:
            raise InputError(rule(f"Data set {self.name!r}", must, len(self.y)))
        if self.is_stratified:
            classes, counts = np.unique(self.y, return_counts=True)
            rare = {self.class_names[classes[i]]: int(counts[i]) for i in np.flatnonzero(counts < least)}
            if rare:
                remedy = "Merge or remove the rare ones, or predict numbers: task regression."
                raise InputError(rule("Each class", must, shortened(rare), remedy))

    def _encode(self, training_rows: Array) -> tuple[Array, tuple[str, ...]]:
        if not isinstance(self.x, Mapping):
            return self.x, self.feature_names
        columns: list[Array] = []
        names: list[str] = []
        for name, column in self.x.items():
            if column.dtype.kind == "f":
                columns.append(column)
                names.append(name)
                continue
            for category in np.unique(column[training_rows]):
                columns.append(column == category)
                names.append(f"{name}={category}")
        return np.column_stack(columns).astype(np.float32), tuple(names)


def _arrange(x: Array, layout: Layout | None, name: str) -> Array:
    if layout == "rows":
        return x.reshape(len(x), -1)
    if layout == "images":
        if x.ndim == 3:
            return x[..., np.newaxis]
        if x.ndim != 4:
            must = "have the shape (n, height, width[, channels]) for a model of images"
            raise InputError(rule(f"The inputs of {name!r}", must, x.shape, "Use a model such as mlp."))
    return x
