"""Data from files of arrays, as ``numpy.savez`` writes them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from kt_suite.data.data_set import Array
from kt_suite.data.messages import not_finite, shortened
from kt_suite.data.table import Part, Table
from kt_suite.data.targets import encode_targets
from kt_suite.errors import InputError, rule

_NAMES = ("x", "y", "x_val", "y_val", "x_test", "y_test")


def load_npz(path: Path, task: str | None) -> Table:
    """Reads the arrays of an ``.npz`` and encodes the targets of all parts alike."""
    arrays, names = _read_npz(path)
    parts: dict[str, Part] = {}
    for x, y in (_NAMES[:2], _NAMES[2:4], _NAMES[4:]):
        if x in arrays or y in arrays or x == "x":
            for name in (x, y):
                if name not in arrays:
                    raise InputError(rule(path.name, f"hold an array {name!r}", shortened(names)))
            inputs = _checked_inputs(arrays[x], x)
            parts[x] = inputs, _checked_targets(arrays[y], y, len(inputs), x)
    for x, part in parts.items():
        for name, array, first in zip((x, x.replace("x", "y")), part, parts["x"], strict=True):
            if array.shape[1:] != first.shape[1:]:
                must = f"have the shape of one of the training part, {first.shape[1:]}"
                raise InputError(rule(f"A row of {name}", must, array.shape[1:]))
    found, class_names, targets = encode_targets([y for _, y in parts.values()], task, "y")
    done = {name: (parts[name][0], y) for name, y in zip(parts, targets, strict=True)}
    return Table(path.stem, found, *done["x"], class_names, (), done.get("x_val"), done.get("x_test"))


def _read_npz(path: Path) -> tuple[dict[str, Array], list[str]]:
    """Returns the arrays that matter, and the names of all."""
    name = ""
    arrays = {}
    remedy = "Write it with numpy.savez."
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            names = list(getattr(file, "files", ()))
            for name in names:
                if name in _NAMES:
                    arrays[name] = file[name]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if name and "allow_pickle" in str(error):
            what, must = f"Array {name!r} of {path.name}", "hold numbers or text"
            raise InputError(rule(what, must, "pickled objects", "They are never read.")) from error
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(rule(str(path), "be a readable .npz file", reason, remedy)) from error
    return arrays, names


def _checked_inputs(x: Array, name: str) -> Array:
    if x.dtype.kind not in "buif":
        remedy = "Encode text as numbers, or use a .csv file."
        raise InputError(rule(name, "hold numbers", str(x.dtype), remedy))
    if x.ndim == 1:
        x = x[:, np.newaxis]
    if x.ndim == 0 or not x.size:
        raise InputError(rule(name, "have at least one row and one column", x.shape))
    with np.errstate(over="ignore"):
        x = x.astype(np.float32)
    if not np.isfinite(x).all():
        bad = ~np.isfinite(x)
        axes, unit = (0, "columns") if x.ndim == 2 else (tuple(range(1, x.ndim)), "rows")
        where = np.flatnonzero(bad.any(axis=axes)).tolist()
        raise not_finite(name, {f"{unit} {shortened(where)}": int(bad.sum())})
    return x


def _checked_targets(y: Array, name: str, num_rows: int, inputs: str) -> Array:
    if y.dtype.kind not in "buifUS":
        raise InputError(rule(name, "hold numbers or text", str(y.dtype)))
    if y.ndim == 0 or len(y) != num_rows:
        num = len(y) if y.ndim else "a single number"
        remedy = "Each input needs its own target."
        raise InputError(rule(name, f"have as many rows as {inputs} ({num_rows})", num, remedy))
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise not_finite(name, {name: int((~np.isfinite(y)).sum())})
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
