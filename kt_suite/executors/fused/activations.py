"""The activations of Keras: which map 0 to 0, which may overflow, and each member's own where they differ."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

if TYPE_CHECKING:
    from kt_suite.executors.fused.context import Signal

# Padded entries are 0 and stay 0 through these.
_ZERO_STAYS = (
    "celu", "elu", "gelu", "hard_shrink", "hard_silu", "hard_tanh", "leaky_relu", "linear", "mish", "relu", "relu6",
    "selu", "silu", "soft_shrink", "softsign", "sparse_plus_zero", "squareplus_zero", "tanh", "tanh_shrink",
)  # fmt: skip
_ZERO_MOVES = ("exponential", "hard_sigmoid", "log_sigmoid", "sigmoid", "softplus", "sparse_plus", "squareplus")
_OVER_CHANNELS = ("log_softmax", "softmax")
# Neither these nor their derivatives overflow, so that they may be computed of what is not theirs.
_SAFE = frozenset(
    {"linear", "relu", "relu6", "leaky_relu", "tanh", "sigmoid", "hard_sigmoid", "hard_tanh", "hard_shrink"}
)
_LOWEST = -1e30


@functools.cache
def known() -> dict[str, Callable[..., Any]]:
    """Returns the activations that can be padded and mixed, by name."""
    names = (*_ZERO_STAYS, *_ZERO_MOVES, *_OVER_CHANNELS)
    return {name: getattr(keras.activations, name) for name in names if hasattr(keras.activations, name)}


def name_of(function: Any) -> str | None:
    """Returns the name of a known activation; ``None`` for any other function."""
    return next((name for name, known_one in known().items() if known_one is function), None)


def activate(signal: Signal, names: tuple[str, ...], index: Any) -> Signal:
    """Returns the activations of ``signal``.

    Args:
        signal: What to activate; its padded entries stay zero.
        names: The activations that occur.
        index: ``(members,)``, each member's place in ``names``.
    """
    from kt_suite.executors.fused.context import Signal, channels, column

    value = signal.value
    if len(names) == 1:
        result = _apply(names[0], signal)
    else:
        result = None
        for place, name in enumerate(names):
            mine = column(index, value) == place
            own = value if name in _SAFE else ops.where(mine, value, ops.zeros_like(value))
            part = _apply(name, Signal(own, signal.mask))
            result = part if result is None else ops.where(mine, part, result)
    if signal.mask is not None and any(name not in _ZERO_STAYS for name in names):
        result = result * channels(signal.mask, result)
    is_probability = names in (("softmax",), ("sigmoid",)) and signal.mask is None
    return Signal(result, signal.mask, value if is_probability else None)


def _apply(name: str, signal: Signal) -> Any:
    from kt_suite.executors.fused.context import channels

    value = signal.value
    if name in _OVER_CHANNELS and signal.mask is not None:
        value = ops.where(channels(signal.mask, value) > 0, value, ops.cast(_LOWEST, value.dtype))
    return known()[name](value)
