"""What the processes of a distribution must agree on."""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf


def is_over_processes(strategy: Any) -> bool:
    """Whether several processes train in step, each running the same program."""
    is_mirrored = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    return is_mirrored and bool(strategy.extended._in_multi_worker_mode())


def is_coordinated(strategy: Any) -> bool:
    """Whether one process hands out the work to others."""
    return isinstance(strategy, tf.distribute.ParameterServerStrategy)


def is_chief(strategy: Any) -> bool:
    """Whether this process is the one that writes and shows: the only one, or the first."""
    return not is_over_processes(strategy) or bool(strategy.extended.should_checkpoint)


def any_process(strategy: Any, flag: bool) -> bool:
    """Returns whether ``flag`` is true in any process; all must ask at the same point."""
    return bool(_total(strategy, int(bool(flag)))) if is_over_processes(strategy) else bool(flag)


def from_chief(strategy: Any, value: int) -> int:
    """Returns the chief's ``value``; all processes must ask at the same point."""
    if not is_over_processes(strategy):
        return value
    return _total(strategy, value if is_chief(strategy) else 0)


def _total(strategy: Any, value: int) -> int:
    # Every local replica contributes the value, so that it counts as often as there are such.
    total = _adder(strategy)(tf.constant(value, tf.int64))
    return int(total) // len(strategy.extended.worker_devices)


@functools.cache
def _adder(strategy: Any) -> Any:
    def add(part: Any) -> Any:
        own = tf.identity(part)  # on the device of the replica, which the reduction must know
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, own)

    def on_all(value: Any) -> Any:
        return strategy.experimental_local_results(strategy.run(add, args=(value,)))[0]

    return tf.function(on_all, autograph=False)


_checks: list[Any] = []


def check_together() -> None:
    """Raises what :func:`keep_checking` was given to raise, such as ``WorkerError`` where a process is lost."""
    for check in _checks:
        check()


def keep_checking(check: Any) -> None:
    """Has ``check()`` called where this process waits for others; only the last one given counts.

    Args:
        check: Raises if waiting has no sense any more; ``None`` for no check.
    """
    _checks[:] = [] if check is None else [check]
