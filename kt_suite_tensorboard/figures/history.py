"""How the objective went, trial by trial, with the incumbent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kt_suite_tensorboard.figures.view import (
    INCUMBENT_COLOR,
    STATUS_COLORS,
    View,
    choose,
    fast,
    point,
    points,
    text,
)
from kt_suite_tensorboard.search import COMPLETED, FAILED, PRUNED, Search, Trial

_OTHER_SEARCHES = ("#8663c7", "#2aa3b3", "#b39b2e", "#2a9d70", "#8b9099")  # none of them a status shown here
_BY_TRIAL, _BY_TIME = "trial", "minutes"


def history(searches: Sequence[Search], options: Mapping[str, str]) -> View:
    """Returns the scores of all trials and the best so far; of several searches, the best so far of each.

    Args:
        searches: The searches; the first is the one whose trials are shown.
        options: ``x``: ``"trial"`` or ``"minutes"``; ``y``: ``"linear"`` or ``"log"``.
    """
    x = choose(options, "x", "Over", [_BY_TRIAL, _BY_TIME])
    y = choose(options, "y", "Scale", ["linear", "log"])
    first = searches[0]
    data = _trials(first, x.value)
    for index, search in enumerate(searches):
        color = INCUMBENT_COLOR if index == 0 else _OTHER_SEARCHES[(index - 1) % len(_OTHER_SEARCHES)]
        name = "best so far" if len(searches) == 1 else text(f"best of {search.name}")
        data.append(_incumbents(search, x.value, name, color))
    layout = {
        "xaxis": {"title": {"text": "trial" if x.value == _BY_TRIAL else "minutes since the start"}},
        "yaxis": {"title": {"text": text(first.objective)}, "type": y.value},
        # Trials without a score stand on the bottom line, whatever the scale.
        "yaxis2": {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
        "hovermode": "closest",
    }
    note = "" if first.trials else "No trial yet."
    if any("error_y" in trace for trace in data):
        note = "Whiskers: one standard error over the folds or runs of a trial."
    if len({(search.objective, search.sign) for search in searches}) > 1:
        note = "The searches have different objectives: compare their courses, not their values."
    return View(data, layout, [x, y], note)


def best_so_far(trials: Sequence[Trial], sign: float) -> list[Trial]:
    """Returns, for each of the trials, which come in some order, the best up to there."""
    best: list[Trial] = []
    for trial in trials:
        is_better = not best or sign * (trial.score or 0.0) < sign * (best[-1].score or 0.0)
        best.append(trial if is_better else best[-1])
    return best


def _trials(search: Search, x: str) -> list[dict[str, Any]]:
    positions = _positions(search, x)
    data = []
    for status in (COMPLETED, PRUNED):
        trials = [trial for trial in search.trials if trial.status == status and trial.score is not None]
        trace = points(
            trials,
            [positions.get(trial.number) for trial in trials],
            [trial.score for trial in trials],
            name=status.lower(),
            marker={"color": STATUS_COLORS[status], **point(len(trials))},
        )
        if len(trials) <= 500 and any(trial.standard_error for trial in trials):
            trace["error_y"] = {"array": [trial.standard_error for trial in trials], "thickness": 1, "width": 2}
        data.append(fast(trace, len(trials)))
    for status, symbol in ((PRUNED, "triangle-down"), (FAILED, "x")):
        trials = [trial for trial in search.trials if trial.status == status and trial.score is None]
        marker = {"color": STATUS_COLORS[status], **point(len(search.trials)), "symbol": symbol}
        x_values = [positions.get(trial.number) for trial in trials]
        name = f"{status.lower()}, no score"
        data.append(points(trials, x_values, [0.02] * len(trials), name=name, marker=marker, yaxis="y2"))
    return [trace for trace in data if trace["x"]]


def _incumbents(search: Search, x: str, name: str, color: str) -> dict[str, Any]:
    positions = _positions(search, x)
    trials = sorted(search.scored, key=lambda trial: (positions.get(trial.number, 0.0), trial.number))
    best = best_so_far(trials, search.sign)
    steps = [index for index, trial in enumerate(best) if index == 0 or trial is not best[index - 1]]
    if trials:
        steps.append(len(trials) - 1)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [positions.get(trials[index].number) for index in steps],
        "y": [best[index].score for index in steps],
        "name": name,
        "line": {"color": color, "shape": "hv", "width": 2},
        "hovertemplate": "%{y}<extra></extra>",
    }


def _positions(search: Search, x: str) -> dict[int, float]:
    """Returns where each trial stands on the axis, by number."""
    if x == _BY_TRIAL:
        return {trial.number: float(trial.number) for trial in search.trials}
    begin = search.begin
    return {trial.number: (trial.ended - begin) / 60 for trial in search.trials if trial.ended is not None}
