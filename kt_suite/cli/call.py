"""What ``kt-suite tune`` was asked for."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kt_suite.errors import ProjectError, StorageError, rule
from kt_suite.storage import Storage

# What may differ when a search goes on: how long it does, where it trains and what becomes of the result.
_FREE = frozenset(
    {
        "distribution",
        "executor",
        "folder",
        "keep_checkpoints",
        "max_trials",
        "save",
        "tensorboard",
        "virtual_devices",
        "workers",
    }
)
_WORDS = {"model": "MODEL", "digest": "The content of the data file (by SHA-256)"}
FACT = "cli"


@dataclass(frozen=True)
class Call:
    """One call of ``kt-suite tune``, kept with the search so that ``kt-suite resume`` can repeat it.

    Paths are absolute, so that it can be repeated from another folder.

    Attributes:
        model, data, target, task, tuner, max_trials, epochs, executor, objective, direction, seed: Arguments.
        executions_per_trial, tensorboard, keep_checkpoints, save, cross_validation, fix: Arguments too.
        digest: SHA-256 of the data file, in hex; ``None`` for a built-in set.
        folder: The folder the call was made in, where modules are looked for.
        workers, distribution, virtual_devices: Arguments too.
    """

    model: str
    data: str
    target: str | None
    task: str | None
    tuner: str
    max_trials: int | None
    epochs: int
    executor: str
    objective: str | None
    direction: str | None
    seed: int
    executions_per_trial: int
    tensorboard: str | None
    keep_checkpoints: int
    save: str | None
    cross_validation: int | None = None
    fix: dict[str, Any] = field(default_factory=dict)
    digest: str | None = None
    folder: str = ""
    workers: int | None = None
    distribution: str | None = None
    virtual_devices: int | None = None

    @classmethod
    def of(cls, project: Path) -> Call | None:
        """Returns the call that began the search in ``project``; ``None`` if a script began it.

        Raises:
            ProjectError: There is no search in ``project``.
            StorageError: What is stored there is not a call that this version knows.
        """
        storage = Storage.open(project, read_only=True)
        try:
            user = storage.fact("user") or {}
        finally:
            storage.close()
        stored = user.get(FACT)
        if stored is None:
            return None
        names = {item.name for item in dataclasses.fields(cls)}
        if not isinstance(stored, Mapping) or set(stored) != names:
            remedy = "Use the version of kt_suite that began the search."
            must = f"have the fields {sorted(names)}"
            raise StorageError(rule(f"The call stored in {project}", must, stored, remedy))
        return cls(**stored)

    def check_continues(self, project: Path) -> None:
        """Raises ``ProjectError`` unless a call that this one can carry on began the search there."""
        earlier = Call.of(project)
        remedy = "Start anew with --overwrite, or beside it with --project-name."
        if earlier is None:
            must = "hold a search begun by kt-suite tune"
            raise ProjectError(rule(str(project), must, "one begun by a script", remedy))
        before, now = dataclasses.asdict(earlier), dataclasses.asdict(self)
        for name in before:
            if name not in _FREE and before[name] != now[name]:
                what = _WORDS.get(name, f"--{name.replace('_', '-')}")
                must = f"be {before[name]!r} as in the search that {project} holds"
                raise ProjectError(rule(what, must, now[name], remedy))

    def facts(self) -> dict[str, Any]:
        """Returns what a tuner keeps with the search."""
        return {FACT: dataclasses.asdict(self)}


def digest(path: Path) -> str:
    """Returns the SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
