"""Parallel coordinates: each trial a line through its values to its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kt_suite_tensorboard.figures.dimension import Dimension, dimensions
from kt_suite_tensorboard.figures.view import OTHER_COLOR, View, hover, shade, text
from kt_suite_tensorboard.search import Search, Trial

_MAX_DIMENSIONS = 12
_MIN_STEP = 84  # pixels from axis to axis
_NUM_SHADES = 12
_HINT = "Drag over an axis to see the trials that pass there, with Shift over further axes; double-click for all."
_FULL = 60  # lines up to which each is drawn in full colour


def parallel(searches: Sequence[Search], options: Mapping[str, str]) -> View:
    """Returns the completed trials as lines over axes one step apart, each from 0 to 1, the better the brighter.

    Axes are logarithmic where the space says so. A trial that lacks a hyperparameter passes its tick "not active", so
    that no trial is lost. The lines are drawn as lines, not as Plotly's ``parcoords``: that needs WebGL, takes seconds
    without a graphics card, and its lines can neither be pointed at nor clicked.

    Args:
        searches: The search, first of them.
        options: None.
    """
    search = searches[0]
    trials = search.ranked()
    if len(trials) < 2:
        return View(note="Two completed trials are needed.")
    every = dimensions(search)
    shown = every[:_MAX_DIMENSIONS]
    scores = [trial.score or 0.0 for trial in trials]
    objective = Dimension(search.objective, min(scores), max(scores))
    places = [
        [*(_share(axis, axis.position(trial)) for axis in shown), _share(objective, score)]
        for trial, score in zip(trials, scores, strict=True)
    ]
    axes = [*shown, objective]
    groups: list[list[int]] = [[] for _ in range(_NUM_SHADES)]
    for index, brightness in enumerate(_brightness(trials, search)):
        groups[min(_NUM_SHADES - 1, int(brightness * _NUM_SHADES))].append(index)
    opacity = max(0.25, min(0.9, (_FULL / len(trials)) ** 0.4))
    # The best last, and so on top.
    data = [
        _lines([trials[index] for index in group], [places[index] for index in group], place, opacity)
        for place, group in enumerate(groups)
        if group
    ]
    layout = {
        "xaxis": {
            "tickvals": list(range(len(axes))),
            "ticktext": [text(_cut(axis.name, 24 if len(axes) < 8 else 16)) for axis in axes],
            "range": [-0.45, len(axes) - 0.55],
            "side": "top",
            "fixedrange": True,
            "tickangle": 0,
            "zeroline": False,
            "showline": False,
            "gridcolor": OTHER_COLOR,
        },
        "yaxis": {"range": [-0.03, 1.03], "visible": False, "fixedrange": True},
        "annotations": [tick for place, axis in enumerate(axes) for tick in _ticks(axis, place)],
        "hovermode": "closest",
        "dragmode": "select",
        "showlegend": False,
        "margin": {"l": 20, "r": 20, "t": 40, "b": 16},
    }
    note = _note(search, trials, len(every) - _MAX_DIMENSIONS)
    return View(data, layout, note=note, hint=_HINT, min_width=_MIN_STEP * len(axes))


def _cut(name: str, length: int) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _share(axis: Dimension, position: float) -> float:
    """Returns where on an axis a position is, from 0 to 1."""
    low, high = axis.ends
    return round((position - low) / (high - low), 4)


def _brightness(trials: Sequence[Trial], search: Search) -> list[float]:
    """Returns how good each of the trials is, which are ranked, from 0 to 1.

    The worst tenth shares one end, as single bad trials would blur all others.
    """
    losses = [search.sign * (trial.score or 0.0) for trial in trials]
    best, bad = losses[0], losses[int(0.9 * (len(losses) - 1))]
    return [max(0.0, min(1.0, (bad - loss) / (bad - best))) if best < bad else 1.0 for loss in losses]


def _lines(trials: Sequence[Trial], places: Sequence[list[float]], place: int, opacity: float) -> dict[str, Any]:
    x: list[int | None] = []
    y: list[float | None] = []
    ids: list[str | None] = []
    texts: list[str] = []
    for trial, passed in zip(reversed(trials), reversed(places), strict=True):
        x += [*range(len(passed)), None]
        y += [*passed, None]
        ids += [*[trial.trial_id] * len(passed), None]
        texts += [*[hover(trial)] * len(passed), ""]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "customdata": ids,
        "text": texts,
        "connectgaps": False,
        "line": {"color": shade(place / (_NUM_SHADES - 1)), "width": 1.4, "simplify": False},
        "opacity": opacity,
        "hovertemplate": "%{text}<extra></extra>",
    }


def _ticks(axis: Dimension, place: int) -> list[dict[str, Any]]:
    return [
        {
            "x": place,
            "y": _share(axis, position),
            "text": text(label),
            "showarrow": False,
            "xanchor": "right",
            "xshift": -3,
            "font": {"size": 11},
        }
        for position, label in zip(*axis.ticks(), strict=True)
    ]


def _note(search: Search, trials: Sequence[Trial], num_left_out: int) -> str:
    notes = []
    if len(trials) < len(search.trials):
        notes.append(f"{len(search.trials) - len(trials)} trials that did not complete are not drawn.")
    if num_left_out > 0:
        notes.append(f"{num_left_out} hyperparameters are left out.")
    return " ".join(notes)
