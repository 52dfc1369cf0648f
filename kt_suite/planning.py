"""From the arguments of a search to the runs of its trials."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kt_suite.checks import inputs_of
from kt_suite.errors import InputError, ProjectError, rule
from kt_suite.folds import check_cross_validation, facts_of, is_splitter, make_splits
from kt_suite.rows import is_dataset, materialise, with_rows
from kt_suite.runs import RunPlan, fold_runs, repeats
from kt_suite.tasks import check_task_score, joined, read_tasks, relative_scores
from kt_suite.trial import TrialRecord

FACT = "validation"


class RunPlanner:
    """Plans the runs that every trial of a search is made of.

    Args:
        cross_validation: Number of folds, splitter, pairs of rows, or ``None``.
        num_repeats: Runs of each fold.
        task_score: How results on several tasks become one score.

    Attributes:
        plans: The runs.
        tasks: Names of the tasks.
        facts: What is stored of how trials are validated; ``None`` without cross-validation.

    Raises:
        InputError: ``cross_validation`` is none of these.
    """

    def __init__(self, cross_validation: Any, num_repeats: int, task_score: str = "rank") -> None:
        check_cross_validation(cross_validation)
        check_task_score(task_score)
        self.task_score = task_score
        self.tasks: tuple[str, ...] = ()
        is_plain = cross_validation is None or isinstance(cross_validation, int) or is_splitter(cross_validation)
        self.cross_validation = cross_validation if is_plain else list(cross_validation)
        self.num_repeats = num_repeats
        self.plans: tuple[RunPlan, ...] = repeats(num_repeats)
        self.facts: dict[str, Any] | None = None
        self._batch_size: int | None = None

    def arrange(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Returns the arguments of ``search`` as ``(x, y)`` and the rest, with rows that can be told apart.

        A ``tf.data.Dataset`` is read into memory. Without cross-validation arguments stay as they are.

        Raises:
            InputError: They cannot be combined with cross-validation.
        """
        kwargs = dict(kwargs)
        if kwargs.get("tasks") is not None:
            return self._arrange_tasks(args, kwargs)
        kwargs.pop("tasks", None)
        if self.cross_validation is None:
            if kwargs.get("groups") is not None:
                remedy = "Give the tuner cross_validation=, such as sklearn.model_selection.GroupKFold(5)."
                raise InputError(rule("groups", "be None without cross-validation", kwargs["groups"], remedy))
            kwargs.pop("groups", None)
            return args, kwargs
        for name in ("validation_data", "validation_split"):
            if kwargs.pop(name, None):
                raise InputError(rule(name, "be left out with cross_validation", name, "The folds validate."))
        x, y = inputs_of(args, kwargs)
        if x is None:
            raise InputError(rule("x", "be given for cross-validation", None))
        kwargs = {name: value for name, value in kwargs.items() if name not in ("x", "y")}
        if is_dataset(x):
            (x, y, *weights), self._batch_size = _read(x)
            kwargs.update({"sample_weight": weights[0]} if weights else {})
        if kwargs.get("sample_weight") is not None:
            kwargs["sample_weight"] = with_rows(kwargs["sample_weight"])
        return (with_rows(x), None if y is None else with_rows(y)), kwargs

    def _arrange_tasks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for name in ("x", "y", "sample_weight", "groups", "validation_data"):
            if kwargs.pop(name, None) is not None:
                raise InputError(rule(name, "be left out where tasks are given", name))
        if args:
            raise InputError(rule("search()", "get no x and y where tasks are given", f"{len(args)} arguments"))
        tasks = kwargs["tasks"] = read_tasks(kwargs["tasks"])
        share = kwargs.get("validation_split")
        if self.cross_validation is not None and (share or any(len(task) > 2 for task in tasks.values())):
            raise InputError(
                rule("Validation data", "be left out with cross_validation", "some", "The folds validate.")
            )
        for name, task in tasks.items():
            if self.cross_validation is None and len(task) == 2 and not share:
                remedy = "Give cross_validation=, validation_split=, or (x, y, validation_data)."
                raise InputError(rule(f"Task {name!r}", "be validated", "(x, y) alone", remedy))
        return (), kwargs

    def inputs(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
        """Returns ``x`` and ``y`` of what :meth:`arrange` returned, those of all tasks joined."""
        tasks = kwargs.get("tasks")
        return inputs_of(args, kwargs) if tasks is None else joined(tasks)

    def _plan_tasks(self, tasks: Mapping[str, Any], classes: bool | None, seed: int) -> None:
        plans: list[RunPlan] = []
        facts = {}
        for name, task in tasks.items():
            splits = []
            if self.cross_validation is not None:
                splits = make_splits(self.cross_validation, *task[:2], classes=classes, seed=seed)
                plans += fold_runs(splits, self.num_repeats, name, len(plans))
            else:
                first = len(plans)
                plans += [RunPlan(first + one.index, None, name, one.repeat) for one in repeats(self.num_repeats)]
            facts[name] = facts_of(self.cross_validation, splits, *task)
        self.plans, self.tasks = tuple(plans), tuple(tasks)
        self.facts = {"tasks": facts, "task_score": self.task_score}

    def plan(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        classes: bool | None,
        seed: int,
        tuned: Collection[str] = (),
    ) -> dict[str, Any]:
        """Plans the runs for what :meth:`arrange` returned; returns the keyword arguments of ``fit``.

        Args:
            args: ``(x, y)``.
            kwargs: The rest.
            classes: Whether the targets are classes; ``None`` has them decide.
            seed: Seeds the splits.
            tuned: Arguments of ``fit`` that the hypermodel decides.

        Raises:
            InputError: The data cannot be split so.
        """
        rest = {name: value for name, value in kwargs.items() if name != "groups"}
        if "tasks" in rest:
            self._plan_tasks(rest["tasks"], classes, seed)
            return rest
        if self.cross_validation is None:
            return rest
        x, y = args
        groups, weights = kwargs.get("groups"), kwargs.get("sample_weight")
        splits = make_splits(self.cross_validation, x, y, groups=groups, classes=classes, seed=seed)
        self.plans = fold_runs(splits, self.num_repeats)
        self.facts = facts_of(self.cross_validation, splits, x, y, weights)
        if self._batch_size is not None and "batch_size" not in tuned:
            rest["batch_size"] = self._batch_size  # of the data set that the rows came from
        return rest

    @property
    def keeps_runs(self) -> bool:
        """Whether runs differ in their data, so that the weights of each are kept."""
        return self.cross_validation is not None or bool(self.tasks)

    def rescorer(self, direction: str) -> Callable[[list[TrialRecord]], dict[str, float]] | None:
        """Returns what computes the scores of all trials anew where there are tasks, else ``None``."""
        if not self.tasks:
            return None
        return functools.partial(relative_scores, direction=direction, task_score=self.task_score)

    def check_continues(self, stored: Mapping[str, Any] | None, directory: str) -> None:
        """Raises ``ProjectError`` unless a search that stored these facts validated as this one does."""
        now, before = self.facts or {}, dict(stored or {})
        words = {"data": "The data", "splits": "The folds", "cross_validation": "cross_validation", "folds": "Folds"}
        remedy = "Scores could not be compared. Give another project_name, or overwrite=True."
        for name in sorted({*now, *before}):
            if now.get(name) != before.get(name):
                what = f"{words.get(name, name)} of a resumed search"
                raise ProjectError(rule(what, f"be those of {directory} ({before.get(name)})", now.get(name), remedy))


def _read(dataset: Any) -> tuple[tuple[Any, ...], int]:
    parts, batch_size = materialise(dataset)
    return (*parts, None)[: max(2, len(parts))], batch_size
