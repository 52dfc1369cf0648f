"""What a search knows, as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

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
        sources: The search each trial belongs to, of shape ``(n,)``: 0 for the one to propose for, 1, 2, ... for
            earlier ones.
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
        losses = np.asarray(losses, dtype=float)
        n = len(losses)
        return cls(
            np.asarray(points, dtype=float),
            np.where(np.isfinite(losses), losses, np.nan),
            np.zeros(n, dtype=bool) if is_pending is None else np.asarray(is_pending, dtype=bool),
            np.ones(n) if fidelities is None else np.asarray(fidelities, dtype=float),
            np.full(n, np.nan) if seconds is None else np.asarray(seconds, dtype=float),
            np.zeros(n, dtype=int) if sources is None else np.asarray(sources, dtype=int),
        )

    def of_source(self, number: int) -> Evidence:
        """Returns the evidence as that of another search."""
        return replace(self, sources=np.full(len(self.losses), number))

    def joined(self, others: Iterable[Evidence]) -> Evidence:
        """Returns this evidence and that of others, one after the other."""
        parts = [self, *others]
        return Evidence(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(self)))

    @property
    def is_scored(self) -> Array:
        """Which trials have a loss, of shape ``(n,)``."""
        return ~np.isnan(self.losses)  # type: ignore[no-any-return]

    @property
    def is_failed(self) -> Array:
        """Which trials ended without a loss, of shape ``(n,)``."""
        return ~self.is_pending & ~self.is_scored  # type: ignore[no-any-return]
