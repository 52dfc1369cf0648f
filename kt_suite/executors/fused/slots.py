"""How many trials are under way at once."""

from __future__ import annotations

import math
from typing import Any

from kt_suite.checks import inputs_of
from kt_suite.executors.fused import backend as backends
from kt_suite.rows import leaves

# More bring little: a program trains its members in shards of a dozen or fewer, and what is under way when the process
# dies is lost.
MANY = 256
# There, a step of a thousand small networks takes hardly longer than one of ten.
MANY_ON_ACCELERATOR = 1024
# Where proposals follow from results, each trial under way is one that they cannot follow from. Shards of four on each
# of two cores are within a tenth of the speed of larger ones.
FEW = 8
# With a time budget: all trials of a wave end together, and one that the clock cuts short is lost.
TIMED = 16
# Seconds of training that are lost at most, about, with a process that dies, and that one waits for the next result;
# and multiply-adds a second that two cores and an accelerator are taken to do.
_AT_STAKE = 300.0
_SPEED, _SPEED_OF_ACCELERATOR = 1e10, 1e12
_OF_KERAS_TUNER = ("RandomSearchOracle", "GridSearchOracle")


def num_slots(runner: Any, operations: float = 0.0) -> int:
    """Returns how many trials of a search should be under way at once.

    Args:
        runner: The tuner, with the arguments of ``search``.
        operations: Multiply-adds that a row costs; 0 for a search of which any number may be under way.
    """
    oracle, is_fast = runner.oracle, backends.current().has_accelerator()
    most = _most_pending(oracle)
    slots = (MANY_ON_ACCELERATOR if is_fast else MANY) if most is None else most
    if runner._limits.time_budget is not None:
        slots = min(slots, TIMED)
    seconds = 3.0 * operations * _num_rows(runner) / (_SPEED_OF_ACCELERATOR if is_fast else _SPEED)
    if seconds > 0:
        slots = min(slots, max(2, int(_AT_STAKE / seconds)))
    return int(min(slots, oracle.max_trials or math.inf))


def _num_rows(runner: Any) -> int:
    """Returns how many rows a trial reads at most, over all its epochs and runs; 0 if unknown."""
    held = leaves(inputs_of(runner._fit_args, runner._fit_kwargs)[0])
    if not held or not hasattr(held[0], "shape"):  # nothing yet, or a stream
        return 0
    epochs = getattr(runner.oracle, "max_epochs", None) or runner._fit_kwargs.get("epochs") or 1
    return len(held[0]) * int(epochs) * len(runner.run_plans())


def is_independent(oracle: Any) -> bool:
    """Whether an oracle's proposals do not follow from results, or from those of whole rungs alone, for all we know."""
    is_known = type(oracle).__module__.startswith(("kt_suite.", "keras_tuner."))
    return is_known and _most_pending(oracle) is None and not getattr(oracle, "asynchronous", False)


def _most_pending(oracle: Any) -> int | None:
    """Returns how many proposals should be without results at once; ``None`` where that does not matter."""
    if hasattr(oracle, "max_pending"):
        most: int | None = oracle.max_pending
        return most
    return None if type(oracle).__name__ in _OF_KERAS_TUNER else FEW
