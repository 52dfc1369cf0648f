"""Width classes: runs of one skeleton are padded to the largest of their group, so alike widths belong together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from kt_suite.executors.fused.attempt import Run

# What another program costs, as the multiply-adds that take as long: about two seconds of tracing and compiling.
_PROGRAM = 1.5e11
_MOST_CLASSES = 4


def width_classes(runs: Sequence[Run]) -> list[list[Run]]:
    """Splits runs of one skeleton into classes that are each worth a program.

    The best cuts of the runs, sorted by size, at up to a dozen places: the least of what all steps cost, padded to
    the largest of each class, and what the programs cost.
    """
    if not runs:
        return []
    widths = [run.group[0][0].widths for run in runs]
    if len(set(widths)) == 1:
        return [list(runs)]
    order = sorted(range(len(runs)), key=lambda index: (_products(widths[index]), index))
    places = sorted({round(share * len(runs) / 12) for share in range(13)})
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [0])}
    for end in places[1:]:
        options = []
        for start in places[: places.index(end)]:
            before, cuts = best[start]
            if len(cuts) <= _MOST_CLASSES:
                options.append((before + _work([runs[index] for index in order[start:end]]), [*cuts, end]))
        best[end] = min(options)
    cuts = best[len(runs)][1]
    return [[runs[index] for index in sorted(order[start:end])] for start, end in itertools.pairwise(cuts)]


def _work(runs: Sequence[Run]) -> float:
    """Returns the multiply-adds of training runs together, their program's making among them."""
    padded = tuple(map(max, zip(*(run.group[0][0].widths for run in runs), strict=True)))
    rows = max(run.num_rows for run in runs)
    epochs = max(run.epochs - run.epoch for run in runs)
    own = runs[0].group[0][0].widths
    row = operations(runs[0].model) * _products(padded) / _products(own)
    return _PROGRAM + 3.0 * row * rows * epochs * len(runs)


def _products(widths: Sequence[int]) -> float:
    """Returns what neighbouring widths come to when multiplied, as the weights between layers do."""
    return float(sum(one * other for one, other in itertools.pairwise((widths[0], *widths))))


def operations(model: Any) -> float:
    """Returns about how many multiply-adds one row costs going forward: weights, times the places they are used at."""
    total = 0.0
    for layer in model._flatten_layers(recursive=True, include_self=False):
        if not list(layer._flatten_layers(recursive=True, include_self=False)) and layer.built:
            shape = layer.compute_output_shape(layer.input.shape) if hasattr(layer.input, "shape") else ()
            places = math.prod(size or 1 for size in shape[1:-1]) if shape else 1
            total += layer.count_params() * places
    return total
