"""A data set in three parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set in three parts, ready for training.

    Attributes:
        name: Name of the built-in set, or of the file without its ending.
        task: ``"binary"``, ``"multiclass"``, ``"multilabel"`` or ``"regression"``.
        x_train, x_val, x_test: Inputs of shape ``(n, ...)``, float32.
        y_train, y_val, y_test: Targets: class numbers from 0 of shape ``(n,)``, int64; labels of shape
            ``(n, k)`` in {0, 1}, float32; or numbers of shape ``(n,)`` or ``(n, k)``, float32.
        class_names: What the class numbers stand for; empty for regression.
        feature_names: Names of the input columns where they have any, after encoding.
    """

    name: str
    task: str
    x_train: Array
    x_val: Array
    x_test: Array
    y_train: Array
    y_val: Array
    y_test: Array
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
