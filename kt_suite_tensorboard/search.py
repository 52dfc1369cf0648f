"""A search as it was read: plain data for the views."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

COMPLETED, PRUNED, FAILED, RUNNING = "COMPLETED", "PRUNED", "FAILED", "RUNNING"


@dataclass
class Attempt:
    """An attempt of a trial.

    Attributes:
        attempt: Its number, from 1.
        started, ended: Seconds since 1970.
        slot: Where it ran.
        status: How it ended; ``None`` where that was never stored, as after a kill.
        message: Why it failed.
    """

    attempt: int
    started: float
    ended: float | None = None
    slot: str | None = None
    status: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Run:
    """One training inside a trial, with the fields of ``kt_suite.trial.RunRecord`` that views need."""

    index: int
    score: float | None
    fold: int | None = None
    task: str | None = None
    repeat: int | None = None


@dataclass(frozen=True)
class Trial:
    """A trial, with the fields of ``kt_suite.trial.TrialRecord`` that views need.

    Attributes:
        runs: The runs of the last attempt, once it has ended.
        earlier: The attempts before the last.
        event: Id of the last event that changed it.
    """

    trial_id: str
    number: int
    status: str
    values: dict[str, Any]
    used: list[str] | None
    score: float | None
    score_std: float | None
    best_epoch: int | None
    metrics: dict[str, float]
    budget: int | None
    initial_epoch: int
    rung: int | None
    bracket: int | None
    parent: str | None
    fidelity: float
    slot: str | None
    attempt: int
    message: str | None
    started: float | None
    ended: float | None
    epochs: int
    runs: list[Run] = field(default_factory=list)
    earlier: list[Attempt] = field(default_factory=list)
    event: int = 0

    @property
    def is_scored(self) -> bool:
        """Whether the trial completed with a score that can be compared."""
        return self.status == COMPLETED and self.score is not None and math.isfinite(self.score)

    @property
    def seconds(self) -> float | None:
        """Wall-clock time of the last attempt, once it has ended."""
        return None if self.started is None or self.ended is None else self.ended - self.started

    @functools.cached_property
    def standard_error(self) -> float | None:
        """The standard error of the score as a mean over folds, over runs without folds; ``None`` with fewer than two.

        As in ``kt_suite.trial.TrialRecord``.
        """
        if any(run.task is not None for run in self.runs):
            return None  # a score over tasks is relative to other trials
        scores = _means((run.fold, run.score) for run in self.runs) or {
            run.index: run.score for run in self.runs if run.score is not None
        }
        if len(scores) < 2:
            return None
        mean = math.fsum(scores.values()) / len(scores)  # statistics.stdev takes fractions, a hundred times slower
        squares = math.fsum((score - mean) ** 2 for score in scores.values())
        return math.sqrt(squares / (len(scores) - 1) / len(scores))

    def run_label(self, index: int) -> str:
        """Returns what sets a run apart from the others of the trial, such as ``"fold 2"``."""
        run = next((run for run in self.runs if run.index == index), None)
        if run is None:
            return f"run {index}"
        parts = [
            f"{name} {getattr(run, name)}"
            for name in ("task", "fold", "repeat")
            if len({getattr(other, name) for other in self.runs}) > 1
        ]
        return ", ".join(parts) or f"run {index}"

    def task_scores(self) -> dict[str, float]:
        """Returns the mean score of each task, by its name; empty in a search without tasks."""
        return _means((run.task, run.score) for run in self.runs)

    @property
    def last_line(self) -> str:
        """The last line of why it failed."""
        return next((line for line in reversed((self.message or "").splitlines()) if line.strip()), "").strip()

    def is_active(self, name: str) -> bool:
        """Whether a hyperparameter made a difference to the trial."""
        return name in self.values and (self.used is None or name in self.used)


def _means(scores: Iterable[tuple[Any, float | None]]) -> dict[Any, float]:
    """Returns the mean score under each key, those without key or score left out."""
    found: dict[Any, list[float]] = {}
    for key, score in scores:
        if key is not None and score is not None:
            found.setdefault(key, []).append(score)
    return {key: math.fsum(values) / len(values) for key, values in found.items()}


_OWN_FIELDS = ("runs", "earlier", "event")


def field_names() -> list[str]:
    """Returns the fields of a trial that are columns of its table."""
    return [one.name for one in dataclasses.fields(Trial) if one.name not in _OWN_FIELDS]


@dataclass(frozen=True)
class Curve:
    """The course of one metric in one run of a trial.

    Attributes:
        trial: The trial.
        run: Index of the run, from 0.
        points: Epoch (from 0) to value, by epoch.
        label: What it is to the reader, where its trial has several; empty where it has one.
    """

    trial: Trial
    run: int
    points: dict[int, float]
    label: str = ""


class CurveSource(Protocol):
    """What learning curves are read from."""

    def curves(self, trials: Iterable[Trial], metric: str) -> list[Curve]:
        """Returns the curves of the last attempts of trials, one a run."""


@dataclass(frozen=True)
class Search:
    """A search at one moment.

    Attributes:
        facts: What is known of it as a whole, by name.
        trials: Its trials, by number.
        event, report: Ids of the last event and report that were stored: the moment.
        time: When that was, in seconds since 1970.
        file: Where learning curves are read from.
    """

    facts: dict[str, Any]
    trials: list[Trial]
    event: int
    report: int
    time: float
    file: CurveSource

    @property
    def name(self) -> str:
        """The name of the project."""
        return str(self.facts.get("name", ""))

    @property
    def objective(self) -> str:
        """Name of the metric that ranks trials."""
        return str(self.facts.get("objective", "objective"))

    @property
    def sign(self) -> float:
        """The factor that makes less better."""
        return -1.0 if self.facts.get("direction") == "max" else 1.0

    @property
    def scored(self) -> list[Trial]:
        """The trials that completed with a score."""
        return [trial for trial in self.trials if trial.is_scored]

    def ranked(self) -> list[Trial]:
        """Returns the trials with a score, best first, the earlier of equals first."""
        return sorted(self.scored, key=lambda trial: (self.sign * (trial.score or 0.0), trial.number))

    def metrics(self) -> list[str]:
        """Returns the names of all metrics, the objective first."""
        names = dict.fromkeys(name for trial in self.trials for name in trial.metrics)
        return sorted(names, key=lambda name: (name != self.objective, name))

    @property
    def begin(self) -> float:
        """When the first trial started, in seconds since 1970."""
        attempts = [attempt.started for trial in self.trials for attempt in trial.earlier]
        return min([*attempts, *(trial.started for trial in self.trials if trial.started is not None)], default=0.0)

    def space(self) -> dict[str, list[dict[str, Any]]]:
        """Returns the hyperparameters by name, each with all its configs: a name may stand under several conditions."""
        found: dict[str, list[dict[str, Any]]] = {}
        for entry in self.facts.get("space") or []:
            config = {**entry["config"], "class_name": entry["class_name"]}
            found.setdefault(str(config["name"]), []).append(config)
        return found
