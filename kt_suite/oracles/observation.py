"""A trial as algorithms see it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from kt_suite.trial import TrialRecord, TrialStatus


@dataclass(frozen=True)
class Observation:
    """One trial as algorithms see it.

    Attributes:
        trial_id: Its id.
        values: The values that made a difference.
        score: Its objective; ``None`` while pending, or when it failed.
        status: One of ``TrialStatus``.
        fidelity: Level at which the score was observed, in (0, 1].
        seconds: Wall-clock time of its training; ``None`` if unknown.
        rung, bracket: Place in a schedule of budgets.
    """

    trial_id: str
    values: dict[str, Any]
    score: float | None
    status: str
    fidelity: float = 1.0
    seconds: float | None = None
    rung: int | None = None
    bracket: int | None = None

    @property
    def is_pending(self) -> bool:
        """Whether the trial is proposed but has not ended."""
        return self.status not in TrialStatus.FINISHED

    @property
    def is_failed(self) -> bool:
        """Whether the trial ended without a usable score."""
        return self.status in TrialStatus.FINISHED and (self.score is None or not math.isfinite(self.score))

    @classmethod
    def of(cls, record: TrialRecord) -> Observation:
        """Returns the observation that a trial's record gives."""
        has_score = record.status in (TrialStatus.COMPLETED, TrialStatus.PRUNED)
        return cls(
            trial_id=record.trial_id,
            values=record.used_values,
            score=record.score if has_score else None,
            status=record.status,
            fidelity=record.fidelity,
            seconds=record.seconds,
            rung=record.rung,
            bracket=record.bracket,
        )
