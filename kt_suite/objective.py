"""Objectives and results: the only place where a direction turns into a sign.

Objects are KerasTuner's (``Objective``, a list of them as a signed sum, ``None`` for a returned float); the functions
here turn whatever a training returns into scored runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.src.engine import objective as kt_objective
from keras_tuner.src.engine.metrics_tracking import infer_metric_direction as kt_infer_direction

from kt_suite.errors import InputError, ObjectiveError, near, rule
from kt_suite.scorers import KERAS_NAMES, callable_name, is_scorer_name, scorer_names

Objective = keras_tuner.Objective
MultiObjective = kt_objective.MultiObjective
DefaultObjective = kt_objective.DefaultObjective


def create_objective(objective: Any) -> Any:
    """Returns the objective object that a name, an ``Objective``, a scorer, a list of them or ``None`` stands for.

    Names of scikit-learn's scorers, such as ``"f1_macro"``, mean the score on validation samples, reported as
    ``"val_f1_macro"``; only ``"accuracy"`` keeps Keras' meaning, the accuracy in training.

    Raises:
        InputError: The name's direction is unknown, or the direction is neither ``"min"`` nor ``"max"``.
    """
    if isinstance(objective, list):
        return MultiObjective([create_objective(part) for part in objective])
    if callable(objective) and not isinstance(objective, (type, Objective)):
        return ScorerObjective(f"val_{callable_name(objective)}", objective)
    if isinstance(objective, str) and (found := _known(objective)) is not None:
        return found
    try:
        made = kt_objective.create_objective(objective)
    except (ValueError, TypeError) as error:
        remedy = f'Give kt_suite.Objective({objective!r}, direction="min") or "max".'
        remedy = f"{near(objective, [*_MAXIMISED, *scorer_names()])} {remedy}".lstrip()
        raise InputError(rule("objective", "be a metric whose direction is known", objective, remedy)) from error
    for part in getattr(made, "objectives", [made]):
        if part.direction not in ("min", "max"):
            raise InputError(rule(f"The direction of objective {part.name!r}", 'be "min" or "max"', part.direction))
    return made


class ScorerObjective(keras_tuner.Objective):  # type: ignore[misc]
    """The score that a callable gives, which is computed on validation samples; more is better.

    Args:
        name: Name under which it is reported.
        scorer: ``scorer(estimator, x, y)``.
    """

    def __init__(self, name: str, scorer: Any) -> None:
        super().__init__(name, "max")
        self.scorer = scorer


def _known(name: str) -> Any:
    """Returns the objective of a name that KerasTuner does not know the direction of, or ``None``."""
    if name in KERAS_NAMES:
        return Objective(name, "max") if name == "accuracy" else None
    if not name.startswith("val_") and is_scorer_name(name):  # scorers see validation samples only
        return Objective(f"val_{name}", "max")
    if _is_maximised(name) or (kt_infer_direction(name) is None and is_scorer_name(name)):
        return Objective(name, "max")
    return None


# What KerasTuner takes for metrics to be minimised, because Keras has them and its own list lacks them.
_MAXIMISED = frozenset(
    [
        "auc",
        "f1_score",
        "fbeta_score",
        "r2_score",
        "pearson_correlation",
        "concordance_correlation",
        "true_positives",
        "true_negatives",
        "precision",
        "recall",
        "cosine_similarity",
    ]
)


def _is_maximised(name: str) -> bool:
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    plain = re.sub(r"^(val_)?(weighted_)?", "", plain)
    plain = re.sub(r"_\d+$", "", plain)  # Keras numbers metrics of one class
    return plain in _MAXIMISED or plain.endswith(("accuracy", "iou", "io_u")) or "_at_" in plain


def names(objective: Any) -> list[str]:
    """Returns the metrics that an objective needs."""
    return [part.name for part in getattr(objective, "objectives", [objective])]


def sign(direction: str) -> float:
    """Returns 1 for ``"min"`` and -1 for ``"max"``: the factor that makes less better."""
    return -1.0 if direction == "max" else 1.0


def to_loss(score: float, direction: str) -> float:
    """Returns ``score`` as something to minimise; its own inverse."""
    return sign(direction) * score


def check_reported(objective: Any, metrics: Mapping[str, Any]) -> None:
    """Raises ``ObjectiveError`` if ``metrics`` lack what the objective needs, naming those that exist."""
    missing = [name for name in names(objective) if name not in metrics]
    if not missing:
        return
    known = sorted(metrics)
    remedy = near(missing[0], known)
    if missing[0].startswith("val_") and not any(name.startswith("val_") for name in known):
        remedy = "Pass validation_data= or validation_split= to search()."
    raise ObjectiveError(rule("The objective", f"be among the reported metrics {known}", missing[0], remedy))


@dataclass
class Scored:
    """What one run came to.

    Attributes:
        score: The objective at the scored epoch.
        epoch: The scored epoch, from 0.
        metrics: All metrics at that epoch.
        epochs: Epochs in the result; 0 where no curve was returned.
    """

    score: float
    epoch: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    epochs: int = 0


def score_curve(objective: Any, curve: Sequence[Mapping[str, float]], which: str) -> Scored:
    """Scores a learning curve by its best epoch (``which="best"``) or its last (``"last"``).

    NaN epochs are passed over by ``"best"`` unless there are no others.
    """
    scores = [float(objective.get_value(metrics)) for metrics in curve]
    if which == "last":
        epoch = len(scores) - 1
    else:
        losses = [to_loss(score, objective.direction) for score in scores]
        epoch = min(range(len(losses)), key=lambda i: (math.isnan(losses[i]), losses[i]))
    metrics = scalars(curve[epoch])
    return Scored(scores[epoch], epoch, metrics, epochs=len(curve))


def score_result(objective: Any, result: Any, which: str = "best", source: str = "Tuner.run_trial()") -> list[Scored]:
    """Turns what ``run_trial`` or ``fit`` returned into one ``Scored`` for each run.

    Args:
        objective: The objective.
        result: A History, a float, a dict of metrics, or a (nested) list of these.
        which: ``"best"`` or ``"last"`` epoch of a History.
        source: Named in errors.

    Raises:
        keras_tuner.errors.FatalTypeError: The result is none of these: every trial would fail alike.
        ObjectiveError: The metrics lack the objective.
    """
    if isinstance(result, (list, tuple)) and result:
        return [scored for item in result for scored in score_result(objective, item, which, source)]
    if isinstance(result, (int, float, np.number)) and not isinstance(result, bool):
        return [Scored(float(result), metrics={objective.name: float(result)})]
    history = getattr(result, "history", None)
    if isinstance(history, Mapping) and history:
        check_reported(objective, history)
        epochs = max(len(values) for values in history.values())
        curve = [{name: values[i] for name, values in history.items() if i < len(values)} for i in range(epochs)]
        curve = [metrics for metrics in curve if objective.has_value(metrics)]
        return [score_curve(objective, curve, which)]
    if isinstance(result, Mapping) and result:
        check_reported(objective, result)
        metrics = scalars(result)
        return [Scored(float(objective.get_value(metrics)), metrics=metrics)]
    remedy = "Did you forget to return the metrics?" if result is None else ""
    rules = "be a History, a float, a dict of metrics or a list of these"
    raise keras_tuner.errors.FatalTypeError(rule(f"The return value of {source}", rules, result, remedy))


def mean_metrics(metrics: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Returns the mean of each metric over those dicts that have it."""
    gathered: dict[str, list[float]] = {}
    for one in metrics:
        for name, value in one.items():
            gathered.setdefault(name, []).append(value)
    with np.errstate(invalid="ignore", over="ignore"):
        return {name: float(np.mean(values)) for name, values in gathered.items()}


def scalars(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Returns the metrics that are single numbers, as floats; a score for each class, say, is left out."""
    return {name: float(value) for name, value in metrics.items() if np.ndim(value) == 0}
