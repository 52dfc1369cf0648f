"""Targets as models take them: class numbers, labels, or numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kt_suite.data.data_set import Array
from kt_suite.data.messages import shortened
from kt_suite.errors import InputError, rule


def encode_targets(parts: Sequence[Array], task: str | None, name: str) -> tuple[str, tuple[str, ...], list[Array]]:
    """Returns the task, the names of the classes, and the targets of each part as a model takes them."""
    y = parts[0]
    if task is None:
        task = "regression" if y.dtype.kind == "f" and not np.isin(y, (0, 1)).all() else "classification"
    if task == "regression":
        if y.dtype.kind in "US":
            raise InputError(rule(name, "hold numbers for regression", y[0], "Use task classification."))
        return task, (), [part.astype(np.float32) for part in parts]
    if y.ndim > 1:
        if y.ndim > 2 or not all(_is_indicator(part) and part.shape[1] == y.shape[1] for part in parts):
            must = "be class numbers of shape (n,) or labels in {0, 1} of shape (n, k)"
            raise InputError(rule(f"Classes in {name}", must, f"{y.dtype} of shape {y.shape}"))
        names = tuple(map(str, range(y.shape[1])))
        if not all((part.sum(axis=1) == 1).all() for part in parts):
            return "multilabel", names, [part.astype(np.float32) for part in parts]
        return "multiclass", names, [part.argmax(axis=1).astype(np.int64) for part in parts]
    return _number_classes(parts, name)


def _number_classes(parts: Sequence[Array], name: str) -> tuple[str, tuple[str, ...], list[Array]]:
    classes = np.unique(parts[0])
    if len(classes) < 2:
        raise InputError(rule(name, "hold at least two classes", classes.tolist()))
    for part in parts[1:]:
        strange = np.setdiff1d(part, classes)
        if len(strange):
            must = f"be among those of the training part, {shortened(classes.tolist())}"
            raise InputError(rule(f"The classes in {name}", must, shortened(strange.tolist())))
    if classes.dtype.kind == "f" and (classes == classes.round()).all():
        class_names = tuple(str(int(value)) for value in classes)
    else:
        class_names = tuple(str(value) for value in classes.tolist())
    task = "binary" if len(classes) == 2 else "multiclass"
    return task, class_names, [np.searchsorted(classes, part).astype(np.int64) for part in parts]


def _is_indicator(y: Array) -> bool:
    return y.ndim == 2 and y.dtype.kind in "buif" and bool(np.isin(y, (0, 1)).all())
