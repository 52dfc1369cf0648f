"""Data from comma-separated text with a header."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kt_suite.data.data_set import Array
from kt_suite.data.messages import did_you_mean, not_finite, shortened
from kt_suite.data.table import Table
from kt_suite.data.targets import encode_targets
from kt_suite.errors import InputError, rule

_MAX_TARGET_CLASSES = 20
_MAX_CATEGORIES = 100
_MISSING = frozenset({"", "?", "na", "n/a", "#n/a", "<na>", "nan", "null", "none"})


def load_csv(path: Path, target: str | None, task: str | None) -> Table:
    """Reads the columns of a ``.csv`` and encodes the one named ``target``."""
    header, columns = _read_csv(path)
    if target not in header:
        remedy = did_you_mean(target or "", header) or f"Columns: {shortened(header)}."
        raise InputError(rule("target", f"name the column of {path.name} to predict", target, remedy))
    if len(header) < 2:
        raise InputError(rule(path.name, "have a column beside the target", header))
    parsed = {name: _parse_column(column) for name, column in zip(header, columns, strict=True)}
    counts = {name: _num_missing(column) for name, column in parsed.items()}
    if any(counts.values()):
        raise not_finite(path.name, {name: count for name, count in counts.items() if count})
    y = parsed.pop(target)
    for name, column in parsed.items():
        _check_categories(name, column)
    is_few_whole = y.dtype.kind == "f" and (y == y.round()).all() and len(np.unique(y)) <= _MAX_TARGET_CLASSES
    if task is None and is_few_whole:
        task = "classification"
    found, class_names, (encoded,) = encode_targets([y], task, f"target {target!r}")
    return Table(path.stem, found, parsed, encoded, class_names)


def _read_csv(path: Path) -> tuple[list[str], list[tuple[str, ...]]]:
    """Returns header and columns; the separator is whichever of ``, ; tab |`` the header has most of."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            separator = max(",;\t|", key=first.count)
            rows = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
            header = [name.strip() for name in next(rows, [])]
            _check_header(path.name, header)
            body = []
            for row in rows:
                if row and len(row) != len(header):
                    what = f"Line {rows.line_num} of {path.name}"
                    raise InputError(rule(what, f"have {len(header)} cells like the header", len(row)))
                if row:
                    body.append(row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(rule(str(path), "be a UTF-8 text of comma-separated values", str(error))) from error
    if not body:
        raise InputError(rule(path.name, "have rows below the header", 0))
    return header, list(zip(*body, strict=True))


def _check_header(name: str, header: list[str]) -> None:
    if not header:
        raise InputError(rule(name, "start with a header of column names", "an empty line"))
    if "" in header:
        remedy = "An index written by pandas is left out by index=False."
        raise InputError(rule(f"Column {header.index('') + 1} of {name}", "have a name", "", remedy))
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated:
        raise InputError(rule(f"The columns of {name}", "have different names", repeated))
    if all(re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", column, re.IGNORECASE) for column in header):
        must, remedy = "start with a header of column names", "Add one as the first line."
        raise InputError(rule(name, must, shortened(header), remedy))


def _parse_column(cells: Sequence[str]) -> Array:
    """Returns the cells as numbers (missing ones as NaN) if all others are numbers, else as text."""
    text = np.array([cell.strip() for cell in cells])
    try:
        return text.astype(np.float64)
    except ValueError:
        is_missing = np.array([cell.lower() in _MISSING for cell in text])
        try:
            return np.where(is_missing, "nan", text).astype(np.float64)
        except ValueError:
            return text


def _num_missing(column: Array) -> int:
    # In a column of text only an empty cell is missing: "NA" or "none" may well be a category.
    if column.dtype.kind == "U":
        return int((column == "").sum())
    with np.errstate(over="ignore"):
        return int((~np.isfinite(column.astype(np.float32))).sum())


def _check_categories(name: str, column: Array) -> None:
    num_different = len(np.unique(column))
    if column.dtype.kind == "U" and num_different > _MAX_CATEGORIES:
        must = f"hold numbers, or text of at most {_MAX_CATEGORIES} different values"
        strange = next(str(cell) for cell in column if not re.fullmatch(r"[-+\d.eE]+", cell))
        remedy = f"It has {num_different}. Mend that cell, or remove the column if it is a name or an id."
        raise InputError(rule(f"Column {name!r}", must, strange, remedy))
