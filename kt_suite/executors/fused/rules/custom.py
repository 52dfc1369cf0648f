"""Layers and operations without a rule of their own: one member's call, vectorised over members.

Not every call vectorises, and a call may do what it must not: let rows meet, draw numbers, add losses. So it is tried
on a probe first, and compared with the call itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal
from kt_suite.executors.fused.graph import Slot, Step
from kt_suite.executors.fused.keys import attributes_key, config_key, frozen
from kt_suite.executors.fused.rules.base import Layout, Rule
from kt_suite.executors.fused.unfusable import describe

_REMEDY = "use layers that have a rule, or register one with register_rule"
_verdicts: dict[Any, str] = {}


class VectorizedRule(Rule):
    """The layer's own call. All shapes are exact: nothing is known of what padding would do to it."""

    arguments = None

    def reasons(self, step: Step) -> list[str]:
        key = (type(step.layer), self.key(step), tuple(step.input_shapes), frozen(step.arguments))
        if key not in _verdicts:
            _verdicts[key] = _verdict(step)
        verdict = _verdicts[key]
        return [f"{describe(step.layer)} has no rule, and {verdict}: {_REMEDY}"] if verdict else []

    def key(self, step: Step) -> Any:
        parts = [step.layer]
        if isinstance(step.layer, keras.layers.Layer):
            parts = list(step.layer._flatten_layers(recursive=True, include_self=True))
        return tuple((type(part), config_key(part), attributes_key(part)) for part in parts)

    def is_exact(self, step: Step) -> bool:
        return True

    def variables(self, step: Step) -> Mapping[str, Any]:
        if not isinstance(step.layer, keras.layers.Layer):
            return {}
        named = {f"trained/{place}": variable for place, variable in enumerate(step.layer.trainable_variables)}
        kept = {f"kept/{place}": variable for place, variable in enumerate(step.layer.non_trainable_variables)}
        return named | kept

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        return [Axis(int(shape[-1] or 0)) for shape in step.output_shapes], {}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        weights = {name: context.variable(name, autocast=False) for name in self.variables(step)}
        outputs, kept = _call_all(step, context.training, weights, [signal.value for signal in inputs])
        for place, value in enumerate(kept):
            context.update(f"kept/{place}", value)
        return outputs


ANYONES = VectorizedRule()
"""The rule of all that has no other."""


def _call_one(step: Step, training: bool, weights: Mapping[str, Any], inputs: Sequence[Any]) -> tuple[list[Any], Any]:
    """Returns the outputs of one member's call, and its variables that are not trained."""
    layer = step.layer
    args, kwargs = keras.tree.map_structure(
        lambda value: inputs[value.position] if isinstance(value, Slot) else value, step.arguments
    )
    if not isinstance(layer, keras.layers.Layer):
        return keras.tree.flatten(layer.call(*args, **kwargs)), []
    if layer._call_has_training_arg:
        kwargs = {**kwargs, "training": training}
    trained = [value for name, value in weights.items() if name.startswith("trained/")]
    kept = [value for name, value in weights.items() if name.startswith("kept/")]
    outputs, kept = layer.stateless_call(trained, kept, *args, **kwargs)
    return keras.tree.flatten(outputs), list(kept)


def _call_all(step: Step, training: bool, weights: Mapping[str, Any], inputs: Sequence[Any]) -> tuple[list[Any], Any]:
    """Returns the same of all members; inputs that all share have an axis of one."""
    own = [place for place, value in enumerate(inputs) if value.shape[0] > 1 or not weights]

    def one(parts: Any) -> Any:
        mine, taken = parts
        everything = [value[0] for value in inputs]
        for place, value in zip(own, taken, strict=True):
            everything[place] = value
        return _call_one(step, training, mine, everything)

    mapped: tuple[list[Any], Any] = _vectorised(one, (dict(weights), [inputs[place] for place in own]))
    return mapped


def _vectorised(function: Callable[[Any], Any], parts: Any) -> Any:
    if keras.backend.backend() == "jax":
        import jax

        return jax.vmap(function)(parts)
    import tensorflow as tf

    return tf.vectorized_map(function, parts, fallback_to_while_loop=False)


def _verdict(step: Step) -> str:
    """Returns what is wrong with a layer's call; nothing where it may be trusted."""
    layer = step.layer
    if any(None in shape[1:] for shape in step.input_shapes):
        return "its inputs have an unknown length"
    if isinstance(layer, keras.layers.Layer):
        try:
            layer.get_config()
        except NotImplementedError:
            return "has no get_config() by which two of it could be compared"
        if len(layer.variables) > len(layer.weights):
            return "draws random numbers or keeps metrics"
        if isinstance(layer, keras.layers.RNN) and layer.stateful:
            return "is stateful"
    try:
        return _compare(step)
    except Exception as error:
        first = next(iter(str(error).splitlines()), "")
        return f"its call does not vectorise ({type(error).__name__}: {first[:100]})"


def _compare(step: Step) -> str:
    """Compares two members' vectorised calls with their own, on three rows and on two."""
    rng = np.random.default_rng(0)
    inputs = [
        ops.convert_to_tensor(
            rng.uniform(size=(2, 3, *(int(size or 0) for size in shape[1:]))), dtype=_input_dtype(step)
        )
        for shape in step.input_shapes
    ]
    weights = {
        name: ops.convert_to_tensor(
            np.stack([np.asarray(ops.convert_to_numpy(variable)) * factor for factor in (1.0, 0.75)]),
            dtype=variable.dtype,
        )
        for name, variable in ANYONES.variables(step).items()
    }
    for training in (False, True):
        outputs, kept = _call_all(step, training, weights, inputs)
        for member in range(2):
            mine = {name: value[member] for name, value in weights.items()}
            alone, own = _call_one(step, training, mine, [value[member] for value in inputs])
            fewer, _ = _call_one(step, training, mine, [value[member][:2] for value in inputs])
            if not _alike([value[member] for value in [*outputs, *kept]], [*alone, *own]):
                return "its vectorised call comes out otherwise than its own"
            if not _alike([value[:2] for value in alone], fewer):
                return "its rows depend on one another"
    return "" if _adds_no_loss(step, inputs) else "adds losses of its own"


def _input_dtype(step: Step) -> str:
    return str(step.layer.compute_dtype) if isinstance(step.layer, keras.layers.Layer) else keras.config.floatx()


def _alike(found: Sequence[Any], wanted: Sequence[Any]) -> bool:
    pairs = [(ops.convert_to_numpy(one), ops.convert_to_numpy(other)) for one, other in zip(found, wanted, strict=True)]
    return all(
        one.shape == other.shape
        and np.allclose(one.astype("float64"), other.astype("float64"), rtol=1e-3, atol=1e-4, equal_nan=True)
        for one, other in pairs
    )


def _adds_no_loss(step: Step, inputs: Sequence[Any]) -> bool:
    layer = step.layer
    if not isinstance(layer, keras.layers.Layer):
        return True
    args, kwargs = keras.tree.map_structure(
        lambda value: inputs[value.position][0] if isinstance(value, Slot) else value, step.arguments
    )
    variables = [variable.value for variable in layer.trainable_variables]
    kept = [variable.value for variable in layer.non_trainable_variables]
    _, _, losses = layer.stateless_call(variables, kept, *args, return_losses=True, **kwargs)
    expected = sum(variable.regularizer is not None for variable in layer.trainable_variables)
    return len(losses) <= expected + (layer.activity_regularizer is not None)
