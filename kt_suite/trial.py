"""What a trial knows, as plain data: the rows that storage keeps and loggers read.

Nothing here imports TensorFlow or KerasTuner, so that a stored search can be shown in a fraction of a second.
"""

from __future__ import annotations

import enum
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class TrialStatus:
    """The states of a trial: KerasTuner's words, and ``PRUNED``."""

    RUNNING = "RUNNING"
    IDLE = "IDLE"
    INVALID = "INVALID"
    STOPPED = "STOPPED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    PRUNED = "PRUNED"

    FINISHED = frozenset({COMPLETED, FAILED, PRUNED})


class Decision(enum.Enum):
    """What becomes of a trial after a report."""

    CONTINUE = "continue"
    STOP = "stop"
    PAUSE = "pause"
    PROMOTE = "promote"


@dataclass(frozen=True)
class Report:
    """The metrics of one epoch of one run.

    Attributes:
        run: Index of the run inside its trial, from 0.
        epoch: Epoch inside the run, from 0.
        metrics: Metric name to value, as Keras logs them.
        time: Seconds since 1970.
        attempt: The attempt of the trial that sent it, from 1.
        is_end: Whether this is no epoch, but says that the run has ended with the score in ``metrics``.
    """

    run: int
    epoch: int
    metrics: Mapping[str, float]
    time: float = 0.0
    attempt: int = 1
    is_end: bool = False


@dataclass
class RunRecord:
    """One training inside a trial: a (fold, task, repeat).

    Attributes:
        index: Index of the run inside its trial, from 0.
        seed: Seed of its weights, shuffles and dropout.
        score: Objective at the run's scored epoch; ``None`` while unknown.
        best_epoch: The scored epoch, from 0.
        metrics: The metrics of that epoch.
        fold, task, repeat: What sets the run apart from its siblings.
        seconds: Wall-clock time of the run; its share where runs train side by side in one program.
    """

    index: int
    seed: int
    score: float | None = None
    best_epoch: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    fold: int | None = None
    task: str | None = None
    repeat: int | None = None
    seconds: float | None = None


@dataclass
class TrialRecord:
    """One trial, as stored.

    Attributes:
        trial_id: Unique in its search, such as ``"0007"``.
        number: Position in the order of proposals, from 0.
        status: One of :class:`TrialStatus`.
        values: Hyperparameter name to value, active ones only.
        used: Names that building and training really asked for, in that order; ``None`` until known.
        score: Mean of the runs' scores; ``None`` unless finished well.
        score_std: Standard deviation over the runs; ``None`` with fewer than two.
        best_epoch: Mean of the runs' scored epochs, rounded down, from 0.
        metrics: Means over the runs of the metrics at their scored epochs.
        seed: Seed from which all randomness of the trial comes.
        budget: Epochs granted; ``None`` for as many as the search trains.
        initial_epoch: Epochs done before, by the parent trial.
        rung, bracket: Place in a schedule of budgets, from 0.
        parent: Id of the trial whose weights this one continues.
        data_share: Share of the training data granted, in (0, 1].
        fidelity: Level at which the score was observed, in (0, 1].
        slot: The slot that ran it last.
        attempt: Number of the last attempt, from 1.
        message: Why it failed: the traceback, or one line.
        started, ended: Seconds since 1970.
        epochs: Epochs trained, over all runs of the last attempt.
        runs: The runs of the last attempt.
    """

    trial_id: str
    number: int
    status: str = TrialStatus.RUNNING
    values: dict[str, Any] = field(default_factory=dict)
    used: list[str] | None = None
    score: float | None = None
    score_std: float | None = None
    best_epoch: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    budget: int | None = None
    initial_epoch: int = 0
    rung: int | None = None
    bracket: int | None = None
    parent: str | None = None
    data_share: float = 1.0
    fidelity: float = 1.0
    slot: str | None = None
    attempt: int = 1
    message: str | None = None
    started: float | None = None
    ended: float | None = None
    epochs: int = 0
    runs: list[RunRecord] = field(default_factory=list)

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to the trial."""
        return self.status in TrialStatus.FINISHED

    @property
    def standard_error(self) -> float | None:
        """Standard error of the score as a mean over folds (over runs without folds); ``None`` with fewer than two.

        It takes folds for independent, which they are not quite, as they share samples to train on: read it as a scale.
        """
        if self.task_scores:
            return None  # a score over tasks is relative to other trials
        scores = self.fold_scores or [run.score for run in self.runs if run.score is not None]
        return statistics.stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else None

    @property
    def task_scores(self) -> dict[str, float]:
        """The mean score of each task, in the order of tasks; empty without tasks."""
        tasks: dict[str, list[float]] = {}
        for run in self.runs:
            if run.score is not None and run.task is not None:
                tasks.setdefault(run.task, []).append(run.score)
        return {name: statistics.fmean(scores) for name, scores in tasks.items()}

    @property
    def fold_scores(self) -> list[float]:
        """The score of each fold, a mean over repetitions, in the order of folds; empty without cross-validation."""
        folds: dict[int, list[float]] = {}
        for run in self.runs:
            if run.score is not None and run.fold is not None:
                folds.setdefault(run.fold, []).append(run.score)
        return [statistics.fmean(scores) for _, scores in sorted(folds.items())]

    @property
    def used_values(self) -> dict[str, Any]:
        """The values that made a difference: those asked for, or all while that is unknown."""
        if self.used is None:
            return dict(self.values)
        return {name: self.values[name] for name in self.used if name in self.values}

    @property
    def seconds(self) -> float | None:
        """Wall-clock time of the last attempt, once it has ended."""
        if self.started is None or self.ended is None:
            return None
        return self.ended - self.started


def incumbent(trials: list[TrialRecord], direction: str) -> TrialRecord | None:
    """Returns the best completed trial (the earliest of equals), or ``None``."""
    scored = [trial for trial in trials if trial.status == TrialStatus.COMPLETED and trial.score is not None]
    if not scored:
        return None
    sign = -1.0 if direction == "max" else 1.0
    return min(scored, key=lambda trial: (sign * (trial.score or 0.0), trial.number))
