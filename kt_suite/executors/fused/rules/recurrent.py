"""Recurrent layers: one product for the inputs of all times, then the backend's own loop over members and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops
from keras.src import backend

from kt_suite.executors.fused.activations import name_of
from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal, channels, fold, unfold
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.keys import config_key
from kt_suite.executors.fused.rules.base import Layout, Rule, prefix, register_rule
from kt_suite.executors.fused.rules.dense import product
from kt_suite.executors.fused.unfusable import describe

_GATES = {keras.layers.SimpleRNN: 1, keras.layers.GRU: 3, keras.layers.LSTM: 4}
_LIFTED = ("units", "activation", "recurrent_activation", "dropout", "recurrent_dropout", "seed")
_OVER_CHANNELS = ("softmax", "log_softmax")


class RecurrentRule(Rule):
    """A layer that goes through the times of a sequence.

    Units are padded in each gate. A padded unit's state may move, but reaches no other: its rows of the recurrent
    kernel are zero.
    """

    lifted = _LIFTED

    def reasons(self, step: Step) -> list[str]:
        return reasons_of(step.layer)

    def key(self, step: Step) -> Any:
        return key_of(step.layer)

    def is_exact(self, step: Step) -> bool:
        return len(step.inputs) > 1

    def takes_masks(self, step: Step) -> bool:
        return True

    def width(self, step: Step) -> int | None:
        return int(step.layer.units)

    def numbers(self, step: Step) -> Mapping[str, float]:
        return numbers_of(step.layer)

    def choices(self, step: Step) -> Mapping[str, str]:
        return choices_of(step.layer)

    def variables(self, step: Step) -> Mapping[str, Any]:
        return variables_of(step.layer)

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        output = prefix(step, width)
        return [output] * len(step.outputs), axes_of(step.layer, inputs[0], output)

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        states = [state.value for state in inputs[1:]]
        sequence = inputs[0]
        output, states = go_through(
            context, step.layer, sequence.value, context.output_mask, states, steps=sequence.times
        )
        made = [output, *states] if step.layer.return_state else [output]
        return [Signal(Signal(value, context.output_mask).masked(), context.output_mask) for value in made]


register_rule(*_GATES)(RecurrentRule)


def is_recurrent(layer: Any) -> bool:
    """Whether the functions of this module know a layer."""
    return type(layer) in _GATES


def reasons_of(layer: Any) -> list[str]:
    """Returns what keeps a recurrent layer from being fused."""
    reasons = []
    if layer.stateful:
        reasons.append(f"{describe(layer)} is stateful: leave its state to each batch")
    for name, function in _functions(layer).items():
        known = name_of(function)
        if known is None:
            reasons.append(f"{describe(layer)} has a {name} of its own: use one of keras.activations")
        elif known in _OVER_CHANNELS:
            reasons.append(f"{describe(layer)} has {known} inside: use an activation that works entry by entry")
    return reasons


def key_of(layer: Any) -> Any:
    """Returns what must be equal: whether there is dropout counts, how much does not."""
    # The way to drop inputs differs with these: one mask for all gates, or one for each.
    separate = getattr(layer.cell, "implementation", 0)
    return config_key(layer, _LIFTED), _drops(layer.dropout), _drops(layer.recurrent_dropout), separate


def numbers_of(layer: Any, path: str = "") -> dict[str, float]:
    """Returns the rates of dropout."""
    return {path + "dropout": layer.dropout, path + "recurrent_dropout": layer.recurrent_dropout}


def choices_of(layer: Any, path: str = "") -> dict[str, str]:
    """Returns the activations."""
    return {path + name: name_of(function) or "linear" for name, function in _functions(layer).items()}


def variables_of(layer: Any, path: str = "") -> dict[str, Any]:
    """Returns the variables."""
    cell = layer.cell
    variables = {path + "kernel": cell.kernel, path + "recurrent_kernel": cell.recurrent_kernel}
    return variables | ({path + "bias": cell.bias} if cell.use_bias else {})


def axes_of(layer: Any, inputs: Axis, units: Axis, path: str = "") -> dict[str, list[Axis]]:
    """Returns the axes of the variables."""
    gates = units.repeat(_GATES[type(layer)])
    bias = [gates] if layer.cell.bias is None or len(layer.cell.bias.shape) == 1 else [Axis(2), gates]
    return {path + "kernel": [inputs, gates], path + "recurrent_kernel": [units, gates], path + "bias": bias}


def go_through(
    context: Context, layer: Any, value: Any, mask: Any, states: Sequence[Any] = (), path: str = "", steps: Any = None
) -> tuple[Any, list[Any]]:
    """Runs a recurrent layer.

    Args:
        context: Where its variables, numbers and choices are.
        layer: The layer; one of the members', for all.
        value: ``(members or 1, batch, times, channels)``.
        mask: ``(members, units)`` of the layer's padding.
        states: The first states; zeros where there are none.
        path: What stands before the names of variables, numbers and choices.
        steps: Keras' mask, ``(members or 1, batch, times)``: where false, the states stay as they are.

    Returns:
        The output, at all times or the last, and the last states.
    """
    cell = _Cell(context, layer, mask, path)
    projected = cell.project(value)
    num_members, batch = projected.shape[0], projected.shape[1]
    units = projected.shape[-1] // _GATES[type(layer)]
    num_states = 2 if isinstance(layer, keras.layers.LSTM) else 1
    if not states:
        states = [ops.zeros((num_members, batch, units), projected.dtype)] * num_states
    cell.draw(batch, units, projected.dtype)

    def advance(inputs: Any, states: Any) -> Any:
        made = cell.advance(unfold(inputs, num_members), [unfold(state, num_members) for state in states])
        return fold(made[0]), [fold(state) for state in made]

    if steps is not None:
        steps = fold(ops.broadcast_to(steps, (num_members, *steps.shape[1:])))
    last, outputs, states = backend.rnn(
        advance,
        fold(projected),
        [fold(state) for state in states],
        go_backwards=layer.go_backwards,
        mask=steps,
        unroll=layer.unroll,
        input_length=projected.shape[2],
        zero_output_for_mask=layer.zero_output_for_mask,
        return_all_outputs=layer.return_sequences,
    )
    output = unfold(outputs if layer.return_sequences else last, num_members)
    return output, [unfold(state, num_members) for state in states]


@dataclass
class _Cell:
    """One time of a layer for all members; its first axes are members and rows."""

    context: Context
    layer: Any
    mask: Any
    path: str

    def __post_init__(self) -> None:
        self.kind = type(self.layer)
        self.gates = _GATES[self.kind]
        self.kernel = self._variable("recurrent_kernel")
        self.bias = self._variable("bias") if self.context.has(self.path + "bias") else None
        self.state_drops: list[Any] = []

    def _variable(self, name: str) -> Any:
        return self.context.variable(self.path + name)

    def _activate(self, value: Any, name: str = "activation", mask: Any = None) -> Any:
        return self.context.activate(Signal(value, mask), self.path + name).value

    def _gate(self, value: Any) -> Any:
        return self._activate(value, "recurrent_activation")

    def project(self, value: Any) -> Any:
        """Returns the inputs' part of all gates, ``(members, batch, times, gates * units)``."""
        kernel, bias = self._variable("kernel"), self.bias
        drops = self._drops("dropout", self.layer.dropout, (value.shape[1], 1, value.shape[3]), value.dtype)
        if not drops:
            made = product(value, kernel)
        elif len(drops) == 1:
            made = product(value * drops[0], kernel)
        else:
            parts = ops.split(kernel, self.gates, axis=-1)
            made = ops.concatenate([product(value * drop, part) for drop, part in zip(drops, parts, strict=True)], -1)
        if bias is not None:
            made = made + channels(bias[:, 0] if len(bias.shape) == 3 else bias, made)
        return made

    def draw(self, batch: int, units: int, dtype: Any) -> None:
        """Draws what states are dropped, the same at all times."""
        self.state_drops = self._drops("recurrent_dropout", self.layer.recurrent_dropout, (batch, units), dtype)

    def _drops(self, name: str, rate: float, shape: tuple[int, ...], dtype: Any) -> list[Any]:
        if not self.context.training or not _drops(rate):
            return []
        separate = getattr(self.layer.cell, "implementation", 0) == 1
        drops = []
        for _ in range(self.gates if separate else 1):
            drawn = self.context.uniform(shape, "float32")
            rates = self.context.number(self.path + name, drawn)
            kept = ops.cast(1 / (1 - rates), dtype)
            drops.append(ops.where(drawn >= rates, kept, ops.zeros_like(kept)))
        return drops

    def _times_kernel(self, state: Any, first: int, last: int) -> Any:
        """Returns the state's part of some of the gates."""
        units = state.shape[-1]
        if len(self.state_drops) <= 1:
            dropped = state * self.state_drops[0] if self.state_drops else state
            return ops.matmul(dropped, self.kernel[:, :, first * units : last * units])
        parts = [
            ops.matmul(state * self.state_drops[gate], self.kernel[:, :, gate * units : (gate + 1) * units])
            for gate in range(first, last)
        ]
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)

    def advance(self, inputs: Any, states: list[Any]) -> list[Any]:
        """Returns the next states, the first of which is the output."""
        if self.kind is keras.layers.LSTM:
            return self._advance_lstm(inputs, *states)
        if self.kind is keras.layers.GRU:
            return self._advance_gru(inputs, *states)
        return [self._activate(inputs + self._times_kernel(states[0], 0, 1), mask=self.mask)]

    def _advance_lstm(self, inputs: Any, state: Any, carry: Any) -> list[Any]:
        enter, keep, new, leave = ops.split(inputs + self._times_kernel(state, 0, 4), 4, axis=-1)
        carry = self._gate(keep) * carry + self._gate(enter) * self._activate(new)
        return [self._gate(leave) * self._activate(carry, mask=self.mask), carry]

    def _advance_gru(self, inputs: Any, state: Any) -> list[Any]:
        update, reset, new = ops.split(inputs, 3, axis=-1)
        made = self._times_kernel(state, 0, 3 if self.layer.reset_after else 2)
        if self.bias is not None and self.layer.reset_after:
            made = made + channels(self.bias[:, 1], made)
        units = state.shape[-1]
        update = self._gate(update + made[:, :, :units])
        reset = self._gate(reset + made[:, :, units : 2 * units])
        if self.layer.reset_after:
            new = new + reset * made[:, :, 2 * units :]
        else:
            new = new + self._times_kernel(reset * state, 2, 3)
        return [update * state + (1 - update) * self._activate(new, mask=self.mask)]


def _functions(layer: Any) -> dict[str, Any]:
    names = ("activation",) if isinstance(layer, keras.layers.SimpleRNN) else ("activation", "recurrent_activation")
    return {name: getattr(layer, name) or keras.activations.linear for name in names}


def _drops(rate: float) -> bool:
    # Keras' cells do not drop at a rate of 1.
    return 0 < rate < 1
