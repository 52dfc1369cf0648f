"""Tasks: several data sets that one set of values is tuned for, and how a trial's results on them become one score.

Scores on different data cannot be averaged as they are: a hard task would count for little, or for everything. They
are compared with those of the other trials on the same task, in one of two ways. Either way the score of a trial
follows from the completed trials alone, whatever their order, and is computed anew for all of them when one more has
ended; a resumed search therefore has the scores that an uninterrupted one has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kt_suite.errors import InputError, near, rule
from kt_suite.objective import sign
from kt_suite.rows import is_dataset, leaves, materialise, num_samples, with_rows
from kt_suite.trial import TrialRecord, TrialStatus

Task = tuple[Any, ...]


def read_tasks(tasks: Any) -> dict[str, Task]:
    """Returns tasks by name, each ``(x, y)`` or ``(x, y, validation_data)``, with rows that can be told apart.

    Raises:
        InputError: They are no tasks, or their inputs or targets differ in shape.
    """
    if not isinstance(tasks, Mapping) or not tasks or not all(isinstance(name, str) for name in tasks):
        raise InputError(rule("tasks", 'be a dict such as {"name": (x, y)}', tasks))
    read = {name: _read_task(name, task) for name, task in tasks.items()}
    first, *others = read
    for name in others:
        for what, index in (("inputs", 0), ("targets", 1)):
            ours, theirs = _shapes(read[name][index]), _shapes(read[first][index])
            if ours != theirs:
                must = f"have the shape of those of task {first!r} ({theirs})"
                raise InputError(rule(f"The {what} of task {name!r}", must, ours, "One model is built for all tasks."))
    return read


def _read_task(name: str, task: Any) -> Task:
    if is_dataset(task):
        task = materialise(task)[0]
    if not isinstance(task, (tuple, list)) or len(task) not in (2, 3):
        raise InputError(rule(f"Task {name!r}", "be (x, y), or (x, y, validation_data)", task))
    x, y = with_rows(task[0]), with_rows(task[1])
    if num_samples(x) != num_samples(y):
        raise InputError(rule(f"The length of y of task {name!r}", f"equal that of x ({num_samples(x)})", len(y)))
    return (x, y, *task[2:])


def _shapes(data: Any) -> list[tuple[int, ...]]:
    return [tuple(leaf.shape[1:]) for leaf in leaves(data)]


def joined(tasks: Mapping[str, Task]) -> tuple[Any, Any]:
    """Returns the inputs and targets of all tasks, one after the other, to read shapes and classes in."""
    import keras

    x, y = (
        keras.tree.map_structure(lambda *each: np.concatenate(each), *(task[index] for task in tasks.values()))
        for index in (0, 1)
    )
    return x, y


def by_rank(losses: np.ndarray) -> np.ndarray:
    """Returns for each trial the share of the others that do better, ties by half, as a mean over tasks.

    It is the mean rank, brought into [0, 1]: 0 is best on every task.

    Args:
        losses: Losses of shape ``(n, t)``: a row a trial, a column a task.

    Example:
        >>> by_rank(np.array([[0.1, 30.0], [0.2, 10.0], [0.3, 20.0]])).tolist()
        [0.5, 0.25, 0.75]
    """
    better = (losses[None] < losses[:, None]).sum(axis=1) + 0.5 * ((losses[None] == losses[:, None]).sum(axis=1) - 1)
    return np.asarray((better / max(1, len(losses) - 1)).mean(axis=1))


def by_scale(losses: np.ndarray) -> np.ndarray:
    """Returns the mean over tasks of the distance to the best trial, in units of that of the median trial.

    0 is best on every task, 1 as far from the best as the median. Where half of the trials are best, the unit is the
    distance of the worst.

    Args:
        losses: Losses of shape ``(n, t)``: a row a trial, a column a task.

    Example:
        >>> by_scale(np.array([[0.1, 30.0], [0.2, 10.0], [0.3, 20.0]])).tolist()
        [1.0, 0.5, 1.5]
    """
    distance = losses - losses.min(axis=0)
    unit, largest = np.median(distance, axis=0), distance.max(axis=0)
    unit = np.where(unit > 0, unit, np.where(largest > 0, largest, 1.0))
    return np.asarray((distance / unit).mean(axis=1))


TASK_SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"rank": by_rank, "scaled": by_scale}


def check_task_score(task_score: Any) -> None:
    """Raises ``InputError`` unless ``task_score`` names a way to one score."""
    if task_score not in TASK_SCORES:
        remedy = near(task_score, TASK_SCORES)
        raise InputError(rule("task_score", f"be one of {list(TASK_SCORES)}", task_score, remedy))


def relative_scores(records: Iterable[TrialRecord], direction: str, task_score: str) -> dict[str, float]:
    """Returns the scores of the trials that have ended with one, by id.

    Where the objective is maximised, 1 is best on every task and not 0. A pruned trial counts as the worst completed.

    Args:
        records: The trials.
        direction: ``"min"`` or ``"max"``.
        task_score: ``"rank"`` or ``"scaled"``.
    """
    records = list(records)
    completed = [one for one in records if one.status == TrialStatus.COMPLETED and one.task_scores]
    if not completed:
        return {}
    losses = np.array([list(one.task_scores.values()) for one in completed]) * sign(direction)
    relative = TASK_SCORES[task_score](losses)
    scores = relative if direction == "min" else 1.0 - relative
    worst = scores.max() if direction == "min" else scores.min()
    pruned = {one.trial_id: float(worst) for one in records if one.status == TrialStatus.PRUNED}
    return {**pruned, **{one.trial_id: float(score) for one, score in zip(completed, scores, strict=True)}}


def check_oracle(oracle: Any, kinds: Sequence[str] = ("Hyperband", "Optuna", "Pareto")) -> None:
    """Raises ``InputError`` for an oracle that remembers scores, which change here as trials end."""
    name = type(oracle).__name__
    if any(kind in name for kind in kinds):
        remedy = "Use RandomSearch, GridSearch, QuasiRandomSearch or BayesianOptimization."
        raise InputError(rule("The oracle of a search over tasks", "read scores afresh each time", name, remedy))
