"""What a rule works with while a program is traced: signals, variables, numbers, noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keras import ops

from kt_suite.executors.fused import noise
from kt_suite.executors.fused.activations import activate


@dataclass
class Signal:
    """A tensor that flows between layers.

    Attributes:
        value: Of shape ``(members, batch, ...)``; ``(1, batch, ...)`` while all members share it.
        mask: ``(members, channels)``, 1 at the real entries of the last axis; ``None`` where all are real.
        logits: What a softmax or sigmoid was taken of, which Keras' cross-entropies look for.
        times: Keras' mask, ``(members or 1, batch, times)``, true where a time counts; ``None`` where all do.
    """

    value: Any
    mask: Any = None
    logits: Any = None
    times: Any = None

    def masked(self) -> Any:
        """Returns the value with zeros at the padded entries of the last axis."""
        return self.value if self.mask is None else self.value * channels(self.mask, self.value)


def column(number: Any, like: Any) -> Any:
    """Returns numbers of shape ``(members,)`` as ``(members, 1, ...)``, to work with ``like``, in its type."""
    return ops.cast(ops.reshape(number, (-1, *([1] * (len(like.shape) - 1)))), like.dtype)


def channels(vector: Any, like: Any) -> Any:
    """Returns ``(members, channels)`` as ``(members, 1, ..., channels)``, to work with ``like``, in its type."""
    middle = [1] * (len(like.shape) - 2)
    return ops.cast(ops.reshape(vector, (vector.shape[0], *middle, vector.shape[1])), like.dtype)


def rows(mask: Any, like: Any) -> Any:
    """Returns ``(members, batch)`` as ``(members, batch, 1, ...)``, to work with ``like``, in its type."""
    return ops.cast(ops.reshape(mask, (*mask.shape, *([1] * (len(like.shape) - 2)))), like.dtype)


def fold(value: Any) -> Any:
    """Returns ``(members, batch, ...)`` as ``(members * batch, ...)``."""
    return ops.reshape(value, (value.shape[0] * value.shape[1], *value.shape[2:]))


def unfold(value: Any, num_members: int) -> Any:
    """Undoes :func:`fold`."""
    return ops.reshape(value, (num_members, value.shape[0] // num_members, *value.shape[1:]))


class Context:
    """The side of a program that rules see; one for each trace of a forward pass.

    Args:
        num_members: Places of the stack.
        training: Whether layers act as in training.
        variables: Weights by number, each with a leading axis of members.
        numbers: Looks a lifted number up, by the step's number and a name.
        choices: Looks the choices of a step up, by a name: ``(names, index)``.
        row_mask: ``(members or 1, batch)``, 0 for the filling of a partial batch; ``None`` where all rows are real.
        seeds: ``(members,)`` of unsigned 32-bit integers, new in each training step.
    """

    def __init__(
        self,
        num_members: int,
        training: bool,
        variables: list[Any],
        numbers: Callable[[int, str], Any],
        choices: Callable[[int, str], tuple[tuple[str, ...], Any]],
        row_mask: Any = None,
        seeds: Any = None,
    ) -> None:
        self.num_members = num_members
        self.training = training
        self.row_mask = row_mask
        self.updates: dict[int, Any] = {}
        self.penalties: list[Any] = []
        self._variables = variables
        self._numbers = numbers
        self._choices = choices
        self._seeds = seeds
        self._step = -1
        self._draws = 0
        self._places: Mapping[str, int] = {}
        self.layer: Any = None
        self.output_mask: Any = None

    def enter(self, step: int, layer: Any, places: Mapping[str, int], output_mask: Any) -> None:
        """Turns to a step.

        Args:
            step: Its number.
            layer: Its layer.
            places: The numbers of the layer's variables by name.
            output_mask: The mask of its (first) output.
        """
        self._step, self.layer, self._places, self._draws = step, layer, places, 0
        self.output_mask = output_mask

    def has(self, name: str) -> bool:
        """Whether the layer has a variable of this name."""
        return name in self._places

    def variable(self, name: str, *, autocast: bool = True) -> Any:
        """Returns a variable of the layer, of shape ``(members, ...)``, in the layer's compute type."""
        number = self._places[name]
        value = self.updates.get(number, self._variables[number])
        if autocast and self.layer.autocast and self.layer.compute_dtype != value.dtype:
            return ops.cast(value, self.layer.compute_dtype)
        return value

    def update(self, name: str, value: Any) -> None:
        """Gives a variable of the layer that is not trained a new value."""
        number = self._places[name]
        self.updates[number] = ops.cast(value, self._variables[number].dtype)

    def number(self, name: str, like: Any) -> Any:
        """Returns a lifted number as ``(members, 1, ...)``, to work with ``like``, in its type."""
        return column(self._numbers(self._step, name), like)

    def activate(self, signal: Signal, name: str = "activation") -> Signal:
        """Returns the activations of ``signal``, each member's own where they differ."""
        names, index = self._choices(self._step, name)
        return activate(signal, names, index)

    def bits(self, shape: tuple[int, ...]) -> Any:
        """Returns new unsigned integers below 2 ** 24 of shape ``(members, *shape)``, each member's from its seed."""
        self._draws += 1
        return noise.bits(self._seeds, (self._step << 4) + self._draws, shape)

    def uniform(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Returns new numbers in [0, 1) of shape ``(members, *shape)``, those of each member from its own seed."""
        self._draws += 1
        return noise.uniform(self._seeds, (self._step << 6) + self._draws, shape, dtype)

    def normal(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Returns new numbers of the standard normal distribution, as :meth:`uniform` does."""
        return noise.normal(self.uniform(shape, "float32"), self.uniform(shape, "float32"), dtype)
