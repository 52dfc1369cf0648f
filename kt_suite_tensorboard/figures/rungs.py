"""Rungs and brackets: which trials got which budget, and which were promoted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kt_suite_tensorboard.figures.view import View, number, points, text
from kt_suite_tensorboard.search import Search, Trial

_COLORS = ("#3a86d1", "#e0922f", "#2a9d70", "#d1478c", "#8663c7", "#8b9099", "#b39b2e", "#2aa3b3")
_SPREAD = 0.12  # of the distance between two budgets, from one bracket to the next


def rungs(searches: Sequence[Search], options: Mapping[str, str]) -> View:
    """Returns the score over the budget, a colour for each bracket, with lines from trials to what became of them.

    Trials that were promoted are filled. The budget is in epochs or, where none was granted, the share of a full
    training.
    """
    search = searches[0]
    trials = [trial for trial in search.trials if trial.rung is not None and trial.score is not None]
    if not trials:
        return View(note="This search has no rungs: Hyperband and the like give trials different budgets.")
    is_of_epochs = all(trial.budget is not None for trial in trials)
    budgets = sorted({_budget(trial, is_of_epochs) for trial in trials})
    brackets = sorted({trial.bracket or 0 for trial in trials})
    places = {
        trial.trial_id: budgets.index(_budget(trial, is_of_epochs))
        + _SPREAD * (brackets.index(trial.bracket or 0) - (len(brackets) - 1) / 2) / max(1, len(brackets) / 4)
        for trial in trials
    }
    by_id = {trial.trial_id: trial for trial in trials}
    parents = {trial.parent for trial in search.trials if trial.parent is not None}
    data: list[dict[str, Any]] = []
    for index, bracket in enumerate(brackets):
        color = _COLORS[index % len(_COLORS)]
        inside = [trial for trial in trials if (trial.bracket or 0) == bracket]
        data.append(_promotions(inside, by_id, places, color))
        symbols = ["circle" if trial.trial_id in parents else "circle-open" for trial in inside]
        marker = {"color": color, "symbol": symbols, "size": 8}
        xs = [places[trial.trial_id] for trial in inside]
        name = f"bracket {bracket}"
        data.append(points(inside, xs, [trial.score for trial in inside], name=name, marker=marker))
    unit = "epochs" if is_of_epochs else "share of a full training"
    layout = {
        "xaxis": {
            "title": {"text": unit},
            "tickvals": list(range(len(budgets))),
            "ticktext": [number(budget) for budget in budgets],
            "zeroline": False,
        },
        "yaxis": {"title": {"text": text(search.objective)}},
        "hovermode": "closest",
    }
    return View(data, layout, note=_counts(search))


def _budget(trial: Trial, is_of_epochs: bool) -> float:
    return float(trial.budget or 0) if is_of_epochs else trial.fidelity


def _promotions(
    trials: Sequence[Trial], by_id: Mapping[str, Trial], places: Mapping[str, float], color: str
) -> dict[str, Any]:
    x: list[float | None] = []
    y: list[float | None] = []
    for trial in trials:
        parent = by_id.get(trial.parent or "")
        if parent is not None:
            x += [places[parent.trial_id], places[trial.trial_id], None]
            y += [parent.score, trial.score, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": color, "width": 1},
        "showlegend": False,
        "hoverinfo": "skip",
    }


def _counts(search: Search) -> str:
    """Returns how many trials each rung of each bracket has."""
    counts = Counter((trial.bracket or 0, trial.rung) for trial in search.trials if trial.rung is not None)
    lines = []
    for bracket in sorted({bracket for bracket, _ in counts}):
        rungs = sorted(rung for found, rung in counts if found == bracket)
        lines.append(f"bracket {bracket}: {' → '.join(str(counts[bracket, rung]) for rung in rungs)} trials")
    return "; ".join(lines) + "."
