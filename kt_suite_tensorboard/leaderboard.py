"""The trials of a search as compact rows for the page."""

from __future__ import annotations

import time
from typing import Any

from kt_suite_tensorboard.figures.view import finite
from kt_suite_tensorboard.search import Search, Trial

COLUMNS = (
    *("id", "number", "status", "score", "std", "error", "epochs", "seconds", "runs", "attempt", "message", "values"),
    "tasks",
)
_MAX_MESSAGE = 200
_NOT_FACTS = {"space", "search_id", "process"}


def leaderboard(search: Search, after: int = -1) -> dict[str, Any]:
    """Returns the search for the page: facts, and a row for each trial.

    A trial changes only with an event, so that the page may keep the rows it has.

    Args:
        search: The search.
        after: Id of the last event that the page knows; rows unchanged since are left out. -1 for all rows.

    Returns:
        Values that JSON can hold. ``rows`` follow ``columns``; the values of a row follow ``parameters``, with
        ``None`` where a hyperparameter was not active, and may be shorter where the space has grown since. The scores
        of a row on each task follow ``tasks``.
    """
    parameters = list(search.space())
    tasks = list(dict.fromkeys(run.task for trial in search.trials for run in trial.runs if run.task is not None))
    result: dict[str, Any] = {
        "id": search.facts["search_id"],
        "name": search.name,
        "objective": search.objective,
        "direction": "max" if search.sign < 0 else "min",
        "event": search.event,
        "report": search.report,
        "facts": facts(search),
        "parameters": parameters,
        "tasks": tasks,
        "columns": COLUMNS,
        "rows": [_row(trial, parameters, tasks) for trial in search.trials if trial.event > after],
    }
    return dict(finite(result))


def facts(search: Search) -> list[tuple[str, str]]:
    """Returns what is known of the search as a whole, each as a name and a text."""
    known = {name: value for name, value in search.facts.items() if name not in _NOT_FACTS}
    for name in ("created", "ended"):
        if isinstance(known.get(name), (int, float)):
            known[name] = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(known[name]))
    if isinstance(known.get("elapsed"), float):
        known["elapsed"] = f"{known['elapsed']:.1f} s"
    slots = sorted({str(trial.slot) for trial in search.trials if trial.slot is not None})
    known["slots"] = slots
    known["search_id"] = search.facts.get("search_id")
    return [(name.replace("_", " "), fact_text(value)) for name, value in known.items() if value not in (None, [], {})]


def fact_text(value: Any) -> str:
    """Returns a fact as text."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {fact_text(item)}" for name, item in value.items())
    if isinstance(value, list):
        return "; ".join(map(fact_text, value))
    return str(value)


def _row(trial: Trial, parameters: list[str], tasks: list[str]) -> list[Any]:
    scores = trial.task_scores()
    return [
        trial.trial_id,
        trial.number,
        trial.status,
        trial.score,
        trial.score_std,
        trial.standard_error,
        trial.epochs,
        None if trial.seconds is None else round(trial.seconds, 3),
        len(trial.runs),
        trial.attempt,
        trial.last_line[:_MAX_MESSAGE],
        [trial.values[name] if trial.is_active(name) else None for name in parameters],
        [scores.get(task) for task in tasks],
    ]
