"""How many trials are under way at once."""

from __future__ import annotations

import math
from typing import Any

from kt_suite.executors.fused import backend as backends

MANY = 256
# On an accelerator, a step of a thousand small networks takes hardly longer than one of ten.
MANY_ON_ACCELERATOR = 1024
# Trials under way where proposals follow from results: with more, quality falls for little speed.
FEW = 8
# With a time budget: all trials of a wave end together, and one that the clock cuts short is lost.
TIMED = 16
# Oracles of KerasTuner whose proposals do not follow from results.
_INDEPENDENT = ("RandomSearchOracle", "GridSearchOracle", "HyperbandOracle")


def num_slots(runner: Any) -> int:
    """Returns how many trials of a search should be under way at once."""
    oracle = runner.oracle
    few = getattr(oracle, "max_pending", _pending(oracle))
    slots = _many() if few is None else few
    if runner._limits.time_budget is not None:
        slots = min(slots, TIMED)
    return int(min(slots, oracle.max_trials or math.inf))


def _many() -> int:
    return MANY_ON_ACCELERATOR if backends.current().has_accelerator() else MANY


def _pending(oracle: Any) -> int | None:
    return None if type(oracle).__name__ in _INDEPENDENT else FEW
