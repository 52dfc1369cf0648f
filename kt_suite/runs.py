"""The runs that every trial of a search is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunPlan:
    """One training inside each trial of a search.

    Attributes:
        index: Index of the run inside its trial, from 0.
        fold: The fold that is validated on, from 0; ``None`` without cross-validation.
        task: The task that is trained for; ``None`` without tasks.
        repeat: Which repetition with another seed, from 0.
        rows: Indices, shape ``(n,)``, of the samples given to ``search`` that are trained on; ``None`` for all.
        validation_rows: Indices, shape ``(m,)``, of the samples given to ``search`` that are validated on; ``None`` for
            the validation data given to ``search``.
    """

    index: int
    fold: int | None = None
    task: str | None = None
    repeat: int | None = None
    rows: Any = None
    validation_rows: Any = None


def repeats(number: int) -> tuple[RunPlan, ...]:
    """Returns ``number`` runs that differ in their seeds only."""
    return tuple(RunPlan(index, repeat=index) for index in range(number))
