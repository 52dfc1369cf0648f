"""The runs that every trial of a search is made of, and the data that each of them gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kt_suite.rows import take


@dataclass(frozen=True)
class RunPlan:
    """One training inside each trial of a search.

    Attributes:
        index: Index of the run inside its trial, from 0.
        fold: The fold that is validated on, from 0; ``None`` without cross-validation.
        task: The task that is trained for; ``None`` without tasks.
        repeat: Which repetition with another seed, from 0.
        rows: Indices, shape ``(n,)``, of the samples given to ``search`` that are trained on; ``None`` for all.
        validation_rows: Indices, shape ``(m,)``, of the samples given to ``search`` that are validated on; ``None`` for
            the validation data given to ``search``.
    """

    index: int
    fold: int | None = None
    task: str | None = None
    repeat: int | None = None
    rows: Any = None
    validation_rows: Any = None


def repeats(number: int) -> tuple[RunPlan, ...]:
    """Returns ``number`` runs that differ in their seeds only."""
    return tuple(RunPlan(index, repeat=index) for index in range(number))


def fold_runs(
    splits: Sequence[tuple[Any, Any]], num_repeats: int, task: str | None = None, first: int = 0
) -> tuple[RunPlan, ...]:
    """Returns the runs of cross-validation: the repetitions of the first fold, then those of the second, and so on.

    Args:
        splits: Rows to train on and rows to validate on, of each fold.
        num_repeats: Runs of each fold.
        task: The task that all are of.
        first: Index of the first run.
    """
    return tuple(
        RunPlan(first + fold * num_repeats + repeat, fold, task, repeat, rows, validation_rows)
        for fold, (rows, validation_rows) in enumerate(splits)
        for repeat in range(num_repeats)
    )


def fit_arguments(
    plan: RunPlan, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the arguments of ``model.fit`` for one run.

    Args:
        plan: The run.
        args: Positional arguments of ``fit`` for all samples; ``(x, y)`` where the plan names rows.
        kwargs: Keyword arguments of ``fit`` for all samples; with ``tasks`` by name, where there are some.
    """
    kwargs = dict(kwargs)
    tasks = kwargs.pop("tasks", None)
    if tasks is not None:
        x, y, *held_out = tasks[plan.task]
        args = (x, y)
        kwargs.update({"validation_data": held_out[0]} if held_out else {})
    if plan.rows is None:
        return args, kwargs
    weights = kwargs.get("sample_weight")
    held_out = [take(part, plan.validation_rows) for part in (*args, weights)]
    kwargs["validation_data"] = tuple(part for part in held_out if part is not None)
    if weights is not None:
        kwargs["sample_weight"] = take(weights, plan.rows)
    return tuple(take(part, plan.rows) for part in args), kwargs
