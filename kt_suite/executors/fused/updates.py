"""One step of each member's optimizer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kt_suite.executors.fused.context import column
from kt_suite.executors.fused.forward import Forward
from kt_suite.executors.fused.optimizers import inner_of

_SCALE, _COUNT = "dynamic_scale", "step_counter"


class Lookup:
    """Looks numbers of the optimizer up as ``(members, 1, ...)``, in one type and rank, each once.

    Args:
        forward: Of the group.
        numbers: ``(members, columns)``.
        like: A tensor of the type and rank.
    """

    def __init__(self, forward: Forward, numbers: Any, like: Any) -> None:
        self._columns, self._numbers, self._like = forward.group.columns, numbers, like
        self._found: dict[str, Any] = {}

    def __call__(self, name: str) -> Any:
        if name not in self._found:
            self._found[name] = column(self._numbers[:, self._columns["optimizer", name]], self._like)
        return self._found[name]

    def derive(self, found: dict[str, Any]) -> None:
        """Adds numbers of shape ``(members,)`` that were computed."""
        self._found.update({name: column(value, self._like) for name, value in found.items()})


def optimise(
    forward: Forward, constants: Any, state: dict[str, Any], gradients: list[Any], rates: Any
) -> dict[str, Any]:
    """Returns the state after one step of each member's optimizer.

    Args:
        forward: Of the group.
        constants: What ``Group.constants`` returned.
        state: ``"weights"``, ``"slots"``, ``"scalars"`` and ``"steps"``.
        gradients: One for each trainable variable.
        rates: Learning rates, ``(members,)``.
    """
    view, rule, numbers = forward.view, forward.view.optimizer, constants["numbers"]
    optimizer = inner_of(view.model.optimizer)
    step, scalars = state["steps"] + 1, state["scalars"]
    lookups: dict[Any, Lookup] = {}

    def lookup(like: Any) -> Lookup:
        key = (keras.backend.standardize_dtype(like.dtype), len(like.shape))
        if key not in lookups:
            made = lookups[key] = Lookup(forward, numbers, like)
            made.derive({"learning rate": rates, "step": step, **scalars})
            vector = Lookup(forward, numbers, ops.cast(rates, like.dtype))
            vector.derive({"learning rate": rates, "step": step})
            made.derive(rule.derived(vector))
        return lookups[key]

    if scalars:
        like = next(iter(scalars.values()))
        scalars = rule.begin(Lookup(forward, numbers, like), scalars, ops.cast(step, like.dtype))
    is_finite = None
    if _SCALE in scalars:
        is_finite = _are_finite(gradients)
        gradients = [gradient / column(state["scalars"][_SCALE], gradient) for gradient in gradients]
    gradients = _clipped(optimizer, gradients, lookup)
    weights: list[Any] = list(state["weights"])
    slots = []
    decays = rule.decays(optimizer, [view.weights[number] for number in view.trainable])
    for position, (number, gradient) in enumerate(zip(view.trainable, gradients, strict=True)):
        weight, variable = weights[number], view.weights[number]
        found = lookup(weight)
        if decays[position]:
            weight = weight - weight * found("cast weight_decay") * found("learning rate")
        weight, new = rule.update(weight, ops.cast(gradient, weight.dtype), state["slots"][position], found)
        weights[number] = constrained(variable.constraint, weight)
        slots.append(new)
    new = {"weights": weights, "slots": slots, "scalars": scalars, "steps": step}
    if is_finite is None:
        return new
    growth = numbers[:, forward.group.columns["optimizer", "dynamic_growth_steps"]]
    return _rescaled(chosen(is_finite, new, state), is_finite, growth)


def scaled(losses: Any, state: dict[str, Any]) -> Any:
    """Returns the losses of members times the scales under which half precision can hold their gradients, if any."""
    scale = state["scalars"].get(_SCALE)
    return losses if scale is None else losses * ops.cast(scale, losses.dtype)


def chosen(condition: Any, new: Any, old: Any) -> Any:
    """Returns the new state of the members for which a condition ``(members,)`` holds, and the old of the others."""

    def choose(after: Any, before: Any) -> Any:
        return ops.where(ops.cast(column(condition, after), "bool"), after, before)

    return keras.tree.map_structure(choose, new, old)


def _are_finite(gradients: list[Any]) -> Any:
    """Returns for each member whether all its gradients are finite."""
    found = [ops.all(ops.isfinite(gradient), list(range(1, len(gradient.shape)))) for gradient in gradients]
    return functools.reduce(ops.logical_and, found)


def _rescaled(state: dict[str, Any], is_finite: Any, growth: Any) -> dict[str, Any]:
    """Returns the state with scales doubled after enough steps with finite gradients, and halved after any other."""
    scale, count = state["scalars"][_SCALE], state["scalars"][_COUNT]
    grows = count >= ops.cast(growth, count.dtype) - 1
    scales = ops.where(is_finite, ops.where(grows, scale * 2.0, scale), scale * 0.5)
    scales = ops.cast(ops.cast(scales, "float32"), scale.dtype)  # as Keras keeps it
    counts = ops.where(ops.logical_or(grows, ops.logical_not(is_finite)), ops.zeros_like(count), count + 1.0)
    return {**state, "scalars": {**state["scalars"], _SCALE: scales, _COUNT: counts}}


def _clipped(optimizer: Any, gradients: list[Any], lookup: Callable[[Any], Lookup]) -> list[Any]:
    """Returns gradients clipped as Keras does, each member's by its own numbers."""
    if not (optimizer.clipnorm or optimizer.global_clipnorm or optimizer.clipvalue):
        return gradients
    if optimizer.clipvalue:
        limits = [lookup(gradient)("clipvalue") for gradient in gradients]
        return [ops.clip(gradient, -limit, limit) for gradient, limit in zip(gradients, limits, strict=True)]
    totals = [ops.sum(ops.square(gradient), list(range(1, len(gradient.shape)))) for gradient in gradients]
    if optimizer.clipnorm:
        clipped = []
        for gradient, total in zip(gradients, totals, strict=True):
            limit, is_positive = lookup(total)("clipnorm"), total > 0
            norm = ops.where(is_positive, ops.sqrt(ops.where(is_positive, total, ops.ones_like(total))), total)
            clipped.append(gradient * column(limit, gradient) / column(ops.maximum(norm, limit), gradient))
        return clipped
    norm = ops.sqrt(sum(totals))
    limit = lookup(norm)("global_clipnorm")
    scale = limit * ops.minimum(1.0 / norm, 1.0 / limit) + (norm - norm)
    return [gradient * column(scale, gradient) for gradient in gradients]


def constrained(constraint: Any, weight: Any) -> Any:
    """Returns stacked weights under a constraint of Keras; its axes count from one member's weights."""
    if constraint is None:
        return weight
    if isinstance(constraint, keras.constraints.NonNeg):
        return ops.maximum(weight, ops.zeros_like(weight))
    axes = constraint.axis if isinstance(constraint.axis, list | tuple) else [constraint.axis]
    norms = ops.sqrt(ops.sum(ops.square(weight), [a if a < 0 else a + 1 for a in axes], keepdims=True))
    epsilon = keras.config.epsilon()
    if isinstance(constraint, keras.constraints.MaxNorm):
        return weight * (ops.clip(norms, 0, constraint.max_value) / (epsilon + norms))
    if isinstance(constraint, keras.constraints.UnitNorm):
        return weight / (epsilon + norms)
    rate = constraint.rate
    wanted = rate * ops.clip(norms, constraint.min_value, constraint.max_value) + (1 - rate) * norms
    return weight * (wanted / (epsilon + norms))
