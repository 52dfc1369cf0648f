"""Estimators of scikit-learn in the place of Keras models: how they are fitted, scored and joined."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.pipeline import Pipeline

from kt_suite.errors import InputError, near, rule
from kt_suite.objective import names
from kt_suite.rows import is_dataset, split_validation
from kt_suite.scorers import SCORE, call_scorer, is_scorer_name, plain_name, scorer_names, scorer_of

_FIT_ARGUMENTS = ("x", "y", "sample_weight", "validation_data", "validation_split", "groups", "tasks")


def check_estimators(
    objective: Any,
    scorers: Mapping[str, Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    cross_validation: Any,
) -> None:
    """Raises ``InputError`` where a search over estimators cannot be scored, or is given what only Keras takes.

    Args:
        objective: The objective of the search.
        scorers: Scorers that the tuner was given, by metric name.
        args: Positional arguments of ``search``.
        kwargs: Keyword arguments of ``search``.
        cross_validation: That of the tuner.
    """
    for part in getattr(objective, "objectives", [objective]):
        is_known = part.name in scorers or plain_name(part.name) == SCORE or hasattr(part, "scorer")
        if not is_known and not (part.name.startswith("val_") and is_scorer_name(part.name)):
            must = 'be Objective("score", "max"), or the name of a scorer of scikit-learn'
            remedy = f'Give "val_{part.name}".' if is_scorer_name(part.name) else near(part.name, scorer_names())
            raise InputError(rule("The objective for estimators", must, part.name, remedy))
    for name in kwargs:
        if name not in _FIT_ARGUMENTS:
            raise InputError(rule(f"{name} of search()", "be left out for estimators", kwargs[name]))
    if any(is_dataset(data) for data in (*args, kwargs.get("x"))):
        raise InputError(rule("x", "be arrays or data frames for estimators", args))
    given = any(kwargs.get(name) is not None for name in ("validation_data", "validation_split", "tasks"))
    if cross_validation is None and not given:
        remedy = "Give the tuner cross_validation=5, or search() validation_data= or validation_split=."
        raise InputError(rule("Estimators", "be scored on other samples than they are fitted on", None, remedy))


def fit(estimator: Any, x: Any, y: Any, sample_weight: Any = None) -> Any:
    """Fits an estimator, with weights where it takes some: those of a pipeline go to its last step."""
    if sample_weight is None:
        return estimator.fit(x, y)
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    if "sample_weight" not in inspect.signature(last.fit).parameters:
        return estimator.fit(x, y)
    name = f"{estimator.steps[-1][0]}__sample_weight" if isinstance(estimator, Pipeline) else "sample_weight"
    return estimator.fit(x, y, **{name: sample_weight})


def fit_and_score(
    estimator: Any,
    objective: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    scorers: Mapping[str, Any],
    metrics: Sequence[Any] = (),
) -> dict[str, float]:
    """Fits an estimator and returns its metrics on the samples that it is not fitted on.

    Args:
        estimator: A new estimator.
        objective: The objective of the search.
        args: ``(x, y)``.
        kwargs: ``validation_data`` or ``validation_split``, and ``sample_weight``.
        scorers: More scorers by metric name.
        metrics: Functions of targets and predictions, reported under their names.
    """
    data = {name: kwargs.get(name) for name in ("x", "y", "sample_weight")}
    data.update(zip(("x", "y"), args, strict=False))
    data, rest = split_validation(data, dict(kwargs))
    fit(estimator, data["x"], data.get("y"), data["sample_weight"])
    return score_fitted(estimator, objective, rest["validation_data"], scorers=scorers, metrics=metrics)


def score_fitted(
    estimator: Any,
    objective: Any,
    held_out: tuple[Any, ...],
    *,
    scorers: Mapping[str, Any],
    metrics: Sequence[Any] = (),
) -> dict[str, float]:
    """Returns the metrics of a fitted estimator on ``held_out``: inputs, targets and, if need be, weights."""
    x, y, weights = (*held_out, None, None)[:3]
    parts = {part.name: part for part in getattr(objective, "objectives", [objective])}
    scores = {}
    for name in {**dict.fromkeys(names(objective)), **scorers}:
        scorer = scorers.get(name) or _scorer(parts[name])
        scores[name] = call_scorer(scorer, estimator, x, y, weights)
    if metrics:
        predictions = estimator.predict(x)
        for metric in metrics:
            scores[metric.__name__] = _measure(metric, y, predictions, weights)
    return scores


def _scorer(objective: Any) -> Any:
    if plain_name(objective.name) == SCORE:
        return _own_score
    return scorer_of(objective)


def _own_score(estimator: Any, x: Any, y: Any, sample_weight: Any = None) -> float:
    if sample_weight is None or "sample_weight" not in inspect.signature(estimator.score).parameters:
        return float(estimator.score(x, y))
    return float(estimator.score(x, y, sample_weight=sample_weight))


def _measure(metric: Any, y: Any, predictions: Any, sample_weight: Any) -> float:
    if sample_weight is None or "sample_weight" not in inspect.signature(metric).parameters:
        return float(metric(y, predictions))
    return float(metric(y, predictions, sample_weight=sample_weight))


class MeanOfEstimators(BaseEstimator):  # type: ignore[misc]
    """Fitted estimators as one: means of predicted numbers, or of probabilities (of votes where there are none).

    Args:
        estimators: Fitted estimators, at least one.
    """

    def __init__(self, estimators: Sequence[Any]) -> None:
        self.estimators = estimators
        if is_classifier(estimators[0]):
            self.classes_ = np.unique(np.concatenate([one.classes_ for one in estimators]))

    def predict_proba(self, x: Any) -> np.ndarray:
        """Returns the mean probability of each class, shape ``(n, k)``."""
        total = np.zeros((len(x), len(self.classes_)))
        for one in self.estimators:
            columns = np.searchsorted(self.classes_, one.classes_)
            if hasattr(one, "predict_proba"):
                total[:, columns] += one.predict_proba(x)
            else:
                total[np.arange(len(x)), np.searchsorted(self.classes_, one.predict(x))] += 1.0
        return total / len(self.estimators)

    def predict(self, x: Any) -> np.ndarray:
        """Returns the most probable classes, or the mean numbers."""
        if hasattr(self, "classes_"):
            return np.asarray(self.classes_[self.predict_proba(x).argmax(axis=1)])
        return np.asarray(np.mean([one.predict(x) for one in self.estimators], axis=0))

    def score(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """Returns the accuracy, or the coefficient of determination."""
        from sklearn.metrics import accuracy_score, r2_score

        measure = accuracy_score if hasattr(self, "classes_") else r2_score
        return float(measure(y, self.predict(x), sample_weight=sample_weight))
