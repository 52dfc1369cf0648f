"""Width classes: runs of one skeleton are padded to the largest of their group, so alike widths belong together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import keras

from kt_suite.executors.fused.attempt import Run
from kt_suite.executors.fused.view import View, view_of

# What another program costs, as the multiply-adds that take as long: four seconds of tracing and compiling, of two
# cores that do 11 G a second each, as measured with MLPs on digits, the optimizer's part included.
_PROGRAM = 9e10


def width_classes(runs: Sequence[Run]) -> list[list[Run]]:
    """Splits runs of one skeleton into classes that are each worth a program.

    The best cuts of the runs, sorted by size, at up to a dozen places: the least of what all steps cost, padded to
    the largest of each class, and what the programs cost.
    """
    if not runs:
        return []
    views = [view_of(run.model) for run in runs]
    if all(view.widths == views[0].widths for view in views):
        return [list(runs)]
    own = [operations(view) for view in views]
    order = sorted(range(len(runs)), key=lambda index: (own[index], index))
    places = sorted({round(share * len(runs) / 12) for share in range(13)})
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [0])}
    for end in places[1:]:
        options = []
        for start in places[: places.index(end)]:
            before, cuts = best[start]
            options.append((before + _work([runs[index] for index in order[start:end]]), [*cuts, end]))
        best[end] = min(options)
    cuts = best[len(runs)][1]
    return [[runs[index] for index in sorted(order[start:end])] for start, end in itertools.pairwise(cuts)]


def _work(runs: Sequence[Run]) -> float:
    """Returns the multiply-adds of training runs together, their program's making among them."""
    views = [view_of(run.model) for run in runs]
    padded = [None if own[0] is None else max(own) for own in zip(*(view.widths for view in views), strict=True)]
    rows = max(run.num_rows for run in runs)
    epochs = max(run.epochs - run.epoch for run in runs)
    return _PROGRAM + 3.0 * operations(views[0], padded) * rows * epochs * len(runs)


def operations(view: View, capacities: list[int | None] | None = None) -> float:
    """Returns about how many multiply-adds one row costs going forward: weights, times the places they are used at.

    Args:
        view: The model.
        capacities: The padded size of each step's width; the model's own if ``None``.
    """
    _, variables = view.layout(view.widths if capacities is None else capacities)
    total = 0.0
    for step, numbers in zip(view.steps, view.places, strict=True):
        if isinstance(step.layer, keras.layers.Embedding):
            continue  # looked up
        is_recurrent = isinstance(step.layer, keras.layers.RNN | keras.layers.Bidirectional)
        shape = step.input_shapes[0] if is_recurrent else step.output_shapes[0]
        places = math.prod(int(size or 1) for size in shape[1:-1])
        total += places * sum(math.prod(axis.size for axis in variables[number]) for number in numbers.values())
    return total
