"""Whether losses and metrics of anyone's judge each row by itself: only then may rows of many members meet in one call.

What a user has written is tried before training on a few rows made up. The values of a row must stay as they are
whatever else is in its batch: other rows, of any size and in any order, fewer of them, or rows that are no numbers.
A metric that keeps a state of its own must not notice rows of weight 0, which fill batches up, nor how rows are
parted into batches.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

_ROWS = 6
_REMEDY = "give one value a row, which depends on that row alone"
# Keras' own that compare the rows of a batch, or take a mean over all of them.
_MIXING = frozenset({"Circle", "circle", "Dice", "dice", "Tversky", "tversky"})
# Keras' own that count rows whatever they weigh, and may make use of it.
_COUNTING = frozenset({"R2Score"})
_verdicts: dict[Any, str | None] = {}

Batch = tuple[np.ndarray, np.ndarray]


def is_keras(thing: Any) -> bool:
    """Whether a loss, a metric, an activation or their function is Keras' own, or a name of one."""
    if thing is None or isinstance(thing, str):
        return True
    function = getattr(thing, "fn", None) or getattr(thing, "_fn", None) or thing
    module = getattr(function, "__module__", None) or type(function).__module__
    return all(str(one).partition(".")[0] == "keras" for one in (module, type(thing).__module__) if one != "builtins")


def obstacle_of_function(thing: Any, function: Callable[[Any, Any], Any], key: Any, specs: Sequence[Any]) -> str | None:
    """Returns why a loss or metric, as a function, cannot take rows of many members at once; ``None`` if it can.

    Args:
        thing: The loss or metric.
        function: Takes targets and predictions; returns a value a row.
        key: Equal for all that do the same.
        specs: Shape and type of both, as ``keras.KerasTensor``.
    """
    own = getattr(thing, "fn", None) or getattr(thing, "_fn", None) or thing
    if is_keras(thing) and not _MIXING & {type(thing).__name__, getattr(own, "__name__", "")}:
        return None
    if _keeps_variables(thing) or _keeps_variables(own):
        return "keeps variables, which all members would share: use numbers"
    return _remembered("function", key, specs, lambda: _verdict_of_function(function, specs))


def obstacle_of_metric(metric: Any, key: Any, specs: Sequence[Any]) -> str | None:
    """Returns why a metric with a state of its own cannot be computed batch by batch; ``None`` if it can.

    Args:
        metric: Built.
        key: Equal for all that do the same.
        specs: Shape and type of targets and predictions, as ``keras.KerasTensor``.
    """
    if is_keras(metric) and type(metric).__name__ not in _COUNTING:
        return None
    return _remembered("metric", key, specs, lambda: _verdict_of_metric(metric, specs))


def _remembered(kind: str, key: Any, specs: Sequence[Any], verdict: Callable[[], str | None]) -> str | None:
    full_key = (kind, key, tuple((tuple(spec.shape), str(spec.dtype)) for spec in specs))
    if full_key not in _verdicts:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of rows that nobody has
                _verdicts[full_key] = verdict()
        except Exception as error:  # whatever the user's code may raise
            first = next(iter(str(error).splitlines()), "")
            _verdicts[full_key] = f"cannot be tried on rows made up ({type(error).__name__}: {first[:100]})"
    return _verdicts[full_key]


def _keeps_variables(thing: Any) -> bool:
    """Whether an object or function keeps variables, by what it closes over, names or holds."""
    code = getattr(thing, "__code__", None)
    held = [cell.cell_contents for cell in getattr(thing, "__closure__", None) or () if _is_filled(cell)]
    if code is not None:
        held += [thing.__globals__[name] for name in code.co_names if name in thing.__globals__]
    if not isinstance(thing, keras.metrics.Metric):
        held += list(getattr(thing, "__dict__", {}).values())
    return any(isinstance(one, keras.Variable) or hasattr(one, "assign_add") for one in keras.tree.flatten(held))


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - it may be empty
    except ValueError:
        return False
    return True


def _made_up(specs: Sequence[Any]) -> Iterator[Batch]:
    """Yields targets and predictions: bits, then shares, then any numbers; not all are in the domain of a loss."""
    rng = np.random.default_rng(0)
    shapes = [(_ROWS, *(int(size or 1) for size in spec.shape[1:])) for spec in specs]
    bits = rng.integers(0, 2, shapes[0])
    shares = rng.uniform(0.05, 0.95, shapes[1])
    if shapes[1][-1] > 1 and len(shapes[1]) > 1:
        shares = shares / shares.sum(-1, keepdims=True)
    yield bits, shares
    yield rng.uniform(0.1, 0.9, shapes[0]), rng.uniform(0.1, 0.9, shapes[1])
    yield bits, rng.normal(size=shapes[1])
    yield bits, rng.uniform(1.0, 3.0, shapes[1])


def _tensors(batch: Batch, specs: Sequence[Any]) -> list[Any]:
    return [ops.convert_to_tensor(part, dtype=spec.dtype) for part, spec in zip(batch, specs, strict=True)]


def _verdict_of_function(function: Callable[[Any, Any], Any], specs: Sequence[Any]) -> str | None:
    tolerance = _tolerance(specs[1].dtype)

    def values(batch: Batch) -> Any:
        made = ops.convert_to_numpy(ops.cast(function(*_tensors(batch, specs)), "float64"))
        return made if made.ndim and len(made) == len(batch[0]) else None

    has_values = False
    for batch in _made_up(specs):
        wanted = values(batch)
        if wanted is None:
            return f"returns one number a batch: {_REMEDY}"
        if not np.isfinite(wanted).all():
            continue
        has_values = True
        for other, rows, places in _other_company(batch):
            found = values(other)
            if found is None or not np.allclose(found[places], wanted[rows], rtol=tolerance, atol=tolerance):
                return f"judges a row by what else is in its batch: {_REMEDY}"
    return None if has_values else "gives no finite numbers for rows made up"


def _tolerance(dtype: Any) -> float:
    return 1e-2 if str(dtype) in ("float16", "bfloat16") else 1e-4


def _other_company(batch: Batch) -> Iterator[tuple[Batch, np.ndarray, np.ndarray]]:
    """Yields batches that hold some of the rows in other company; which rows, and at which places."""
    true, predicted = batch
    every, odd = np.arange(_ROWS), np.arange(1, _ROWS, 2)
    yield (true, predicted), every, every
    yield (true[::-1], predicted[::-1]), every[::-1], every
    yield (true[2:], predicted[2:]), every[2:], every[:-2]
    for value in (np.nan, 1e6, -1e6, 0.0):
        others = predicted.copy()
        others[::2] = value
        turned = true.copy()
        turned[::2] = 1 - turned[::2]
        yield (true, others), odd, odd
        yield (turned, others), odd, odd


def _verdict_of_metric(metric: Any, specs: Sequence[Any]) -> str | None:
    empty = _state(metric)
    if not empty:
        return "keeps its state in no variables of its own: make them by add_variable"
    tolerance, has_values = _tolerance(specs[1].dtype), False

    def updated(state: Any, batch: Batch, weights: Any = None) -> Any:
        given = [] if weights is None else [ops.convert_to_tensor(weights, dtype=metric.dtype)]
        variables = [ops.convert_to_tensor(value) for value in state]
        made = metric.stateless_update_state(variables, *_tensors(batch, specs), *given)
        return [np.asarray(ops.convert_to_numpy(value)) for value in made]

    def are_alike(one: Any, other: Any) -> bool:
        pair = state_result(metric, one), state_result(metric, other)
        return np.allclose(*pair, rtol=tolerance, atol=tolerance, equal_nan=True)

    metric.update_state(*_tensors(next(_made_up(specs)), specs))
    if not are_alike(_state(metric), empty):
        return "is not emptied by its reset_state"
    for true, predicted in _made_up(specs):
        whole = updated(empty, (true, predicted))
        if not np.isfinite(state_result(metric, whole)).all():
            continue
        has_values = True
        first = updated(empty, (true[:2], predicted[:2]))
        value = state_result(metric, first)
        weights = np.r_[np.ones(2), np.zeros(_ROWS - 2)]
        filled = updated(empty, (true, predicted), weights)
        if not are_alike(filled, first):
            return "counts rows of weight 0, which fill batches up: heed sample_weight"
        if not are_alike(updated(filled, (true, predicted), np.zeros(_ROWS)), first):
            return "notices a batch in which every row has weight 0"
        if not are_alike(updated(filled, (true[2:], predicted[2:])), whole):
            return "depends on how rows are parted into batches"
        if not np.allclose(state_result(metric, first), value, equal_nan=True):
            return "keeps part of its state outside of its variables: make them by add_variable"
    return None if has_values else "gives no finite numbers for rows made up"


def state_result(metric: Any, state: Sequence[np.ndarray]) -> np.ndarray:
    """Returns what a metric makes of its variables, were they these."""
    variables = [ops.convert_to_tensor(value) for value in state]
    with keras.StatelessScope(state_mapping=list(zip(metric.variables, variables, strict=True))):
        made = metric.result()
        if isinstance(made, dict):
            raise TypeError("it gives several numbers: make a metric of each")
        # What it returns may be one of its variables, which are these in here alone.
        return np.asarray(ops.convert_to_numpy(ops.convert_to_tensor(made)))


def _state(metric: Any) -> list[np.ndarray]:
    metric.reset_state()
    return [np.asarray(ops.convert_to_numpy(variable)) for variable in metric.variables]
