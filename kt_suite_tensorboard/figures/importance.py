"""Which hyperparameters matter, and how surely that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from kt_suite_tensorboard.figures.dimension import Dimension, dimensions
from kt_suite_tensorboard.figures.view import STATUS_COLORS, View, choose, text
from kt_suite_tensorboard.search import COMPLETED, Search, Trial

_MIN_TRIALS = 8
_MAX_TRIALS = 1000
_ALL, _BETTER = "all trials", "the better half"
_Rows = tuple[tuple[float, ...], ...]


def importance(searches: Sequence[Search], options: Mapping[str, str]) -> View:
    """Returns the share of the objective's variance that each hyperparameter explains by itself.

    The shares are those of kt_suite's functional ANOVA over a random forest, with their standard deviation over its
    trees. They change with every tenth of the trials only, as they take a second or so to compute.

    Args:
        searches: The search, first of them.
        options: ``among``: ``"the better half"`` takes all scores worse than the median for the median.
    """
    search = searches[0]
    among = choose(options, "among", "Among", [_ALL, _BETTER])
    known, trials = dimensions(search), _counted(search.scored)
    if len(trials) < _MIN_TRIALS or not known:
        return View(choices=[among], note=f"{_MIN_TRIALS} completed trials with different values are needed.")
    losses = [search.sign * (trial.score or 0.0) for trial in trials]
    if among.value == _BETTER:
        median = sorted(losses)[len(losses) // 2]
        losses = [min(loss, median) for loss in losses]
    columns = [_column(dimension, trials) for dimension in known]
    try:
        means, deviations = _effects(tuple(zip(*columns, strict=True)), tuple(losses))
    except Exception as error:  # of kt_suite or scikit-learn, which need not be where TensorBoard runs
        return View(choices=[among], note=f"Computing it needs kt_suite and scikit-learn here: {error}")
    rest = max(0.0, 1.0 - sum(means))
    order = sorted(range(len(known)), key=lambda index: means[index])
    names = ["interactions", *(text(known[index].name) for index in order)]
    trace = _bars(names, [rest, *(means[index] for index in order)], [None, *(deviations[index] for index in order)])
    layout = {
        "xaxis": {"title": {"text": "share of the variance explained"}, "rangemode": "tozero"},
        "yaxis": {"tickvals": list(range(len(names))), "ticktext": names},
        "showlegend": False,
    }
    note = f"From {len(trials)} trials; whiskers: one standard deviation over the trees."
    return View([trace], layout, [among], note, height=max(360, 90 + 26 * len(names)))


def _bars(names: Sequence[str], means: Sequence[float], deviations: Sequence[float | None]) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "x": list(means),
        "y": list(range(len(names))),
        "text": list(names),
        "textposition": "none",
        "error_x": {
            "array": list(deviations),
            "arrayminus": [
                None if one is None else min(one, mean) for one, mean in zip(deviations, means, strict=True)
            ],
            "symmetric": False,
            "thickness": 1,
            "width": 3,
        },
        "marker": {"color": STATUS_COLORS[COMPLETED]},
        "hovertemplate": "%{text}: %{x:.3f}<extra></extra>",
    }


def _counted(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the trials that count: nine tenths at least, so that the result is computed anew only now and then."""
    step = max(1, len(trials) // 10)
    counted = trials[: len(trials) // step * step]
    return list(counted[:: max(1, -(-len(counted) // _MAX_TRIALS))])


def _column(dimension: Dimension, trials: Sequence[Trial]) -> list[float]:
    """Returns the places of trials in [0, 1], cells of equal width for categories, a share of its own for the inactive.

    The measure of functional ANOVA is uniform there.
    """
    inactive = sum(not trial.is_active(dimension.name) for trial in trials) / len(trials)
    if dimension.categories:
        num = len(dimension.categories)
        places = [(dimension.position(trial) + 0.5) / num for trial in trials]
    else:
        width = dimension.high - dimension.low or 1.0
        places = [(dimension.position(trial) - dimension.low) / width for trial in trials]
    return [
        inactive + (1 - inactive) * place if trial.is_active(dimension.name) else inactive / 2
        for place, trial in zip(places, trials, strict=True)
    ]


@lru_cache(maxsize=16)
def _effects(points: _Rows, losses: tuple[float, ...]) -> tuple[list[float], list[float]]:
    from kt_suite.report.importance import main_effects

    means, deviations = main_effects(points, losses)
    return means.tolist(), deviations.tolist()
