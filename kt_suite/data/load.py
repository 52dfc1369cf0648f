"""Finding a data set by name or path."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kt_suite.data.csv_file import load_csv
from kt_suite.data.data_set import DataSet
from kt_suite.data.messages import did_you_mean
from kt_suite.data.npz_file import load_npz
from kt_suite.data.table import Layout, Table
from kt_suite.errors import InputError, rule

BUILT_IN = ("breast_cancer", "diabetes", "digits", "iris", "wine")
TASKS = ("classification", "regression")


def load_data(
    source: str,
    target: str | None = None,
    *,
    task: str | None = None,
    layout: Layout | None = None,
    seed: int = 0,
    validation_share: float = 0.15,
    test_share: float = 0.15,
) -> DataSet:
    """Loads a data set and splits it into training, validation and test parts.

    Targets are classes if they are text, zeros and ones, integers (in an ``.npz``), or at most 20 different
    whole numbers (in a ``.csv``); any others are numbers to predict. ``task`` overrules this. Splits are
    stratified by class. Text columns of a ``.csv`` are one-hot encoded with the categories of the training
    part; a category that appears only in another part is encoded as zeros.

    Args:
        source: Name of a built-in set, or path of an ``.npz`` (arrays ``x``, ``y`` and optionally ``x_val``,
            ``y_val``, ``x_test``, ``y_test``) or ``.csv`` file with a header.
        target: The column of a ``.csv`` to predict.
        task: ``"classification"``, ``"regression"``, or ``None`` to decide by the targets.
        layout: ``"rows"`` flattens inputs to ``(n, features)``; ``"images"`` makes them
            ``(n, height, width, channels)``; ``None`` keeps what the data have (digits are images).
        seed: Seed of the splits.
        validation_share: Share of all rows held out for validation, in (0, 1), unless the file has its own.
        test_share: Share of all rows held out for testing, in (0, 1), unless the file has its own.

    Raises:
        InputError: The set is unknown, the file is missing or torn, or the data cannot be trained on.

    Example:
        >>> data = load_data("iris")
        >>> data.x_train.shape, data.task, data.class_names
        ((106, 4), 'multiclass', ('setosa', 'versicolor', 'virginica'))
    """
    return read_table(source, target, task).split(
        seed, layout=layout, validation_share=validation_share, test_share=test_share
    )


def read_table(source: str, target: str | None = None, task: str | None = None) -> Table:
    """Loads a data set without splitting it; arguments and errors as for :func:`load_data`."""
    if task is not None and task not in TASKS:
        raise InputError(rule("task", f"be one of {', '.join(TASKS)}", task, did_you_mean(task, TASKS)))
    path = Path(source)
    suffix = path.suffix.lower()
    if target is not None and (source in BUILT_IN or suffix != ".csv"):
        raise InputError(rule("target", "be given for .csv data only", target, f"Leave it out with {source!r}."))
    if source in BUILT_IN:
        return _load_built_in(source)
    if suffix == ".csv":
        return load_csv(_existing(path), target, task)
    if suffix == ".npz":
        return load_npz(_existing(path), task)
    if path.exists():
        raise InputError(rule("A data file", "end in .npz or .csv", source))
    known = f"be a .npz or .csv file or one of {', '.join(BUILT_IN)}"
    raise InputError(rule("Data set", known, source, did_you_mean(source, BUILT_IN)))


def _existing(path: Path) -> Path:
    if not path.is_file():
        near = did_you_mean(path.name, [item.name for item in path.parent.glob(f"*{path.suffix}")])
        raise InputError(rule("Data", "be a file that exists", str(path), near))
    return path


def _load_built_in(name: str) -> Table:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    names = tuple(str(item) for item in bunch.feature_names)
    if name == "digits":
        images = bunch.images.astype(np.float32)[..., np.newaxis]
        return Table(name, "multiclass", images, bunch.target.astype(np.int64), tuple(map(str, range(10))))
    x = bunch.data.astype(np.float32)
    if name == "diabetes":
        return Table(name, "regression", x, bunch.target.astype(np.float32), feature_names=names)
    class_names = tuple(str(item) for item in bunch.target_names)
    task = "binary" if len(class_names) == 2 else "multiclass"
    return Table(name, task, x, bunch.target.astype(np.int64), class_names, names)
