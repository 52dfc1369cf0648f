"""Parallel coordinates: each trial a line through its values to its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kt_suite_tensorboard.figures.dimension import Dimension, dimensions
from kt_suite_tensorboard.figures.view import COLOR_SCALE, View, text
from kt_suite_tensorboard.search import Search, Trial

_MAX_DIMENSIONS = 12


def parallel(searches: Sequence[Search], options: Mapping[str, str]) -> View:
    """Returns the completed trials as lines, the better the brighter.

    Axes are logarithmic where the space says so. A trial that lacks a hyperparameter passes its tick "not active", so
    that no trial is lost.
    """
    search = searches[0]
    trials = search.scored
    if len(trials) < 2:
        return View(note="Two completed trials are needed.")
    every = dimensions(search)
    shown = every[:_MAX_DIMENSIONS]
    axes = [_axis(dimension, trials) for dimension in shown]
    scores = [trial.score or 0.0 for trial in trials]
    number = {"label": "trial", "values": [trial.number for trial in trials]}
    objective = {"label": text(search.objective), "values": scores}
    trace = {
        "type": "parcoords",
        "dimensions": [number, *axes, objective],
        "line": {"color": scores, "colorscale": COLOR_SCALE, "reversescale": search.sign > 0, **_color_range(search)},
        "labelangle": -20 if len(axes) > 6 else 0,
    }
    notes = []
    if len(trials) < len(search.trials):
        notes.append(f"{len(search.trials) - len(trials)} trials without a score are not drawn.")
    if len(shown) < len(every):
        notes.append(f"{len(every) - len(shown)} hyperparameters are left out.")
    margin = {"l": 70, "r": 70, "t": 80 if len(axes) > 6 else 60, "b": 30}
    return View([trace], {"margin": margin}, note=" ".join(notes))


def _axis(dimension: Dimension, trials: Sequence[Trial]) -> dict[str, Any]:
    places, labels = dimension.ticks()
    return {
        "label": text(dimension.name),
        "values": [dimension.position(trial) for trial in trials],
        "range": list(dimension.ends),
        "tickvals": places,
        "ticktext": labels,  # here, and here only, Plotly reads no HTML
    }


def _color_range(search: Search) -> dict[str, float]:
    """Returns the ends of the colours: the worst tenth shares one, as single bad trials would blur all others."""
    scores = [trial.score or 0.0 for trial in search.ranked()]
    best, bad = scores[0], scores[int(0.9 * (len(scores) - 1))]
    return {"cmin": min(best, bad), "cmax": max(best, bad)} if best != bad else {}
