"""How many trials are under way at once."""

from __future__ import annotations

import math
from typing import Any

from kt_suite.executors.fused import backend as backends

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
_OF_KERAS_TUNER = ("RandomSearchOracle", "GridSearchOracle")


def num_slots(runner: Any) -> int:
    """Returns how many trials of a search should be under way at once."""
    oracle = runner.oracle
    most = _most_pending(oracle)
    slots = _many() if most is None else most
    if runner._limits.time_budget is not None:
        slots = min(slots, TIMED)
    return int(min(slots, oracle.max_trials or math.inf))


def _many() -> int:
    return MANY_ON_ACCELERATOR if backends.current().has_accelerator() else MANY


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
