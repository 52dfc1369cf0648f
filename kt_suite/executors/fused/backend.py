"""What the engine needs of TensorFlow and of JAX beside ``keras.ops``: gradients, loops, compiling."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import numpy as np


class Backend(Protocol):
    """What both do.

    Attributes:
        traces_apart: Whether a compiled function can be traced before the first call, which then only compiles it.
    """

    traces_apart: bool

    def gradient(self, function: Callable[[list[Any]], tuple[Any, Any]], weights: list[Any]) -> tuple[list[Any], Any]:
        """Returns the gradients of the first that ``function(weights)`` returns, and the second."""

    def loop(self, steps: int, body: Callable[[Any, Any], Any], carry: Any) -> Any:
        """Returns ``carry`` after ``carry = body(step, carry)`` for each step."""

    def compile(self, function: Callable[..., Any], xla: bool) -> Callable[..., Any]:
        """Returns a compiled function of nested arrays."""

    def trace(self, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
        """Traces a compiled function for arguments of these shapes, if it ``traces_apart``."""

    def map_members(self, function: Callable[..., list[Any]], parts: Sequence[Any]) -> list[Any]:
        """Returns ``function(*part)`` of each member's slices, stacked; one member after the other."""

    def tensor(self, array: Any) -> Any:
        """Returns an array on the device."""

    def has_accelerator(self) -> bool:
        """Whether programs run on a GPU or TPU."""

    def free_memory(self) -> int | None:
        """Returns the bytes of the accelerator that are free; ``None`` where that is not known."""


class TensorFlowBackend:
    """TensorFlow: a tape, ``tf.while_loop`` and ``tf.function``."""

    traces_apart = True

    def __init__(self) -> None:
        import tensorflow as tf

        self._tf = tf

    def gradient(self, function: Callable[[list[Any]], tuple[Any, Any]], weights: list[Any]) -> tuple[list[Any], Any]:
        """Returns the gradients of the first that ``function(weights)`` returns, and the second."""
        with self._tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            value, rest = function(weights)
        gradients = tape.gradient(value, weights, unconnected_gradients=self._tf.UnconnectedGradients.ZERO)
        return gradients, rest

    def loop(self, steps: int, body: Callable[[Any, Any], Any], carry: Any) -> Any:
        """Returns ``carry`` after ``carry = body(step, carry)`` for each step."""
        nest = self._tf.nest
        flat = [self._tf.convert_to_tensor(value) for value in nest.flatten(carry)]

        def flat_body(step: Any, *values: Any) -> list[Any]:
            made = body(step, nest.pack_sequence_as(carry, list(values)))
            return [step + 1, *nest.flatten(made)]

        start = self._tf.constant(0)
        done = self._tf.while_loop(lambda step, *_: step < steps, flat_body, [start, *flat], parallel_iterations=1)
        return nest.pack_sequence_as(carry, list(done[1:]))

    def compile(self, function: Callable[..., Any], xla: bool) -> Callable[..., Any]:
        """Returns a compiled function of nested arrays."""
        # TensorFlow counts tracings by the code of a function, and warns where many follow each other: in a search with
        # many groups, each traced once, one would seem to be traced again and again. A partial has no code.
        own = functools.partial(function)
        return self._tf.function(own, jit_compile=xla, autograph=False)  # type: ignore[no-any-return]

    def trace(self, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
        """Traces a compiled function for arguments of these shapes."""
        function.get_concrete_function(*arguments)  # type: ignore[attr-defined]

    def map_members(self, function: Callable[..., list[Any]], parts: Sequence[Any]) -> list[Any]:
        """Returns ``function(*part)`` of each member's slices, stacked; one member after the other."""
        first = function(*(part[0] for part in parts))
        signature = [self._tf.TensorSpec(value.shape, value.dtype) for value in first]
        return list(self._tf.map_fn(lambda part: function(*part), list(parts), fn_output_signature=signature))

    def tensor(self, array: Any) -> Any:
        """Returns an array on the device."""
        return self._tf.convert_to_tensor(array)

    def has_accelerator(self) -> bool:
        """Whether programs run on a GPU or TPU."""
        return any(device.device_type in ("GPU", "TPU") for device in self._tf.config.list_logical_devices())

    def free_memory(self) -> int | None:
        """Returns ``None``: TensorFlow tells what it has taken, but not what it may take."""
        return None


class JaxBackend:
    """JAX: ``value_and_grad``, ``lax.fori_loop`` and ``jit``; always compiled by XLA."""

    traces_apart = False

    def gradient(self, function: Callable[[list[Any]], tuple[Any, Any]], weights: list[Any]) -> tuple[list[Any], Any]:
        """Returns the gradients of the first that ``function(weights)`` returns, and the second."""
        import jax

        gradients, rest = jax.grad(function, has_aux=True)(weights)
        return gradients, rest

    def loop(self, steps: int, body: Callable[[Any, Any], Any], carry: Any) -> Any:
        """Returns ``carry`` after ``carry = body(step, carry)`` for each step."""
        import jax

        return jax.lax.fori_loop(0, steps, body, carry)

    def compile(self, function: Callable[..., Any], xla: bool) -> Callable[..., Any]:
        """Returns a compiled function of nested arrays."""
        import jax

        return jax.jit(function)  # type: ignore[no-any-return]

    def trace(self, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
        """Leaves tracing to the first call."""

    def map_members(self, function: Callable[..., list[Any]], parts: Sequence[Any]) -> list[Any]:
        """Returns ``function(*part)`` of each member's slices, stacked; one member after the other."""
        import jax

        return list(jax.lax.map(lambda part: function(*part), list(parts)))

    def tensor(self, array: Any) -> Any:
        """Returns an array on the device."""
        import jax.numpy as jnp

        return jnp.asarray(array)

    def has_accelerator(self) -> bool:
        """Whether programs run on a GPU or TPU."""
        import jax

        return bool(jax.default_backend() != "cpu")

    def free_memory(self) -> int | None:
        """Returns the bytes of the accelerator that are free; ``None`` where that is not known."""
        import jax

        found = jax.local_devices()[0].memory_stats() or {}
        return int(found["bytes_limit"] - found.get("bytes_in_use", 0)) if "bytes_limit" in found else None


@functools.cache
def current() -> Backend:
    """Returns the backend that Keras runs on."""
    return TensorFlowBackend() if keras.backend.backend() == "tensorflow" else JaxBackend()


def to_numpy(value: Any) -> np.ndarray:
    """Returns a tensor as an array."""
    return np.asarray(keras.ops.convert_to_numpy(value))
