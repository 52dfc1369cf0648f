"""Two metrics against each other, with the front of trials that no other beats in both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kt_suite_tensorboard.figures.view import (
    INCUMBENT_COLOR,
    STATUS_COLORS,
    Choice,
    View,
    choose,
    fast,
    point,
    points,
    text,
)
from kt_suite_tensorboard.search import COMPLETED, Search, Trial

_LESS, _MORE = "less", "more"
_MAXIMISED = ("acc", "auc", "precision", "recall", "f1", "iou", "r2", "score")


def pareto(searches: Sequence[Search], options: Mapping[str, str]) -> View:
    """Returns two metrics of each completed trial, and the front.

    By default these are the first two objectives; where there is only one, that and the seconds a trial took.

    Args:
        searches: The search, first of them.
        options: ``x`` and ``y``: metrics, ``"seconds"`` or ``"epochs"``; ``"x_order <metric>"`` and the like: which way
            is better.
    """
    search = searches[0]
    directions = _directions(search)
    names = [*search.metrics(), "seconds", "epochs"]
    wanted = [*(name for name in directions if name in names), "seconds"]
    y = choose(options, "y", "Up", names, wanted[0])
    x = choose(options, "x", "Across", names, wanted[1] if len(wanted) > 1 else "epochs")
    orders = [_order(options, choice, directions) for choice in (x, y)]
    found = [(trial, _value(trial, x.value), _value(trial, y.value)) for trial in search.trials]
    shown = [(trial, a, b) for trial, a, b in found if a is not None and b is not None and trial.status == COMPLETED]
    if not shown:
        return View([], {}, [x, y, *orders], "No completed trial has both.")
    signs = [-1.0 if order.value == _MORE else 1.0 for order in orders]
    best = front([(signs[0] * a, signs[1] * b) for _, a, b in shown])
    trials, xs, ys = zip(*shown, strict=True)
    all_points = points(
        trials, xs, ys, name="completed", marker={"color": STATUS_COLORS[COMPLETED], **point(len(trials))}
    )
    data: list[dict[str, Any]] = [fast(all_points, len(trials))]
    chosen = [shown[index] for index in best]
    data.append(
        points(
            [trial for trial, _, _ in chosen],
            [a for _, a, _ in chosen],
            [b for _, _, b in chosen],
            name=f"front: {len(chosen)} trials",
            mode="lines+markers",
            line={"color": INCUMBENT_COLOR, "shape": "hv" if signs[1] > 0 else "vh", "width": 1.5},
            marker={"color": INCUMBENT_COLOR, "size": 9},
        )
    )
    axes = {"xaxis": {"title": {"text": text(x.value)}}, "yaxis": {"title": {"text": text(y.value)}}}
    return View(data, {**axes, "hovermode": "closest"}, [x, orders[0], y, orders[1]])


def front(losses: Sequence[tuple[float, float]]) -> list[int]:
    """Returns the indices of the points that no other dominates, by the first loss.

    Args:
        losses: Pairs to be minimised.

    Example:
        >>> front([(1, 3), (2, 2), (3, 1), (2, 3), (1, 3)])
        [0, 4, 1, 2]
    """
    found: list[int] = []
    lowest = math.inf
    for index in sorted(range(len(losses)), key=lambda index: losses[index]):
        is_equal = bool(found) and losses[found[-1]] == losses[index]
        if losses[index][1] < lowest or is_equal:
            found.append(index)
            lowest = losses[index][1]
    return found


def _directions(search: Search) -> dict[str, str]:
    """Returns the objectives, with their directions."""
    known = {str(name): str(direction) for name, direction in search.facts.get("objectives") or []}
    return known or {search.objective: "max" if search.sign < 0 else "min"}


def _order(options: Mapping[str, str], choice: Choice, directions: Mapping[str, str]) -> Choice:
    name = choice.value
    guess = "max" if any(part in name for part in _MAXIMISED) else "min"
    default = _MORE if directions.get(name, guess) == "max" else _LESS
    # Kept for the metric it was chosen for: it says nothing of others.
    return choose(options, f"{choice.name}_order {name}", "prefer", [_LESS, _MORE], default)


def _value(trial: Trial, name: str) -> float | None:
    value = {"seconds": trial.seconds, "epochs": float(trial.epochs)}.get(name, trial.metrics.get(name))
    return value if value is not None and math.isfinite(value) else None
