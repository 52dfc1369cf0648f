"""Reading and checking of training data: arrays, data frames, ``tf.data`` and ``keras.utils.PyDataset``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kt_suite.errors import InputError, rule

_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class DataFacts:
    """What a model must know of one data set.

    Attributes:
        input_shape: Shape of one input, without the batch axis.
        labels: The targets, of shape ``(n,)`` or ``(n, k)``; ``(n, 1)`` is read as ``(n,)``.
        is_batched: Whether the data comes in batches, so that there is no batch size to choose.
    """

    input_shape: tuple[int, ...]
    labels: np.ndarray
    is_batched: bool


def yields_batches(x: Any) -> bool:
    """Returns whether ``x`` yields batches of inputs and targets."""
    is_of_tensorflow = hasattr(x, "element_spec") and hasattr(x, "cardinality")  # it need not be installed
    return is_of_tensorflow or isinstance(x, keras.utils.PyDataset)


def read_data(x: Any, y: Any, prefix: str = "") -> DataFacts:
    """Reads all of a data set once and checks it.

    Args:
        x: Inputs of shape ``(n, ...)``, or a data set of batches ``(inputs, targets)`` or ``(inputs, targets,
            weights)``.
        y: Targets of shape ``(n,)`` or ``(n, k)``; ``None`` for a data set.
        prefix: Put before the names x and y in errors.

    Raises:
        kt_suite.errors.InputError: It cannot be trained on; the message says where and how to go on.
    """
    if yields_batches(x):
        if y is not None:
            raise InputError(rule(f"{prefix}y", "be left out where x is a data set that yields both", type(y).__name__))
        return _read_dataset(x, f"{prefix}x", f"{prefix}y")
    inputs = _to_array(x, f"{prefix}x")
    if y is None:
        raise InputError(rule(f"{prefix}y", "be given", y, "The models learn from inputs and targets."))
    labels = _to_array(y, f"{prefix}y")
    _check_shapes(inputs, labels, prefix)
    for start, chunk in _chunks(inputs):
        _check_finite(chunk, f"{prefix}x", _column_names(x), start)
    _check_finite(labels, f"{prefix}y", _column_names(y), 0)
    return DataFacts(inputs.shape[1:], _squeeze(labels), is_batched=False)


def read_validation(validation_data: Any, training: DataFacts) -> np.ndarray:
    """Returns the labels of the validation data, after checking that it goes with the training data."""
    if yields_batches(validation_data):
        facts = read_data(validation_data, None, "validation ")
    elif isinstance(validation_data, (tuple, list)) and len(validation_data) in (2, 3):
        facts = read_data(validation_data[0], validation_data[1], "validation ")
    else:
        kind = type(validation_data).__name__
        raise InputError(rule("validation_data", "be (x, y), (x, y, weights) or a data set", kind))
    if facts.input_shape != training.input_shape:
        must = f"hold inputs of the training data's shape {training.input_shape}"
        raise InputError(rule("validation x", must, facts.input_shape))
    if facts.labels.shape[1:] != training.labels.shape[1:]:
        must = f"have rows of the shape of the training targets, {training.labels.shape[1:]}"
        raise InputError(rule("validation y", must, facts.labels.shape))
    labels = facts.labels
    if labels.dtype.kind == "f" and training.labels.dtype.kind != "f":
        if np.any(labels != np.floor(labels)):
            raise InputError(rule("validation y", "hold whole numbers as the training targets do", labels.dtype))
        labels = labels.astype(training.labels.dtype)  # floats would turn classes into quantities
    return labels


def batches(x: Any) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yields ``(inputs, targets)`` of a data set, or slices of an array with ``None`` for the targets.

    Raises:
        kt_suite.errors.InputError: The data set never ends.
    """
    if not yields_batches(x):
        yield from ((chunk, None) for _, chunk in _chunks(_to_array(x, "x")))
        return
    if isinstance(x, keras.utils.PyDataset):
        size = x.num_batches
        elements: Any = (x[index] for index in range(size or 0))
    else:
        size = int(x.cardinality())
        size = None if size == -1 else size  # INFINITE_CARDINALITY
        elements = x.as_numpy_iterator()
    if size is None:
        raise InputError(rule("A data set", "end after one epoch", "an infinite one", "Leave out repeat()."))
    for element in elements:
        if not isinstance(element, (tuple, list)):
            yield np.asarray(element), None
        else:
            yield np.asarray(element[0]), np.asarray(element[1])


def _read_dataset(dataset: Any, x_name: str, y_name: str) -> DataFacts:
    element = dataset[0] if isinstance(dataset, keras.utils.PyDataset) else dataset.element_spec
    if not isinstance(element, (tuple, list)) or len(element) not in (2, 3):
        raise InputError(rule(x_name, "yield (inputs, targets) or (inputs, targets, weights)", element))
    for name, part in ((x_name, element[0]), (y_name, element[1])):
        if isinstance(part, (dict, tuple, list)):
            raise InputError(rule(name, "be one array in each batch", type(part).__name__, "Concatenate the parts."))
        if part.shape.rank == 0 if hasattr(part.shape, "rank") else not part.shape:
            raise InputError(rule(name, "come in batches", "single rows", "Add .batch(32) to the data set."))
    shape: tuple[int, ...] | None = None
    labels: list[np.ndarray] = []
    num_rows = 0
    for inputs, targets in batches(dataset):
        inputs, targets = _to_array(inputs, x_name), _to_array(targets, y_name)
        _check_shapes(inputs, targets, "", x_name, y_name)
        if shape not in (None, inputs.shape[1:]):
            raise InputError(
                rule(x_name, f"yield inputs of one shape {shape}", inputs.shape[1:], "Resize or pad them.")
            )
        _check_finite(inputs, x_name, None, num_rows)
        _check_finite(targets, y_name, None, num_rows)
        shape, num_rows = inputs.shape[1:], num_rows + len(inputs)
        labels.append(_squeeze(targets))
    if shape is None:
        raise InputError(rule(x_name, "hold at least one batch", "an empty data set"))
    return DataFacts(shape, np.concatenate(labels), is_batched=True)


def _to_array(data: Any, name: str) -> np.ndarray:
    """Returns ``data`` as an array of numbers, without a copy where that is possible."""
    if isinstance(data, dict):
        remedy = "Concatenate the parts, or write a HyperModel with several inputs."
        raise InputError(rule(name, "be one array", f"a dict with keys {sorted(map(str, data))}", remedy))
    if isinstance(data, (list, tuple)):
        raise InputError(
            rule(
                name,
                "be an array, a data frame or a data set",
                f"a {type(data).__name__}",
                "Use numpy.asarray.",
            )
        )
    if hasattr(data, "iloc"):
        return _frame_to_array(data, name)
    try:
        array = np.asarray(data)
    except (ValueError, TypeError) as error:
        raise InputError(rule(name, "be one array", f"a {type(data).__name__} ({error})")) from error
    if array.ndim == 0:
        remedy = "Use its toarray()." if hasattr(data, "toarray") else ""
        raise InputError(rule(name, "be an array, a data frame or a data set", type(data).__name__, remedy))
    if array.dtype.kind not in "biuf":
        raise InputError(rule(name, "hold numbers", f"values of type {array.dtype}", _remedy_for_text(name)))
    return array


def _frame_to_array(data: Any, name: str) -> np.ndarray:
    if hasattr(data, "columns"):
        text = [str(column) for column, kind in zip(data.columns, data.dtypes, strict=True) if kind.kind not in "biuf"]
    else:
        text = [str(data.name)] if data.dtype.kind not in "biuf" else []
    if text:
        raise InputError(rule(name, "hold numbers", f"other values in columns {_listed(text)}", _remedy_for_text(name)))
    array = np.asarray(data)
    if array.dtype.kind == "O":  # nullable integers, or columns of several kinds
        array = data.to_numpy(dtype="float64", na_value=np.nan)
    return array


def _remedy_for_text(name: str) -> str:
    if name.endswith("y"):
        return "Turn names of classes into 0, 1, ...: classes, y = np.unique(y, return_inverse=True)."
    return "Encode categories as numbers, for example with pandas.get_dummies(x, dtype=float)."


def _check_shapes(x: np.ndarray, y: np.ndarray, prefix: str, x_name: str = "x", y_name: str = "y") -> None:
    x_name, y_name = prefix + x_name, prefix + y_name
    if x.ndim < 2:
        raise InputError(rule(x_name, "have a row for each example", x.shape, "Use x.reshape(-1, 1) for one feature."))
    if y.ndim not in (1, 2):
        raise InputError(rule(y_name, "have shape (n,) or (n, k)", y.shape))
    if len(x) == 0 or 0 in x.shape[1:]:
        raise InputError(rule(x_name, "hold at least one row and one column", x.shape))
    if len(x) != len(y):
        raise InputError(rule(y_name, f"have as many rows as {x_name}, {len(x)}", len(y)))


def _check_finite(values: np.ndarray, name: str, columns: list[str] | None, first_row: int) -> None:
    """Raises if anything in ``values`` is NaN or too large for the float32 that Keras computes with."""
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(values.astype(np.float32, copy=False))
    if not bad.any():
        return
    rows = bad.reshape(len(bad), -1).any(axis=1)
    where = f"{np.count_nonzero(rows)} rows from row {first_row + int(rows.argmax())} on"
    if columns is not None or values.ndim == 2:
        found = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=0))
        where += f", columns {_listed([columns[i] if columns is not None else str(i) for i in found])}"
    kind = "NaN" if np.isnan(values).any() else "infinity"
    remedy = "Drop these rows, or fill them: np.nan_to_num(x), or x.fillna(x.median()) with pandas."
    remedy = "Drop these rows." if name.endswith("y") else remedy
    raise InputError(rule(name, "be finite", f"{kind} in {where}", remedy))


def _chunks(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    size = max(1, _CHUNK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), size):
        yield start, array[start : start + size]


def _column_names(data: Any) -> list[str] | None:
    if hasattr(data, "columns"):
        return [str(column) for column in data.columns]
    return None


def _squeeze(labels: np.ndarray) -> np.ndarray:
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _listed(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
