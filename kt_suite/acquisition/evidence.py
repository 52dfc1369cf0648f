"""What a search knows, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Evidence:
    """Trials, one a row.

    Attributes:
        points: Unit coordinates, of shape ``(n, d)``, NaN where inactive.
        losses: What was observed, of shape ``(n,)``; less is better, NaN while pending and after a failure.
        is_pending: Which trials have not ended, of shape ``(n,)``.
        fidelities: Level at which each loss was observed, in (0, 1], of shape ``(n,)``.
        seconds: Cost of each trial, of shape ``(n,)``, NaN if unknown.
        sources: The search each trial belongs to, of shape ``(n,)``: 0 for the one to propose for, 1, 2, ... for earlier ones.
    """

    points: Array
    losses: Array
    is_pending: Array
    fidelities: Array
    seconds: Array
    sources: Array

    @classmethod
    def of(
        cls,
        points: Array,
        losses: Array,
        *,
        is_pending: Array | None = None,
        fidelities: Array | None = None,
        seconds: Array | None = None,
        sources: Array | None = None,
    ) -> Evidence:
        """Returns evidence of points ``(n, d)`` and losses ``(n,)``; infinite losses count as failures."""
        points, losses = np.atleast_2d(np.asarray(points, dtype=float)), np.asarray(losses, dtype=float)
        n = len(losses)
        return cls(
            points.reshape(n, -1),
            np.where(np.isfinite(losses), losses, np.nan),
            np.zeros(n, dtype=bool) if is_pending is None else np.asarray(is_pending, dtype=bool),
            np.ones(n) if fidelities is None else np.asarray(fidelities, dtype=float),
            np.full(n, np.nan) if seconds is None else np.asarray(seconds, dtype=float),
            np.zeros(n, dtype=int) if sources is None else np.asarray(sources, dtype=int),
        )

    def take(self, rows: Array) -> Evidence:
        """Returns the evidence of some rows, given as indices or booleans."""
        fields = (self.points, self.losses, self.is_pending, self.fidelities, self.seconds, self.sources)
        return Evidence(*(field[rows] for field in fields))

    @property
    def is_scored(self) -> Array:
        """Which trials have a loss, of shape ``(n,)``."""
        return ~np.isnan(self.losses)

    @property
    def is_failed(self) -> Array:
        """Which trials ended without a loss, of shape ``(n,)``."""
        return ~self.is_pending & ~self.is_scored
