"""Metrics of many members: means by their own functions on all rows at once, any other by Keras, one by one."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.metrics.reduction_metrics import MeanMetricWrapper
from keras.src.trainers.compile_utils import CompileMetrics

from kt_suite.executors.fused.context import Signal, fold, unfold
from kt_suite.executors.fused.graph import output_names_of, outputs_of
from kt_suite.executors.fused.keys import object_key
from kt_suite.executors.fused.losses import aligned, expand, prediction, with_times
from kt_suite.executors.fused.rowwise import obstacle_of_function, obstacle_of_metric, state_result
from kt_suite.executors.fused.unfusable import Unfusable

_OF_A_MEAN = ("update_state", "result", "reset_state")


@dataclass
class Measure:
    """One metric of a model.

    Attributes:
        metric: Keras' metric.
        name: Its name in the logs.
        output: Index of the output that it judges.
        is_weighted: Whether it takes sample weights.
    """

    metric: Any
    name: str
    output: int
    is_weighted: bool

    @property
    def is_mean(self) -> bool:
        """Whether it is a mean over rows of what a function gives."""
        kind = type(self.metric)
        if isinstance(self.metric, MeanMetricWrapper):
            return all(getattr(kind, name) is getattr(MeanMetricWrapper, name) for name in _OF_A_MEAN)
        return kind is keras.metrics.RootMeanSquaredError


def metrics_key(model: Any) -> Any:
    """Returns what members must agree on of their metrics."""
    compiled = model._compile_metrics
    if compiled is None:
        return None
    parts = (compiled._user_metrics, compiled._user_weighted_metrics)
    return tuple(_key(part) for part in parts)


def _key(part: Any) -> Any:
    if isinstance(part, dict):
        return tuple((name, _key(part[name])) for name in sorted(part))
    if isinstance(part, list | tuple):
        return tuple(_key(item) for item in part)
    name = part.name if isinstance(part, keras.metrics.Metric) else None
    return (name, object_key(part))


def measures_of(model: Any, targets: list[Any]) -> list[Measure]:
    """Returns the metrics of a model, for targets of these shapes and types, one ``keras.KerasTensor`` an output."""
    user = model._compile_metrics
    if user is None:
        return []
    compiled = CompileMetrics(user._user_metrics, user._user_weighted_metrics, output_names=output_names_of(model))
    outputs = outputs_of(model)
    is_single = len(targets) == 1
    packed = targets[0] if is_single else keras.tree.pack_sequence_as(outputs, targets)
    try:
        compiled.build(packed, keras.tree.flatten(outputs)[0] if is_single else outputs)
    except (KeyError, ValueError, TypeError) as error:
        raise Unfusable([f"the metrics do not fit the outputs: {error}"]) from error
    order = (
        [compiled._flatten_y(keras.tree.pack_sequence_as(outputs, list(range(len(targets)))))][0]
        if not is_single
        else [0]
    )
    measures: list[Measure] = []
    for lists, is_weighted in ((compiled._flat_metrics, False), (compiled._flat_weighted_metrics, True)):
        for output, metrics in zip(order, lists, strict=False):
            if metrics is not None:
                prefix = f"{metrics.output_name}_" if metrics.output_name else ""
                measures += [Measure(metric, prefix + metric.name, output, is_weighted) for metric in metrics.metrics]
    for measure in measures:
        _check_rows(measure, targets[measure.output], keras.tree.flatten(outputs)[measure.output])
    _make_names_unique(measures)
    return measures


def _check_rows(measure: Measure, target: Any, output: Any) -> None:
    """Raises where a metric cannot be computed of rows in other company."""
    metric, specs = measure.metric, (target, output)
    if not measure.is_mean:
        _build(metric, target, output)
        reason = obstacle_of_metric(metric, object_key(metric), specs)
    elif isinstance(metric, MeanMetricWrapper):
        function = functools.partial(metric._fn, **metric._fn_kwargs)
        reason = obstacle_of_function(metric, function, object_key(metric), specs)
    else:
        reason = None
    if reason is not None:
        raise Unfusable([f"the metric {measure.name!r} {reason}"])


def _build(metric: Any, target: Any, output: Any) -> None:
    """Has a metric make its variables, which some do at their first batch."""
    metric.update_state(*(np.ones((1, *tensor.shape[1:]), tensor.dtype) for tensor in (target, output)))
    metric.reset_state()


def _make_names_unique(measures: list[Measure]) -> None:
    """Renames metrics of one name as ``CompileMetrics.result`` does."""
    counts: dict[str, int] = {}
    for measure in measures:
        name = measure.name
        if name in counts and measure.is_weighted and f"weighted_{name}" not in counts:
            measure.name = f"weighted_{name}"
            counts[measure.name] = 1
            continue
        if name in counts:
            measure.name = f"{name}_{counts[name]}"
            counts[name] += 1
        else:
            counts[name] = 1


def initial(measure: Measure, num_members: int) -> list[np.ndarray]:
    """Returns the empty state of a metric, each variable with a leading axis of members."""
    if measure.is_mean:
        return [np.zeros(num_members, keras.config.floatx()) for _ in range(2)]
    measure.metric.reset_state()
    return [np.stack([np.asarray(variable)] * num_members) for variable in measure.metric.variables]


def updated(
    measure: Measure, state: list[Any], target: Any, output: Signal, weights: Any, row_mask: Any, backend: Any
) -> list[Any]:
    """Returns the state of a metric after a batch."""
    members = state[0].shape[0]
    weights = weights if measure.is_weighted else None
    if measure.is_mean:
        total, count = _sums(measure, members, target, output, weights, row_mask)
        return [state[0] + ops.cast(total, state[0].dtype), state[1] + ops.cast(count, state[1].dtype)]
    if output.times is not None and isinstance(measure.metric, MeanMetricWrapper):
        raise Unfusable([f"the metric {measure.name!r} is given a mask of times: use one of Keras' own"])
    value = expand(output.value, members)
    target = expand(target, members)
    combined = row_mask if weights is None else weights
    if weights is not None and row_mask is not None:
        combined = weights * aligned(row_mask, weights)
    given = [*state, target, value] + ([] if combined is None else [expand(combined, members)])

    def one(*parts: Any) -> list[Any]:
        variables, (true, predicted, *rest) = list(parts[: len(state)]), parts[len(state) :]
        return list(measure.metric.stateless_update_state(variables, true, predicted, *rest))

    return list(backend.map_members(one, given))


def _sums(measure: Measure, members: int, target: Any, output: Signal, weights: Any, row_mask: Any) -> tuple[Any, Any]:
    """Returns the weighted sum of a batch's values and the sum of the weights, ``(members,)`` each."""
    metric = measure.metric
    predicted, true = prediction(output, members), fold(expand(target, members))
    if isinstance(metric, MeanMetricWrapper):
        values = metric._fn(true, predicted, **metric._fn_kwargs)
    else:
        true, predicted = ops.cast(true, metric.dtype), ops.cast(predicted, metric.dtype)
        if len(true.shape) + 1 == len(predicted.shape):
            true = ops.expand_dims(true, -1)
        values = ops.square(predicted - true)
    if not values.shape or values.shape[0] != predicted.shape[0]:
        raise Unfusable([f"the metric {measure.name!r} returns one number a batch: return one a row"])
    values = unfold(ops.cast(values, metric.dtype), members)
    if isinstance(metric, MeanMetricWrapper):
        weights = with_times(weights, output.times, values)
    weight = ops.ones((1,) * len(values.shape), values.dtype)
    if weights is not None:
        weight = aligned(weights, values)
    if row_mask is not None:
        present = aligned(row_mask, values)
        values = ops.where(present > 0, values, ops.zeros_like(values))
        weight = weight * present
    weight = ops.broadcast_to(weight, values.shape)
    inner = list(range(2, len(values.shape)))
    values = values * weight
    if inner:
        values, weight = ops.mean(values, inner), ops.mean(weight, inner)
    return ops.sum(values, 1), ops.sum(weight, 1)


def result(measure: Measure, state: list[np.ndarray]) -> list[float]:
    """Returns the value of a metric for each member."""
    if not measure.is_mean:
        return [_scalar(measure, [part[member] for part in state]) for member in range(len(state[0]))]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        means = np.where(state[1] == 0, np.where(np.isnan(state[0]), np.nan, 0.0), state[0] / state[1])
        if isinstance(measure.metric, keras.metrics.RootMeanSquaredError):
            means = np.sqrt(means)
    return [float(mean) for mean in means]


def _scalar(measure: Measure, variables: list[np.ndarray]) -> Any:
    value = state_result(measure.metric, variables)
    return float(value) if value.ndim == 0 else value
