"""The objective over one hyperparameter, and over two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kt_suite_tensorboard.figures.dimension import Dimension, dimensions
from kt_suite_tensorboard.figures.view import COLOR_SCALE, STATUS_COLORS, View, choose, fast, point, points, text
from kt_suite_tensorboard.search import FAILED, PRUNED, Search, Trial

_GRID = 30
_MAX_TRIALS = 400  # the estimate costs grid points times trials
_JITTER = 0.35  # of a category's width


def slices(searches: Sequence[Search], options: Mapping[str, str]) -> View:
    """Returns the score of each trial over its value of one hyperparameter.

    Args:
        searches: The search, first of them.
        options: ``parameter``.
    """
    search = searches[0]
    known = {dimension.name: dimension for dimension in dimensions(search)}
    if not known:
        return View(note="No hyperparameter differs between trials yet.")
    choice = choose(options, "parameter", "Hyperparameter", list(known))
    dimension = known[choice.value]
    trials = search.scored
    color = {"color": [trial.number for trial in trials], "colorscale": COLOR_SCALE, **point(len(trials))}
    bar = {"title": {"text": "trial"}, "thickness": 12}
    places = [_jittered(dimension, trial) for trial in trials]
    scores = [trial.score for trial in trials]
    trace = points(trials, places, scores, name="completed", marker={**color, "colorbar": bar}, showlegend=False)
    data = [fast(trace, len(trials))]
    for status, symbol in ((FAILED, "x"), (PRUNED, "triangle-down")):
        others = [trial for trial in search.trials if trial.status == status]
        if others:
            places = [_jittered(dimension, trial) for trial in others]
            marker = {"color": STATUS_COLORS[status], "symbol": symbol, **point(len(search.trials))}
            data.append(points(others, places, [0.02] * len(others), name=status.lower(), marker=marker, yaxis="y2"))
    layout = {
        "xaxis": axis(dimension),
        "yaxis": {"title": {"text": text(search.objective)}},
        "yaxis2": {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
        "hovermode": "closest",
    }
    return View(data, layout, [choice], "" if trials else "No trial has completed yet.")


def contour(searches: Sequence[Search], options: Mapping[str, str]) -> View:
    """Returns the objective over two hyperparameters, estimated between the trials by inverse distances.

    Shepard, "A two-dimensional interpolation function for irregularly-spaced data", ACM 1968; the power is 3.

    Args:
        searches: The search, first of them.
        options: ``x`` and ``y``, the hyperparameters; ``marked``: id of a trial that is drawn in any case.
    """
    search = searches[0]
    known = {dimension.name: dimension for dimension in dimensions(search)}
    if len(known) < 2 or len(search.scored) < 3:
        return View(note="Two hyperparameters that differ and three completed trials are needed.")
    names = list(known)
    x = choose(options, "x", "Across", names)
    y = choose(options, "y", "Up", [name for name in names if name != x.value])
    across, up = known[x.value], known[y.value]
    trials = search.ranked()
    every = max(1, math.ceil(len(trials) / _MAX_TRIALS))
    trials = [t for index, t in enumerate(trials) if index % every == 0 or t.trial_id == options.get("marked")]
    xs, ys = ([dimension.position(trial) for trial in trials] for dimension in (across, up))
    columns, rows = _places(across), _places(up)
    surface = {
        "type": "contour",
        "x": columns,
        "y": rows,
        "z": _estimate(list(zip(xs, ys, strict=True)), [trial.score or 0.0 for trial in trials], columns, rows),
        "colorscale": COLOR_SCALE,
        "reversescale": search.sign > 0,
        "colorbar": {"title": {"text": text(search.objective)}, "thickness": 12},
        "contours": {"coloring": "heatmap"},
        "line": {"width": 0.5},
        "hoverinfo": "skip",
    }
    marker = {"color": "#ffffff", "size": 6, "line": {"color": "#20242b", "width": 1}}
    layout = {"xaxis": axis(across), "yaxis": axis(up), "hovermode": "closest", "showlegend": False}
    note = f"{len(trials)} of {len(search.scored)} trials." if len(trials) < len(search.scored) else ""
    return View([surface, points(trials, xs, ys, marker=marker)], layout, [x, y], note, is_sample=bool(note))


def axis(dimension: Dimension) -> dict[str, Any]:
    """Returns the axis of a hyperparameter."""
    places, labels = dimension.ticks()
    return {
        "title": {"text": text(dimension.name)},
        "range": list(dimension.ends),
        "tickvals": places,
        "ticktext": [text(label) for label in labels],
        "zeroline": False,
    }


def _jittered(dimension: Dimension, trial: Trial) -> float:
    """Returns where a trial stands, those of one category side by side."""
    place = dimension.position(trial)
    if not dimension.categories:
        return place
    return place + _JITTER * ((trial.number * 0.618034) % 1 - 0.5)


def _places(dimension: Dimension) -> list[float]:
    low, high = dimension.ends
    return [low + (high - low) * index / (_GRID - 1) for index in range(_GRID)]


def _estimate(
    known: Sequence[tuple[float, float]], scores: Sequence[float], columns: Sequence[float], rows: Sequence[float]
) -> list[list[float]]:
    width, height = columns[-1] - columns[0], rows[-1] - rows[0]
    smallest = 1e-4  # squared, of the unit square: at a trial the estimate is its own score
    estimate = []
    for row in rows:
        line = []
        for column in columns:
            weights = [(((x - column) / width) ** 2 + ((y - row) / height) ** 2 + smallest) ** -1.5 for x, y in known]
            total = sum(weight * score for weight, score in zip(weights, scores, strict=True))
            line.append(total / sum(weights))
        estimate.append(line)
    return estimate
