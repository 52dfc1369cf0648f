"""Layers that change images at random in training, each member's rows by its own seed.

Such a layer acts on each image alone. So the layer itself is run, on the images of all members as one batch; only what
it draws from, ``layer.backend.random``, gives way to the members' own numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal, fold, unfold
from kt_suite.executors.fused.graph import Step
from kt_suite.executors.fused.rules.base import Layout, Rule, register_rule
from kt_suite.executors.fused.rules.shape import needs_channels_last

_NAMES = (
    "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomShear", "RandomPerspective",
    "RandomErasing", "RandomContrast", "RandomBrightness", "RandomColorDegeneration", "RandomGrayscale", "RandomHue",
    "RandomInvert", "RandomSaturation", "RandomSharpness",
)  # fmt: skip
# Where such layers keep the arguments that are lifted.
_ATTRIBUTES = ("factor", "height_lower", "height_upper", "width_lower", "width_upper", "x_factor", "y_factor")


@register_rule(*(getattr(keras.layers, name) for name in _NAMES if hasattr(keras.layers, name)))
class AugmentationRule(Rule):
    """The layer itself, on all images, with each member's own numbers."""

    lifted = ("factor", "height_factor", "width_factor", "x_factor", "y_factor", "seed")

    def reasons(self, step: Step) -> list[str]:
        return needs_channels_last(step)

    def is_exact(self, step: Step) -> bool:
        return True

    def key(self, step: Step) -> Any:
        # Which numbers there are counts, how large they are does not.
        return super().key(step), tuple(self.numbers(step))

    def numbers(self, step: Step) -> Mapping[str, float]:
        found: dict[str, float] = {}
        for name in _ATTRIBUTES:
            value = getattr(step.layer, name, None)
            if isinstance(value, tuple | list):
                found |= {f"{name}/{end}": float(number) for end, number in enumerate(value)}
            elif value is not None:
                found[name] = float(value)
        return found

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        return [Axis(int(step.output_shapes[0][-1] or 0))], {}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        value = inputs[0].value
        if not context.training:
            return unfold(step.layer.call(fold(value), training=False), value.shape[0])
        value = ops.broadcast_to(value, (context.num_members, *value.shape[1:]))
        made = self._stand_in(context, step, value.shape[1]).call(fold(value), training=True)
        return unfold(made, context.num_members)

    def _stand_in(self, context: Context, step: Step, batch: int) -> Any:
        """Returns a copy of the layer that draws each member's own numbers."""
        # copy.copy() would serialise the layer.
        layer = object.__new__(type(step.layer))
        layer.__dict__.update(vars(step.layer))

        def each(name: str) -> Any:
            return ops.repeat(context.number(name, ops.zeros((1,))), batch)

        numbers = self.numbers(step)
        for name in _ATTRIBUTES:
            if name in numbers:
                layer.__dict__[name] = each(name)
            elif f"{name}/0" in numbers:
                layer.__dict__[name] = tuple(each(f"{name}/{end}") for end in range(2))
        layer.__dict__["_get_seed_generator"] = lambda backend=None: None
        layer.__dict__["backend"] = _Backend(step.layer.backend, _Draws(context, batch))
        return layer


class _Backend:
    """A layer's backend but for what is random."""

    def __init__(self, backend: Any, draws: _Draws) -> None:
        self._wrapped = backend
        self.random = draws

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


class _Draws:
    """Draws for the rows of all members, one after the other."""

    def __init__(self, context: Context, batch: int) -> None:
        self._context, self._batch = context, batch

    def uniform(self, shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        """Returns numbers between ``minval`` and ``maxval``, which may differ among rows."""
        drawn = self._rows(self._context.uniform, shape, dtype)
        low, high = (self._bound(bound, drawn) for bound in (minval, maxval))
        return low + (high - low) * drawn

    def normal(self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        """Returns normal numbers."""
        return self._rows(self._context.normal, shape, dtype) * stddev + mean

    def _rows(self, draw: Any, shape: Any, dtype: Any) -> Any:
        return fold(draw((self._batch, *tuple(shape)[1:]), dtype or keras.config.floatx()))

    def _bound(self, bound: Any, like: Any) -> Any:
        if len(getattr(bound, "shape", ())) == 1:
            bound = ops.reshape(bound, (-1, *([1] * (len(like.shape) - 1))))
        return ops.cast(bound, like.dtype)
