"""Scorers of scikit-learn as objectives: by name, or as callables ``scorer(estimator, x, y)``. More is better."""

from __future__ import annotations

import inspect
from typing import Any

from kt_suite.errors import InputError, rule

# Keras' own name for the accuracy on the training data, which scripts of old may mean; "val_accuracy" is the scorer.
KERAS_NAMES = frozenset({"loss", "accuracy"})
SCORE = "score"


def scorer_names() -> list[str]:
    """Returns the names of scikit-learn's scorers."""
    from sklearn.metrics import get_scorer_names

    names: list[str] = get_scorer_names()
    return names


def plain_name(objective: str) -> str:
    """Returns the name of an objective without the ``val_`` of Keras."""
    return objective.removeprefix("val_")


def is_scorer_name(objective: str) -> bool:
    """Whether an objective bears the name of a scorer, with ``val_`` or without."""
    return plain_name(objective) != "loss" and plain_name(objective) in scorer_names()


def scorer_of(objective: Any) -> Any:
    """Returns the scorer that an objective stands for; ``None`` where it is no scorer's."""
    scorer = getattr(objective, "scorer", None)
    if scorer is not None or not is_scorer_name(objective.name):
        return scorer
    from sklearn.metrics import get_scorer

    return get_scorer(plain_name(objective.name))


def callable_name(scorer: Any) -> str:
    """Returns the name under which a callable's scores are reported.

    Raises:
        InputError: It takes targets and predictions, as metrics do, in place of an estimator and data.
    """
    function = getattr(scorer, "_score_func", None)
    if function is None and next(iter(inspect.signature(scorer).parameters), "").startswith(("y_true", "y_pred")):
        name = getattr(scorer, "__name__", "metric")
        remedy = f"Give sklearn.metrics.make_scorer({name}), which also says whether more is better."
        raise InputError(rule("A callable objective", "be a scorer(estimator, x, y)", scorer, remedy))
    return str(getattr(function or scorer, "__name__", type(scorer).__name__)).strip("<>")


def call_scorer(scorer: Any, estimator: Any, x: Any, y: Any, sample_weight: Any = None) -> float:
    """Returns a score; samples are weighted where the scorer can do so."""
    if sample_weight is not None and _takes_weights(scorer):
        return float(scorer(estimator, x, y, sample_weight=sample_weight))
    return float(scorer(estimator, x, y))


def _takes_weights(scorer: Any) -> bool:
    return "sample_weight" in inspect.signature(getattr(scorer, "_score_func", scorer)).parameters
