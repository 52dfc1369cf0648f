"""The forward pass of all members, and their losses."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import keras
from keras import ops

from kt_suite.executors.fused import noise
from kt_suite.executors.fused.context import Context, Signal, rows
from kt_suite.executors.fused.group import Group
from kt_suite.executors.fused.losses import Term, reduced, row_values
from kt_suite.executors.fused.time_masks import carried


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
            for number, mask, part, times in zip(step.outputs, masks, parts, carried(step, taken), strict=True):
                value, logits = (part.value, part.logits) if isinstance(part, Signal) else (part, None)
                signals[number] = Signal(value, mask, logits, times)
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
            times = outputs[term.output].times
            part = reduced(values, term.loss.reduction, sample_weight, batch["mask"], times)
            part = ops.cast(part, keras.config.floatx())
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
    return dataclasses.replace(signal, value=ops.cast(signal.value, layer.compute_dtype))
