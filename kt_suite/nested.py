"""Nested cross-validation: how well a whole tuning procedure does on samples that it never saw."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kt_suite.errors import SearchFailedError, rule
from kt_suite.hypermodel import is_estimator
from kt_suite.planning import RunPlanner
from kt_suite.runs import fit_arguments
from kt_suite.scorers import call_scorer, plain_name
from kt_suite.scoring import scorers_for


@dataclass(frozen=True)
class NestedScores:
    """What nested cross-validation came to.

    Attributes:
        objective: Name of the objective.
        scores: The objective of the tuned model on the held-out samples of each outer fold.
        values: The values that were chosen in each outer fold.
        inner_scores: The scores by which they were chosen: optimistic, as each is the best of many.
    """

    objective: str
    scores: list[float]
    values: list[dict[str, Any]]
    inner_scores: list[float]

    @property
    def mean(self) -> float:
        """The estimate: the mean over the outer folds."""
        return statistics.fmean(self.scores)

    @property
    def standard_error(self) -> float | None:
        """Its standard error, which takes folds for independent; ``None`` with one fold."""
        return statistics.stdev(self.scores) / math.sqrt(len(self.scores)) if len(self.scores) > 1 else None


def nested_cross_validate(
    make_tuner: Callable[..., Any],
    x: Any,
    y: Any = None,
    *,
    outer: Any = 5,
    groups: Any = None,
    sample_weight: Any = None,
    seed: int = 0,
    refit: str | None = None,
    directory: str = "nested",
    **search: Any,
) -> NestedScores:
    """Estimates without bias how well models do that a tuning procedure finds.

    The score of the best trial is too good: it is the best of many, on the samples that chose it. Here a search of
    its own is run on the training samples of each outer fold, with inner folds or validation data as its tuner has
    them, and its best model is judged on the samples that no part of that search saw.
    Varma and Simon, "Bias in error estimation when using cross-validation for model selection", BMC Bioinformatics 7,
    2006. Searches are kept in ``directory``, one project an outer fold; run again, the function goes on with them.

    Args:
        make_tuner: ``make_tuner(directory=..., project_name=...)`` returns a new tuner.
        x: Inputs of all samples, as for ``search``.
        y: Their targets.
        outer: The outer folds, as ``cross_validation`` of a tuner.
        groups: Group of each sample, for splitters that keep groups together, outer and inner.
        sample_weight: Weights of the samples.
        seed: Seeds the outer folds.
        refit: What ``get_best_models`` makes of the best trial.
        directory: Where the searches are kept.
        **search: As for ``search``: ``epochs``, ``validation_split``, ``callbacks``, ``verbose`` and so on.

    Raises:
        InputError: The data cannot be split so, or a tuner refuses them.
        SearchFailedError: A search found no model.

    Example:
        >>> import kt_suite as kts
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> def make_tuner(**project):
        ...     def build(hp):
        ...         return DecisionTreeClassifier(max_depth=hp.Choice("max_depth", [1, 4]))
        ...
        ...     return kts.GridSearch(build, "val_accuracy", cross_validation=3, tensorboard=None, seed=0, **project)
        >>> result = nested_cross_validate(make_tuner, *load_iris(return_X_y=True), outer=3, verbose=0)
        >>> len(result.scores), round(result.mean, 1), [values["max_depth"] for values in result.values]
        (3, 0.9, [4, 4, 4])
    """
    planner = RunPlanner(outer, 1)
    args, kwargs = planner.arrange((x, y), {"sample_weight": sample_weight, "groups": groups})
    first = make_tuner(directory=directory, project_name="outer_0")
    planner.plan(args, kwargs, classes=first._predicts_classes, seed=seed)
    scores, values, inner = [], [], []
    for plan in planner.plans:
        name = f"outer_{plan.index}"
        tuner = make_tuner(directory=directory, project_name=name) if plan.index else first
        data, weighted = fit_arguments(plan, args, {"sample_weight": kwargs.get("sample_weight")})
        options = {**search, **{key: value for key, value in weighted.items() if value is not None}}
        held_out = options.pop("validation_data")
        if groups is not None and tuner._planner.cross_validation is not None:
            options["groups"] = [groups[row] for row in plan.rows]
        tuner.search(*data, **options)
        best = next(iter(tuner.oracle.get_best_trials(1)), None)
        if best is None:
            raise SearchFailedError(rule(f"The search {name}", "end with a model", f"{len(tuner.results())} trials"))
        model = tuner.get_best_models(1, refit)[0] if refit else tuner.get_best_models(1)[0]
        scores.append(score_model(model, tuner.oracle.objective, held_out, tuner._scorers))
        values.append(dict(best.values))
        inner.append(best.score)
    return NestedScores(first.oracle.objective.name, scores, values, inner)


def score_model(model: Any, objective: Any, held_out: tuple[Any, ...], scorers: dict[str, Any] | None = None) -> float:
    """Returns the objective of a trained model, or of a fitted estimator, on samples.

    Args:
        model: The model.
        objective: The objective of a search.
        held_out: ``(x, y)`` or ``(x, y, sample_weight)``.
        scorers: More scorers by metric name.
    """
    x, y, weights = (*held_out, None, None)[:3]
    if is_estimator(model):
        from kt_suite.estimators import score_fitted

        return float(objective.get_value(score_fitted(model, objective, (x, y, weights), scorers=scorers or {})))
    reported = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
    metrics = {name: value for key, value in reported.items() for name in (key, f"val_{key}")}
    for name, scorer in scorers_for(objective).items():
        if name not in metrics:
            from kt_suite.predictions import as_estimator

            estimator, targets = as_estimator(model, x, y)
            metrics[name] = call_scorer(scorer, estimator, x, targets, weights)
    missing = [part.name for part in getattr(objective, "objectives", [objective]) if part.name not in metrics]
    if missing:
        raise SearchFailedError(rule("The objective", f"be among {sorted(metrics)}", plain_name(missing[0])))
    return float(objective.get_value(metrics))
