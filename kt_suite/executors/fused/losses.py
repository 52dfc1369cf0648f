"""Losses of many members: Keras' own functions on all their rows at once, then each member's reduction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops
from keras.src.backend import compute_output_spec
from keras.src.trainers.compile_utils import CompileLoss

from kt_suite.executors.fused.context import Signal, column, fold, unfold
from kt_suite.executors.fused.graph import output_names_of, outputs_of
from kt_suite.executors.fused.keys import object_key
from kt_suite.executors.fused.rowwise import obstacle_of_function
from kt_suite.executors.fused.unfusable import Unfusable

_SMOOTHED = (keras.losses.BinaryCrossentropy, keras.losses.CategoricalCrossentropy)
_REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum")


@dataclass
class Term:
    """One of the losses that a model adds up.

    Attributes:
        loss: Keras' loss.
        output: Index of the output that it judges.
        name: Its name in the logs, where there are several.
        numbers: What may differ between members.
        has_weight: Whether it has a loss weight.
    """

    loss: Any
    output: int
    name: str
    numbers: dict[str, float]
    has_weight: bool


def _resolved(loss: Any) -> Any:
    """Returns a loss object where it can be told without data."""
    if isinstance(loss, str) and loss.lower() in ("crossentropy", "ce"):
        return loss
    return keras.losses.get(loss) if isinstance(loss, str) else loss


def loss_key(model: Any) -> Any:
    """Returns what members must agree on of their losses: all but numbers that are lifted."""
    compiled = model._compile_loss
    described = keras.tree.map_structure(lambda loss: object_key(_resolved(loss), _lifted(loss)), compiled._user_loss)
    weights = compiled._user_loss_weights
    structure = None if weights is None else keras.tree.map_structure(lambda _: None, weights)
    return repr(keras.tree.map_structure(lambda _: None, compiled._user_loss)), _flat(described), repr(structure)


def _flat(structure: Any) -> Any:
    if isinstance(structure, dict):
        return tuple((name, _flat(structure[name])) for name in sorted(structure))
    return tuple(_flat(item) for item in structure) if isinstance(structure, list) else structure


def _lifted(loss: Any) -> tuple[str, ...]:
    """Returns the numbers of a loss that may differ between members."""
    if type(loss) in _SMOOTHED:
        return ("label_smoothing",)
    return ("delta",) if type(loss) is keras.losses.Huber else ()


def terms_of(model: Any, targets: list[Any], *, checks: bool = True) -> list[Term]:
    """Returns the losses of a model, for targets of these shapes and types.

    Args:
        model: Compiled.
        targets: One ``keras.KerasTensor`` for each output.
        checks: Whether to try the losses; not needed for a model whose skeleton is that of one with tried losses.

    Raises:
        Unfusable: A loss does not fit the outputs, or cannot be told by the row.
    """
    user = model._compile_loss
    compiled = CompileLoss(user._user_loss, user._user_loss_weights, output_names=output_names_of(model))
    outputs = outputs_of(model)
    flat = keras.tree.flatten(outputs)
    structure = keras.tree.pack_sequence_as(outputs, list(range(len(flat)))) if len(flat) > 1 else 0
    packed = keras.tree.pack_sequence_as(outputs, targets) if len(flat) > 1 else targets[0]
    try:
        compiled.build(packed, outputs if len(flat) > 1 else flat[0])
    except (KeyError, ValueError, TypeError) as error:
        raise Unfusable([f"the loss does not fit the outputs: {error}"]) from error
    terms = []
    for path, loss, weight, name in compiled._flat_losses:
        output: Any = structure
        for step in path if len(flat) > 1 else ():
            output = (
                output[step]
                if not isinstance(step, str) or isinstance(output, dict)
                else output_names_of(model).index(step)
            )
        numbers = {name: float(loss._fn_kwargs[name]) for name in _lifted(loss)}
        terms.append(
            Term(
                loss,
                output,
                f"{name}_loss",
                numbers | {"weight": float(1 if weight is None else weight)},
                weight is not None,
            )
        )
        if checks:
            _check_rows(loss, targets[output], flat[output])
    return terms


def _check_rows(loss: Any, target: Any, output: Any) -> None:
    """Raises where a loss does not give one value a row, by that row alone, and leave the rest to Keras."""
    if type(loss).__call__ is not keras.losses.Loss.__call__:
        raise Unfusable([f"the loss {loss.name!r} has a __call__ of its own: override call"])
    if loss.reduction not in _REDUCTIONS:
        raise Unfusable([f"the loss {loss.name!r} has reduction={loss.reduction!r}: use 'sum_over_batch_size'"])
    if getattr(loss, "_fn_kwargs", {}).get("ignore_class") is not None:
        raise Unfusable([f"the loss {loss.name!r} has an ignore_class, which no rule knows: use sample_weight"])
    specs = [keras.KerasTensor(tensor.shape, loss.dtype) for tensor in (target, output)]
    reason = obstacle_of_function(loss, loss.call, object_key(loss), specs)
    if reason is not None:
        raise Unfusable([f"the loss {loss.name!r} {reason}"])
    batch = 7
    made = compute_output_spec(loss.call, *(keras.KerasTensor((batch, *spec.shape[1:]), spec.dtype) for spec in specs))
    if not made.shape or made.shape[0] != batch:
        raise Unfusable([f"the loss {loss.name!r} returns one number a batch: return one a row"])


def expand(value: Any, num_members: int) -> Any:
    """Returns ``(1 or members, ...)`` as ``(members, ...)``."""
    return ops.broadcast_to(value, (num_members, *value.shape[1:])) if value.shape[0] != num_members else value


def prediction(signal: Signal, num_members: int, dtype: Any = None) -> Any:
    """Returns a model's output as ``(members * batch, ...)``, with the logits that Keras looks for."""
    value = expand(signal.value, num_members)
    folded = fold(value if dtype is None else ops.cast(value, dtype))
    if signal.logits is not None and keras.backend.backend() == "tensorflow" and dtype in (None, value.dtype):
        folded._keras_logits = fold(expand(signal.logits, num_members))
    return folded


def row_values(term: Term, target: Any, output: Signal, num_members: int, number: Callable[[str], Any]) -> Any:
    """Returns the losses of each row, ``(members, batch, ...)``.

    Args:
        term: The loss.
        target: ``(members or 1, batch, ...)``.
        output: What the model made.
        num_members: Places of the stack.
        number: Looks up a number that differs between members, ``(members,)``; ``None`` where none does.
    """
    loss = term.loss
    predicted = prediction(output, num_members, loss.dtype)
    true = ops.cast(fold(expand(target, num_members)), loss.dtype)
    kwargs: dict[str, Any] = {}
    for name in _lifted(loss):
        values = number(name)
        if values is not None:
            repeated = column(ops.repeat(values, target.shape[1]), predicted)
            if name == "delta":
                kwargs[name] = repeated
            else:
                kwargs[name] = 0.0
                is_binary = isinstance(loss, keras.losses.BinaryCrossentropy)
                true, predicted = _same_rank(true, predicted)
                rest = 0.5 if is_binary else 1 / true.shape[-1]
                true = true * (1 - repeated) + repeated * rest
    if kwargs:
        true, predicted = _same_rank(true, predicted)
        values = loss.fn(true, predicted, **{**loss._fn_kwargs, **kwargs})
    else:
        values = loss.call(true, predicted)
    return unfold(ops.cast(values, loss.dtype), num_members)


def _same_rank(true: Any, predicted: Any) -> tuple[Any, Any]:
    if len(true.shape) + 1 == len(predicted.shape) and predicted.shape[-1] == 1:
        true = ops.expand_dims(true, -1)
    return true, predicted


def reduced(values: Any, reduction: str | None, weights: Any, row_mask: Any, times: Any = None) -> Any:
    """Returns each member's loss, ``(members,)``.

    Args:
        values: ``(members, batch, ...)``.
        reduction: Keras' name.
        weights: Sample weights, ``(members or 1, batch, ...)``, or ``None``.
        row_mask: 0 for filling rows, ``(members or 1, batch)``, or ``None``.
        times: Keras' mask of the output, or ``None``.
    """
    shape = values.shape
    total_weight = None
    weights = with_times(weights, times, values)
    if weights is not None:
        weights = aligned(weights, values)
        values = values * weights
    if row_mask is not None:
        present = aligned(row_mask, values)
        # Filling may hold anything; 0 * inf would not be 0.
        values = ops.where(present > 0, values, ops.zeros_like(values))
        weights = None if weights is None else weights * present
    axes = list(range(1, len(shape)))
    total = ops.sum(values, axes)
    if reduction not in ("sum_over_batch_size", "mean", "mean_with_sample_weight"):
        return total
    if reduction == "mean_with_sample_weight" and weights is not None:
        total_weight = ops.sum(weights, list(range(1, len(weights.shape))))
    else:
        count = ops.cast(shape[1], values.dtype) if row_mask is None else ops.sum(ops.cast(row_mask, values.dtype), 1)
        for size in shape[2:]:
            count = count * size
        total_weight = count
        if times is not None:  # Keras takes the mean over the times that count
            counts = ops.cast(ops.broadcast_to(times, (times.shape[0], *shape[1:])), values.dtype)
            if row_mask is not None:
                counts = counts * aligned(row_mask, values)
            total_weight = ops.sum(counts, axes)
    return ops.divide_no_nan(total, total_weight)


def with_times(weights: Any, times: Any, values: Any) -> Any:
    """Returns weights that are 0 where the mask of times is false, as Keras joins the two."""
    if times is None:
        return weights
    if len(times.shape) != len(values.shape):
        raise Unfusable(["a mask of times reaches a loss or metric of whole rows: take the mask off before the output"])
    times = ops.cast(times, values.dtype)
    if weights is None:
        return times
    if len(weights.shape) != len(times.shape):
        raise Unfusable(["rows are weighted where a mask of times reaches the loss: give each time a weight"])
    return ops.cast(weights, values.dtype) * times


def aligned(weights: Any, values: Any) -> Any:
    """Returns weights in the rank and type of ``values``."""
    while len(weights.shape) > len(values.shape) and weights.shape[-1] == 1:
        weights = ops.squeeze(weights, -1)
    while len(weights.shape) < len(values.shape):
        weights = ops.expand_dims(weights, -1)
    return ops.cast(weights, values.dtype)
