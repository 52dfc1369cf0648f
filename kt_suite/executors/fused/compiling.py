"""Whether XLA's compiling pays: what it costs against what it saves in the epochs to come.

The figures were measured on two cores: without XLA, an entry of a weight takes part in about a dozen passes over
memory a step, of an activation in about eight, of which XLA saves most; compiling takes a second and a half for a
small network, and a third of a second more for each layer, twice that for convolutions. ``Stack`` corrects a wrong
guess by what an epoch is then measured to take.
"""

from __future__ import annotations

import math
from typing import Any

import keras

_SECONDS_A_PASS = 2e-9
_WEIGHT_PASSES, _ACTIVATION_PASSES = 12, 8


def can_compile(group: Any) -> bool:
    """Whether XLA knows all operations of the layers; on TensorFlow not those that turn images, for one."""
    return all(getattr(step.layer, "supports_jit", True) for step in group.view.steps)


def compile_seconds(group: Any) -> float:
    """Returns about how long XLA takes to compile a program."""
    convolutions = sum(hasattr(step.layer, "kernel_size") for step in group.view.steps)
    return 1.5 + 0.35 * (len(group.view.steps) + convolutions)


def worth_compiling(group: Any, feed: Any, epochs: int) -> bool:
    """Returns whether XLA saves more than it costs.

    Args:
        group: The layout of the program.
        feed: Its data.
        epochs: Epochs to come.
    """
    if keras.backend.backend() != "tensorflow":
        return True  # JAX always compiles by XLA
    weights = sum(math.prod(axis.size for axis in axes) for axes in group.variables[0])
    entries = sum(
        math.prod(int(size or 1) for size in shape[1:]) for step in group.view.steps for shape in step.output_shapes
    )
    passes = _WEIGHT_PASSES * weights + _ACTIVATION_PASSES * entries * feed.batch_size
    saved = passes * _SECONDS_A_PASS * group.num_places * (feed.steps or 1) * max(1, epochs)
    return bool(saved > compile_seconds(group))


def worth_moving(program_seconds: float, epoch_seconds: float, epochs: int, places: float) -> bool:
    """Returns whether members left on few of their places save more on a smaller program than it costs.

    Args:
        program_seconds: What tracing and compiling a program took.
        epoch_seconds: What an epoch takes on the places that there are.
        epochs: Epochs to come.
        places: The share of places of which the smaller program would have no need.
    """
    # Twice, as an accelerator that is not full takes hardly less time for fewer members.
    return places >= 0.5 and epoch_seconds * places * epochs > 2 * program_seconds
