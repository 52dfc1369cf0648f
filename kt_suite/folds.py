"""Folds: how the samples of a search are split for cross-validation, once and for all trials."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kt_suite.errors import InputError, rule
from kt_suite.rows import digest, num_samples

Split = tuple[np.ndarray, np.ndarray]

_CLASSES = ("crossentropy", "hinge", "kl_divergence")
_NUMBERS = ("squared", "absolute", "mse", "mae", "msle", "mape", "huber", "log_cosh", "poisson", "quantile")


def check_cross_validation(cross_validation: Any) -> None:
    """Raises ``InputError`` unless it is ``None``, a number of folds, a splitter, or pairs of rows."""
    if cross_validation is None or is_splitter(cross_validation):
        return
    if isinstance(cross_validation, (int, np.integer)) and not isinstance(cross_validation, bool):
        if cross_validation >= 2:
            return
    elif isinstance(cross_validation, Iterable) and not isinstance(cross_validation, (str, bytes)):
        return
    must = "be a number of folds of at least 2, a scikit-learn splitter, or pairs of training and validation rows"
    raise InputError(rule("cross_validation", must, cross_validation))


def is_splitter(value: Any) -> bool:
    """Whether ``value`` is a splitter as scikit-learn has them."""
    return hasattr(value, "split") and hasattr(value, "get_n_splits")


def make_splits(
    cross_validation: Any, x: Any, y: Any = None, *, groups: Any = None, classes: bool | None = None, seed: int = 0
) -> list[Split]:
    """Returns the rows to train on and to validate on in each fold.

    A number of folds stands for shuffled folds, stratified where the targets are classes. A splitter that shuffles
    and was given no ``random_state`` gets the seed; the splitter itself stays as it is.

    Args:
        cross_validation: As :func:`check_cross_validation` takes it.
        x: Inputs of ``n`` samples.
        y: Their targets; ``None`` where there are none.
        groups: The group of each sample, shape ``(n,)``, for splitters that keep groups together.
        classes: Whether the targets are classes; ``None`` has their values decide.
        seed: Seeds the shuffling.

    Raises:
        InputError: The data cannot be split so.
    """
    num, labels = num_samples(x), labels_of(y, classes)
    if groups is not None and len(groups) != num:
        raise InputError(rule("The length of groups", f"equal that of x ({num})", len(groups)))
    splitter = cross_validation
    if isinstance(splitter, (int, np.integer)):
        splitter = _splitter_of(int(splitter), num, labels, seed)
    if is_splitter(splitter):
        pairs = _split(_seeded(splitter, seed), num, _target(y, labels), groups)
    else:
        pairs = [_pair(pair) for pair in splitter]
    for fold, (rows, validation_rows) in enumerate(pairs):
        _check_split(fold, rows, validation_rows, num)
    if not pairs:
        raise InputError(rule("cross_validation", "give at least one fold", cross_validation))
    return pairs


def _splitter_of(num_folds: int, num: int, labels: np.ndarray | None, seed: int) -> Any:
    from sklearn.model_selection import KFold, StratifiedKFold

    if num_folds > num:
        raise InputError(rule("cross_validation", f"be at most the number of samples ({num})", num_folds))
    if labels is None:
        return KFold(num_folds, shuffle=True, random_state=seed % 2**32)
    names, counts = np.unique(labels, return_counts=True)
    if num_folds > counts.min():
        smallest = f"{counts.min()} of {str(names[counts.argmin()])!r}"
        must = f"be at most the number of samples of the smallest class ({smallest})"
        remedy = "Take fewer folds, or cross_validation=sklearn.model_selection.KFold(...), which does not stratify."
        raise InputError(rule("cross_validation", must, num_folds, remedy))
    return StratifiedKFold(num_folds, shuffle=True, random_state=seed % 2**32)


def _seeded(splitter: Any, seed: int) -> Any:
    splitter = copy.deepcopy(splitter)
    shuffles = getattr(splitter, "shuffle", True)
    if shuffles and getattr(splitter, "random_state", 0) is None:
        splitter.random_state = seed % 2**32
    return splitter


def _split(splitter: Any, num: int, y: Any, groups: Any) -> list[Split]:
    name = type(splitter).__name__
    if groups is None and "Group" in name:
        raise InputError(rule("groups", f"be given to search() for {name}", None))
    # Splitters of scikit-learn look at the number of samples of x alone.
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="The least populated class")
            return [_pair(pair) for pair in splitter.split(np.zeros((num, 1)), y, groups)]
    except (ValueError, UserWarning) as error:
        if groups is None and "groups" in str(error):
            raise InputError(rule("groups", f"be given to search() for {name}", None)) from error
        raise InputError(rule("cross_validation", "split the data", splitter, str(error))) from error


def _pair(pair: Any) -> Split:
    rows, validation_rows = (np.asarray(part) for part in pair)
    return tuple(np.flatnonzero(one) if one.dtype == bool else one for one in (rows, validation_rows))  # type: ignore[return-value]


def _check_split(fold: int, rows: np.ndarray, validation_rows: np.ndarray, num: int) -> None:
    for what, one in (("training", rows), ("validation", validation_rows)):
        is_fine = one.ndim == 1 and one.dtype.kind in "iu" and len(one) and one.min() >= 0 and one.max() < num
        if not is_fine:
            raise InputError(rule(f"The {what} rows of fold {fold}", f"be integers in [0, {num}), at least one", one))
    if shared := np.intersect1d(rows, validation_rows).tolist():
        raise InputError(rule(f"Fold {fold}", "validate on no row that it trains on", shared[:10]))


def labels_of(y: Any, classes: bool | None = None) -> np.ndarray | None:
    """Returns the class of each sample, shape ``(n,)``; ``None`` where targets are not classes.

    Args:
        y: Targets: classes of any type, in one column; or one-hot rows.
        classes: Whether they are classes; ``None`` has them decide: text, booleans, integers and zeros and ones are.
    """
    if y is None or classes is False or isinstance(y, (dict, list, tuple)):
        return None
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2 and y.dtype.kind in "biuf":
        is_one_hot = bool(np.isin(y, (0, 1)).all()) and bool((y.sum(axis=1) == 1).all())
        return y.argmax(axis=1) if is_one_hot else None
    if y.ndim != 1:
        return None
    if classes is None:
        classes = y.dtype.kind in "biuUSO" or bool(np.isin(y, (0, 1)).all())
    return y if classes else None


def _target(y: Any, labels: np.ndarray | None) -> Any:
    if labels is not None:
        return labels
    return None if isinstance(y, (dict, list, tuple)) else y


def predicts_classes(loss: Any) -> bool | None:
    """Whether a model that is compiled with ``loss`` predicts classes; ``None`` where the loss does not tell."""
    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(name)).lower()
    if any(word in name for word in _CLASSES):
        return True
    return False if any(word in name for word in _NUMBERS) else None


def model_predicts_classes(model: Any) -> bool | None:
    """Whether a compiled model, or an estimator, predicts classes; ``None`` where that is not known."""
    if hasattr(model, "get_params"):
        from sklearn.base import is_classifier

        return bool(is_classifier(model))
    return predicts_classes(getattr(model, "loss", None))


def facts_of(cross_validation: Any, splits: Sequence[Split], *data: Any) -> dict[str, Any]:
    """Returns what is stored of folds: enough to refuse to go on with other data or other splits."""
    return {
        "cross_validation": "pairs of rows" if isinstance(cross_validation, list) else str(cross_validation),
        "folds": len(splits),
        "splits": digest([np.asarray(part, dtype=np.int64) for split in splits for part in split]),
        "data": digest(*data),
    }
