"""Drawing values that no trial has had."""

from __future__ import annotations

from typing import Any

from kt_suite.space import Space

# Draws that may all be repeats before the untried points of a finite space are listed.
_MAX_COLLISIONS = 64
_MAX_LISTED = 1_000_000


def draw_untried(oracle: Any, space: Space, trial_id: str) -> dict[str, Any] | None:
    """Returns uniform values that no trial of ``oracle`` has had, or ``None`` when a finite space holds no others."""
    rng = oracle.generator(trial_id)
    for _ in range(_MAX_COLLISIONS):
        values = space.sample(rng)
        if not oracle.has_tried(values):
            return values
    size = space.size()
    if size is None or size > _MAX_LISTED:
        return values  # infinitely many points, or nearly: repeats here are the fault of what the build ignores
    untried = [values for values in space.points() if not oracle.has_tried(values)]
    return untried[int(rng.integers(len(untried)))] if untried else None
