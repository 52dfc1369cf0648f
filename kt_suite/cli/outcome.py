"""A stored search, summed up for people and for programs."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from kt_suite import leaderboard
from kt_suite.storage import Storage
from kt_suite.trial import TrialRecord, TrialStatus, incumbent


def shown(path: str | Path) -> str:
    """Returns a path as a shell takes it, relative where it lies below the working directory."""
    path = Path(path).resolve()
    inside = path.is_relative_to(Path.cwd())
    return shlex.quote(str(path.relative_to(Path.cwd()) if inside else path))


@dataclass(frozen=True)
class Outcome:
    """What a search has come to.

    Attributes:
        facts: The stored facts.
        directory: The project directory.
        records: All trials, in the order of their proposal.
    """

    facts: Mapping[str, Any]
    directory: Path
    records: list[TrialRecord]

    @classmethod
    def of(cls, project: Path) -> Outcome:
        """Reads the search in a project directory.

        Raises:
            ProjectError: There is none.
            StorageError: It is torn, foreign, or from a newer version.
        """
        storage = Storage.open(project, read_only=True)
        try:
            return cls(storage.facts, project.resolve(), storage.trials())
        finally:
            storage.close()

    @property
    def objective(self) -> str:
        """Name of the metric that ranks the trials."""
        return str(self.facts["objective"])

    @property
    def direction(self) -> str:
        """``"min"`` or ``"max"``."""
        return str(self.facts["direction"])

    @property
    def tensorboard(self) -> str | None:
        """The log directory; ``None`` without one."""
        folder = self.facts.get("tensorboard")
        return None if folder is None else str(folder)

    @property
    def best(self) -> TrialRecord | None:
        """The best trial; ``None`` while none has ended with a score."""
        return incumbent(self.records, self.direction)

    @property
    def num_failed(self) -> int:
        """How many trials have failed for good."""
        return sum(record.status == TrialStatus.FAILED for record in self.records)

    def to_json(self, **more: Any) -> str:
        """Returns one JSON object; numbers that JSON does not know are ``null``."""
        best = self.best
        summary = {
            "search": self.facts["name"],
            "directory": str(self.directory),
            "tensorboard": self.tensorboard,
            "objective": self.objective,
            "direction": self.direction,
            "trials": len(self.records),
            "failed": self.num_failed,
            "best": None if best is None else {"trial_id": best.trial_id, "score": best.score, "values": best.values},
            "seconds": round(leaderboard.busy_seconds(self.records), 3),
            "executor": self.facts["executor"],
        }
        return json.dumps(_jsonable({**summary, **more}), allow_nan=False)

    def show(self, num_trials: int | None) -> None:
        """Prints the table of the best trials; of all for ``None``."""
        Console().print(leaderboard.render(self.records, self.direction, self.objective, num_trials))


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
