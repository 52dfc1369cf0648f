"""Random numbers by counting: a member's depend on its seed, the step and the place alone, not on its neighbours.

Each number is a hash of its counter: twice the 32-bit mixer "lowbias32" (C. Wellons, 2018, "Prospecting for hash
functions"), keyed by the member and by the place. A few integer operations, which compilers join with what uses them;
the generators of the backends cannot take one seed a member.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from keras import ops


def mix(value: Any) -> Any:
    """Returns the hash of unsigned 32-bit integers."""
    value = ops.bitwise_xor(value, ops.right_shift(value, _constant(16)))
    value = ops.multiply(value, _constant(0x7FEB352D))
    value = ops.bitwise_xor(value, ops.right_shift(value, _constant(15)))
    value = ops.multiply(value, _constant(0x846CA68B))
    return ops.bitwise_xor(value, ops.right_shift(value, _constant(16)))


def advance(seeds: Any, steps: Any) -> Any:
    """Returns the seeds of one training step, of shape ``(members,)``."""
    return mix(ops.add(seeds, mix(ops.cast(steps, "uint32"))))


def bits(seeds: Any, place: int, shape: tuple[int, ...]) -> Any:
    """Returns random integers below 2 ** 24, as unsigned 32-bit ones.

    Args:
        seeds: ``(members,)`` of the step.
        place: Tells the draws of one step apart.
        shape: Shape of one member's numbers.
    """
    keys = mix(ops.bitwise_xor(seeds, _constant(place * 0x9E3779B9 & 0xFFFFFFFF)))
    keys = ops.reshape(keys, (-1, *([1] * len(shape))))
    counters = ops.convert_to_tensor(_mixed(shape)[None])
    return ops.right_shift(mix(ops.bitwise_xor(counters, keys)), _constant(8))


def uniform(seeds: Any, place: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """Returns numbers in [0, 1), multiples of 2 ** -24, of :func:`bits`."""
    return ops.cast(ops.multiply(ops.cast(bits(seeds, place, shape), "float32"), 2.0**-24), dtype)


def normal(first: Any, second: Any, dtype: Any) -> Any:
    """Returns standard normal numbers of two uniform ones each (Box and Muller)."""
    radius = ops.sqrt(-2.0 * ops.log(1.0 - first))
    return ops.cast(radius * ops.cos(2.0 * math.pi * second), dtype)


@functools.lru_cache(maxsize=64)
def _mixed(shape: tuple[int, ...]) -> np.ndarray:
    """Returns the hashes of counters, one for each place of ``shape``.

    The counter of an entry does not depend on the size of the last axis, which padding makes longer where a neighbour
    is wider. Those of neighbouring rows lie a golden section of all integers apart: no two meet.
    """
    rows = np.arange(math.prod(shape[:-1]), dtype="uint32") * np.uint32(0x9E3779B1)
    value = rows[:, None] + np.arange(shape[-1] if shape else 1, dtype="uint32")
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        value = (value ^ (value >> np.uint32(shift))) * np.uint32(factor)
    return np.asarray(value ^ (value >> np.uint32(16))).reshape(shape)


def _constant(value: int) -> Any:
    return ops.convert_to_tensor(np.uint32(value))
