"""Learning curves, one a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from kt_suite_tensorboard.figures.view import OTHER_COLOR, STATUS_COLORS, View, choose, fast, hover, number, text
from kt_suite_tensorboard.search import PRUNED, Curve, Search, Trial

_ALL = "all"
_EACH, _MEAN = "each run", "mean of the runs"
_NUM_SHOWN = ("30", "100", "300", _ALL)
_BINS = ("#e3b11f", "#86ad4b", "#2aa876", "#2f97a0", "#3585c0", "#6a51b8")  # the colours of scores, best first


def curves(searches: Sequence[Search], options: Mapping[str, str]) -> View:
    """Returns the curves of one metric; those of pruned trials end, with a mark, where they were pruned.

    Args:
        searches: The search, first of them.
        options: ``metric``; ``color``: ``"status"`` or ``"value"``; ``trials``: how many of each status are drawn: the
            best of those with a score, the latest of the others; ``runs``: ``"each run"`` of a trial, such as its
            folds, or the ``"mean of the runs"`` over the epochs that all of them reached; ``marked``: id of a trial
            that is drawn in any case.
    """
    search = searches[0]
    metric = choose(options, "metric", "Metric", search.metrics() or [search.objective])
    color = choose(options, "color", "Colour by", ["status", "value"])
    num_shown = choose(options, "trials", "At most", list(_NUM_SHOWN), "100")
    runs = choose(options, "runs", "Lines", [_EACH, _MEAN])
    trials = _shown(search, None if num_shown.value == _ALL else int(num_shown.value), options.get("marked"))
    found = search.file.curves(trials, metric.value)
    has_several_runs = len({curve.trial.trial_id for curve in found}) < len(found)
    if has_several_runs:
        found = _means(found) if runs.value == _MEAN else [replace(c, label=c.trial.run_label(c.run)) for c in found]
    groups = _by_status(found) if color.value == "status" else _by_value(found, search)
    num_points = sum(len(curve.points) for curve in found)
    data = [fast(_lines(group, name, shade), num_points // 10) for name, shade, group in groups]
    cut = [curve for curve in found if curve.trial.status == PRUNED]
    if cut:
        data.append(_ends(cut))
    axes = {"xaxis": {"title": {"text": "epoch"}}, "yaxis": {"title": {"text": text(metric.value)}}}
    choices = [metric, color, num_shown, *([runs] if has_several_runs else [])]
    note = "" if found else f"No epoch has reported {metric.value} yet."
    num_left_out = len(search.trials) - len(trials)
    if found and num_left_out:
        note = (
            f"{num_left_out} of {len(search.trials)} trials are left out: the worse, and the earlier without a score."
        )
    return View(data, {**axes, "hovermode": "closest"} if found else {}, choices, note, is_sample=num_left_out > 0)


def _shown(search: Search, limit: int | None, marked: str | None) -> list[Trial]:
    scored = search.ranked()
    ids = {trial.trial_id for trial in scored}
    groups: dict[str, list[Trial]] = {}
    for trial in reversed(search.trials):
        if trial.trial_id not in ids:
            groups.setdefault(trial.status, []).append(trial)
    shown = [trial for group in [scored, *groups.values()] for trial in group[:limit]]
    return [*shown, *(trial for trial in search.trials if trial.trial_id == marked and trial not in shown)]


def _means(curves: Sequence[Curve]) -> list[Curve]:
    by_trial: dict[str, list[Curve]] = {}
    for curve in curves:
        by_trial.setdefault(curve.trial.trial_id, []).append(curve)
    means = []
    for group in by_trial.values():
        epochs = [epoch for epoch in group[0].points if all(epoch in curve.points for curve in group)]
        points = {epoch: fmean(curve.points[epoch] for curve in group) for epoch in epochs}
        if points:
            means.append(Curve(group[0].trial, 0, points, f"mean of {len(group)} runs" if len(group) > 1 else ""))
    return means


def _by_status(curves: Sequence[Curve]) -> list[tuple[str, str, list[Curve]]]:
    statuses = sorted({curve.trial.status for curve in curves})
    return [
        (status.lower(), STATUS_COLORS.get(status, OTHER_COLOR), [c for c in curves if c.trial.status == status])
        for status in statuses
    ]


def _by_value(curves: Sequence[Curve], search: Search) -> list[tuple[str, str, list[Curve]]]:
    """Returns curves in groups of trials of like rank, the best last, so that they are drawn on top."""
    trials = list({curve.trial.trial_id: curve.trial for curve in curves if curve.trial.is_scored}.values())
    trials.sort(key=lambda trial: (search.sign * (trial.score or 0.0), trial.number))
    bins = [index * len(_BINS) // len(trials) for index in range(len(trials))]
    groups = []
    for index, shade in enumerate(_BINS):
        inside = [trial for trial, place in zip(trials, bins, strict=True) if place == index]
        if inside:
            name = f"{number(inside[-1].score or 0.0)} to {number(inside[0].score or 0.0)}"
            ids = {trial.trial_id for trial in inside}
            groups.append((name, shade, [curve for curve in curves if curve.trial.trial_id in ids]))
    others = [curve for curve in curves if not curve.trial.is_scored]
    return [*([("without a score", OTHER_COLOR, others)] if others else []), *reversed(groups)]


def _lines(curves: Sequence[Curve], name: str, color: str) -> dict[str, Any]:
    """Returns all curves as one trace, with gaps between them: thousands of traces would be slow."""
    x: list[int | None] = []
    y: list[float | None] = []
    ids: list[str | None] = []
    texts: list[str] = []
    for curve in curves:
        x += [epoch + 1 for epoch in curve.points] + [None]
        y += [*curve.points.values(), None]
        ids += [curve.trial.trial_id] * len(curve.points) + [None]
        run = f"{text(curve.label)} of " if curve.label else ""
        texts += [run + hover(curve.trial)] * len(curve.points) + [""]
    is_short = all(len(curve.points) < 2 for curve in curves)
    return {
        "type": "scatter",
        "mode": "markers" if is_short else "lines",
        "x": x,
        "y": y,
        "customdata": ids,
        "text": texts,
        "name": name,
        "line": {"color": color, "width": 1.3},
        "marker": {"color": color},
        "connectgaps": False,
        "hovertemplate": "epoch %{x}: %{y}<br>%{text}<extra></extra>",
    }


def _ends(curves: Sequence[Curve]) -> dict[str, Any]:
    ends = [(curve, max(curve.points)) for curve in curves]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [epoch + 1 for _, epoch in ends],
        "y": [curve.points[epoch] for curve, epoch in ends],
        "customdata": [curve.trial.trial_id for curve, _ in ends],
        "text": [hover(curve.trial) for curve, _ in ends],
        "name": "pruned here",
        "marker": {"color": STATUS_COLORS[PRUNED], "symbol": "triangle-down", "size": 9},
        "hovertemplate": "%{text}<extra></extra>",
    }
