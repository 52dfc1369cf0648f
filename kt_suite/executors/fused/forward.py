"""The forward pass of all members, their losses, and one training step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kt_suite.executors.fused import noise
from kt_suite.executors.fused.context import Context, Signal, rows
from kt_suite.executors.fused.group import Group
from kt_suite.executors.fused.losses import Term, reduced, row_values


class Forward:
    """Runs the layers of a group.

    Args:
        group: The layout.
        terms: The losses of its first member.
    """

    def __init__(self, group: Group, terms: list[Term]) -> None:
        self.group = group
        self.view = group.view
        self.terms = terms
        self._choice_places = {place: index for index, place in enumerate(group.choice_names)}

    def number(self, constants: Any, owner: Any, name: str) -> Any:
        """Returns a number of each member, ``(members,)``; ``None`` where it is zero for all of them."""
        if (owner, name) not in self.group.used:
            return None
        return constants["numbers"][:, self.group.columns[owner, name]]

    def run(
        self, constants: Any, weights: list[Any], inputs: list[Any], row_mask: Any, *, steps: Any = None
    ) -> tuple[list[Signal], Context]:
        """Returns the outputs, and the context with updates and penalties.

        Args:
            constants: What ``Group.constants`` returned.
            weights: By number, ``(members, ...)``.
            inputs: ``(members or 1, batch, ...)`` each.
            row_mask: 0 for filling rows, or ``None``.
            steps: Training steps taken, ``(members,)``; ``None`` to infer.
        """
        is_training = steps is not None
        group = self.group
        context = Context(
            group.num_places,
            is_training,
            weights,
            lambda step, name: constants["numbers"][:, group.columns[step, name]],
            lambda step, name: self._choice(constants, step, name),
            row_mask,
            noise.advance(constants["seeds"], steps) if is_training else None,
        )
        signals: dict[int, Signal] = {}
        for number, tensor, value in zip(self.view.graph.inputs, self.view.graph.input_tensors, inputs, strict=True):
            signals[number] = Signal(ops.cast(value, tensor.dtype))
        for index, (rule, step) in enumerate(zip(self.view.rules, self.view.steps, strict=True)):
            masks = [constants["masks"].get(str(number)) for number in step.outputs]
            context.enter(index, step.layer, self.view.places[index], masks[0])
            taken = [_autocast(signals[number], step.layer) for number in step.inputs]
            made = rule.call(context, step, *taken)
            parts = made if isinstance(made, list | tuple) else [made]
            for number, mask, part in zip(step.outputs, masks, parts, strict=True):
                value, logits = (part.value, part.logits) if isinstance(part, Signal) else (part, None)
                signals[number] = Signal(value, mask, logits)
                self._penalise_activity(constants, index, signals[number], context)
        return [signals[number] for number in self.view.graph.outputs], context

    def _choice(self, constants: Any, step: int, name: str) -> Any:
        names = self.group.choice_names[step, name]
        return names, constants["choices"][:, self._choice_places[step, name]]

    def _penalise_activity(self, constants: Any, step: int, signal: Signal, context: Context) -> None:
        for name, part in (("activity_l1", ops.abs), ("activity_l2", ops.square)):
            strength = self.number(constants, step, name)
            if strength is None:
                continue
            value, count = signal.masked(), signal.value.shape[1]
            if context.row_mask is not None:
                value = value * rows(context.row_mask, value)
                count = ops.maximum(ops.sum(ops.cast(context.row_mask, value.dtype), 1), 1)
            total = ops.sum(part(value), list(range(1, len(value.shape)))) / ops.cast(count, value.dtype)
            context.penalties.append(ops.cast(strength, total.dtype) * total)

    def losses(
        self, constants: Any, weights: list[Any], outputs: list[Signal], batch: dict[str, Any], penalties: list[Any]
    ) -> tuple[Any, list[Any]]:
        """Returns each member's loss, ``(members,)``, and its parts before loss weights.

        Args:
            constants: What ``Group.constants`` returned.
            weights: By number.
            outputs: What :meth:`run` made.
            batch: Targets ``"y"``, sample weights ``"w"`` and ``"mask"``.
            penalties: Those of activities.
        """
        members, parts = self.group.num_places, []
        total: Any = None
        for index, term in enumerate(self.terms):
            values = row_values(
                term,
                batch["y"][term.output],
                outputs[term.output],
                members,
                functools.partial(self.number, constants, ("loss", index)),
            )
            sample_weight = None if batch["w"] is None else batch["w"][term.output]
            part = ops.cast(reduced(values, term.loss.reduction, sample_weight, batch["mask"]), keras.config.floatx())
            parts.append(part)
            if term.has_weight:
                part = part * ops.cast(
                    constants["numbers"][:, self.group.columns[("loss", index), "weight"]], part.dtype
                )
            total = part if total is None else total + part
        for penalty in [*penalties, *self._penalties(constants, weights)]:
            total = total + ops.cast(penalty, total.dtype)
        return total, parts

    def _penalties(self, constants: Any, weights: list[Any]) -> list[Any]:
        found = []
        for number in self.view.trainable:
            for name, part in (("l1", ops.abs), ("l2", ops.square)):
                strength = self.number(constants, ~number, name)
                if strength is not None:
                    value = weights[number]
                    total = ops.sum(part(value), list(range(1, len(value.shape))))
                    found.append(ops.cast(strength, total.dtype) * total)
        return found


def _autocast(signal: Signal, layer: Any) -> Signal:
    """Casts what a layer takes to its compute type, as ``Layer.__call__`` does."""
    if not isinstance(layer, keras.layers.Layer) or not layer.autocast:
        return signal
    dtype = keras.backend.standardize_dtype(signal.value.dtype)
    if "float" not in dtype or dtype == layer.compute_dtype:
        return signal
    return Signal(ops.cast(signal.value, layer.compute_dtype), signal.mask)


class Lookup:
    """Looks numbers of the optimizer up as ``(members, 1)``, in one type, each once.

    Args:
        forward: Of the group.
        numbers: ``(members, columns)``.
        dtype: The type.
    """

    def __init__(self, forward: Forward, numbers: Any, dtype: Any) -> None:
        self._columns, self._numbers, self.dtype = forward.group.columns, numbers, dtype
        self._found: dict[str, Any] = {}

    def __call__(self, name: str) -> Any:
        if name not in self._found:
            place = self._columns["optimizer", name]
            self._found[name] = ops.cast(self._numbers[:, place : place + 1], self.dtype)
        return self._found[name]

    def derive(self, found: dict[str, Any]) -> None:
        """Adds numbers that were computed."""
        self._found.update(found)


def optimise(
    forward: Forward, constants: Any, state: dict[str, Any], gradients: list[Any], rates: Any
) -> dict[str, Any]:
    """Returns the state after one step of each member's optimizer.

    Variables are looked at as ``(members, entries)``: one shape of numbers serves them all, and compilers have less to
    do.

    Args:
        forward: Of the group.
        constants: What ``Group.constants`` returned.
        state: ``"weights"``, ``"slots"``, ``"scalars"`` and ``"steps"``.
        gradients: One for each trainable variable.
        rates: Learning rates, ``(members,)``.
    """
    view, rule = forward.view, forward.view.optimizer
    optimizer = view.model.optimizer
    step, scalars = state["steps"] + 1, state["scalars"]
    lookups: dict[str, Lookup] = {}

    def lookup(dtype: Any) -> Lookup:
        name = keras.backend.standardize_dtype(dtype)
        if name not in lookups:
            made = lookups[name] = Lookup(forward, constants["numbers"], name)
            flat_step = ops.cast(step, name)[:, None]
            made.derive({"learning rate": ops.cast(rates, name)[:, None], "step": flat_step})
            made.derive({key: ops.cast(value, name)[:, None] for key, value in scalars.items()})
            made.derive(rule.derived(made))
        return lookups[name]

    if scalars:
        like = next(iter(scalars.values()))
        scalars = rule.begin(Lookup(forward, constants["numbers"], like.dtype), scalars, ops.cast(step, like.dtype))
    flat = [ops.reshape(gradient, (gradient.shape[0], -1)) for gradient in gradients]
    flat = _clipped(optimizer, flat, lookup)
    weights, slots = list(state["weights"]), []
    for position, (number, gradient) in enumerate(zip(view.trainable, flat, strict=True)):
        shape, variable = weights[number].shape, view.weights[number]
        weight = ops.reshape(weights[number], (shape[0], -1))
        found = lookup(weight.dtype)
        if optimizer.weight_decay is not None and optimizer._use_weight_decay(variable):
            weight = weight - weight * found("cast weight_decay") * found("learning rate")
        held = {name: ops.reshape(value, (shape[0], -1)) for name, value in state["slots"][position].items()}
        weight, new = rule.update(weight, ops.cast(gradient, weight.dtype), held, found)
        weights[number] = constrained(variable.constraint, ops.reshape(weight, shape))
        slots.append({name: ops.reshape(value, shape) for name, value in new.items()})
    return {"weights": weights, "slots": slots, "scalars": scalars, "steps": step}


def _clipped(optimizer: Any, gradients: list[Any], lookup: Callable[[Any], Lookup]) -> list[Any]:
    """Returns gradients of shape ``(members, entries)`` clipped as Keras does, each member's by its own numbers."""
    if not (optimizer.clipnorm or optimizer.global_clipnorm or optimizer.clipvalue):
        return gradients
    totals = [ops.sum(ops.square(gradient), 1, keepdims=True) for gradient in gradients]
    if optimizer.clipnorm:
        clipped = []
        for gradient, total in zip(gradients, totals, strict=True):
            limit, is_positive = lookup(gradient.dtype)("clipnorm"), total > 0
            norm = ops.where(is_positive, ops.sqrt(ops.where(is_positive, total, ops.ones_like(total))), total)
            clipped.append(gradient * limit / ops.maximum(norm, limit))
        return clipped
    if optimizer.global_clipnorm:
        norm = ops.sqrt(sum(totals))
        limit = lookup(norm.dtype)("global_clipnorm")
        scale = limit * ops.minimum(1.0 / norm, 1.0 / limit) + (norm - norm)
        return [gradient * scale for gradient in gradients]
    limits = [lookup(gradient.dtype)("clipvalue") for gradient in gradients]
    return [
        ops.minimum(ops.maximum(gradient, -limit), limit) for gradient, limit in zip(gradients, limits, strict=True)
    ]


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
