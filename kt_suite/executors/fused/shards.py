"""Shards: neighbouring places of a stack that one call trains, few enough for what a step touches to stay in cache.

A step of an optimizer reads and writes every weight, its gradient and its moments. Of many members together these
come from memory, of a few from the cache; and calls for different members run on different cores, while one call
hardly uses more than one. Measured on two cores (0.5 MiB of second and 32 MiB of third cache) with 64 networks of
26,000 weights, the second core brings 1.8 times, and shards of 4, 8, 16 and 32 members are within a tenth of each
other; of 1 take twice as long, as what is done once a call outweighs the members.
"""

from __future__ import annotations

import concurrent.futures
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import keras
import numpy as np

from kt_suite.executors.cores import num_cores
from kt_suite.executors.fused import backend as backends
from kt_suite.executors.fused.feed import row_entries

T = TypeVar("T")

# What a step of one shard may touch: a share of the third cache, which the cores have in common.
_BYTES = 6 << 20


@dataclass
class Shard:
    """Some places of a stack.

    Attributes:
        start: Its first place.
        stop: The place after its last.
        constants: What its members differ by, on the device.
        state: Weights, slots and steps, on the device.
    """

    start: int
    stop: int
    constants: Any
    state: Any

    def of(self, batches: dict[str, Any] | None) -> dict[str, Any] | None:
        """Returns batches without what is of other members alone."""
        if batches is None:
            return None
        own = dict(batches)
        for name in ("order", "mask"):
            if own[name] is not None and len(own[name].shape) == 3:
                own[name] = own[name][:, self.start : self.stop]
        if "rates" in own:
            own["rates"] = backends.current().tensor(own["rates"][:, self.start : self.stop])
        if own["w"] is not None:
            own["w"] = [
                one if one["members"] is None else {**one, "members": one["members"][self.start : self.stop]}
                for one in own["w"]
            ]
        return own

    def own_inputs(self, inputs: list[Any]) -> list[Any]:
        """Returns inputs of shape ``(1 or members, batch, ...)`` without those of other members alone."""
        return [array if array.shape[0] == 1 else array[self.start : self.stop] for array in inputs]


def split(constants: Any, state: Any, size: int) -> list[Shard]:
    """Returns the shards of places whose arrays are these."""
    backend, num_places = backends.current(), len(state["steps"])

    def part(structure: Any, start: int) -> Any:
        return keras.tree.map_structure(lambda array: backend.tensor(array[start : start + size]), structure)

    return [
        Shard(start, start + size, part(constants, start), part(state, start)) for start in range(0, num_places, size)
    ]


def joined(structures: Sequence[Any]) -> Any:
    """Returns arrays of all places from those of each shard."""
    if len(structures) == 1:
        return keras.tree.map_structure(backends.to_numpy, structures[0])
    return keras.tree.map_structure(
        lambda *parts: np.concatenate([backends.to_numpy(part) for part in parts]), *structures
    )


def on_all_cores(function: Callable[[Shard], T], shards: Sequence[Shard], *, first_alone: bool) -> list[T]:
    """Returns ``function(shard)`` of each shard, on all cores.

    Args:
        function: What to do. Compiled programs leave Python's lock.
        shards: At least one.
        first_alone: Whether to do the first before all others, as it makes what all use.
    """
    done = [function(shards[0])] if first_alone else []
    # In a thread even where there is one shard: Python hears Ctrl-C while it waits, and not while a program runs.
    return [*done, *_pool().map(function, shards[len(done) :])]


@functools.cache
def _pool() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(num_cores(), thread_name_prefix="fused")


def shard_size(group: Any, batch_size: int, count: int) -> int:
    """Returns how many members train in one call.

    Args:
        group: The layout.
        batch_size: Rows of a batch.
        count: Number of members.
    """
    if backends.current().has_accelerator():
        return rounded(count)
    share = rounded(-(-count // num_cores()))
    return min(share, floored(_BYTES / step_bytes(group, batch_size)))


def step_bytes(group: Any, batch_size: int) -> int:
    """Returns about how many bytes a step of one member touches: weights, gradients, slots, and activations twice."""
    slots = len(group.view.optimizer.slots(group.view.model.optimizer))
    weights = sum(math.prod(axis.size for axis in axes) for axes in group.variables[0])
    entries = sum(row_entries(step) for step in group.view.steps)
    return int(np.dtype(keras.config.floatx()).itemsize * ((2 + slots) * weights + 2 * entries * batch_size))


def rounded(count: int) -> int:
    """Returns the number of places for ``count`` members: 1, 2, 3, 4, 6, 8, 12, ..., so that programs are reused."""
    places = 1
    while places < count:
        places *= 2
    return places * 3 // 4 if places >= 4 and count <= places * 3 // 4 else places


def floored(most: float) -> int:
    """Returns the largest power of two that is at most ``most``, and at least 1."""
    return 1 << max(0, int(most).bit_length() - 1)
