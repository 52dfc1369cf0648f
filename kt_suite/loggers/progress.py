"""How far a search has come: what a console shows, as plain data."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kt_suite.loggers.base import SearchInfo
from kt_suite.trial import Report, TrialRecord, TrialStatus, incumbent


@dataclass
class RunningTrial:
    """An attempt that is under way.

    Attributes:
        trial: The trial when it last said something.
        since: When it began, in seconds since 1970.
        num_epochs: Epochs done, over all runs.
        run, epoch: The last that was reported, from 0.
        metrics: The last that were reported.
    """

    trial: TrialRecord
    since: float
    num_epochs: int = 0
    run: int = 0
    epoch: int = -1
    metrics: Mapping[str, float] = field(default_factory=dict)


class SearchProgress:
    """Counts what a search does.

    Args:
        info: The search.
        clock: Gives seconds since 1970.

    Attributes:
        running: The attempts under way, by trial id, in the order they began.
        finished: The trials that have ended for good, in that order; first those of an earlier part.
        best: The incumbent.
        num_kept, num_interrupted: Finished and other trials of an earlier part of the search.
    """

    def __init__(self, info: SearchInfo, clock: Callable[[], float] = time.time) -> None:
        self.info = info
        self.running: dict[str, RunningTrial] = {}
        self.finished = [_copy(trial) for trial in info.trials if trial.is_finished]
        self.num_kept = len(self.finished)
        self.num_interrupted = len(info.trials) - self.num_kept
        self.best = incumbent(self.finished, info.direction)
        self._clock = clock
        self._begin = clock()

    @property
    def seconds(self) -> float:
        """Seconds since the search, or this part of it, began."""
        return self._clock() - self._begin

    @property
    def num_trials(self) -> int | None:
        """Trials that the search will make at most; ``None`` if nothing bounds them."""
        bounds = (self.info.max_trials, self.info.facts.get("space_size"))
        return min((bound for bound in bounds if bound is not None), default=None)

    @property
    def counts(self) -> dict[str, int]:
        """Number of finished trials by status."""
        return dict(collections.Counter(trial.status for trial in self.finished))

    @property
    def failures(self) -> list[TrialRecord]:
        """The trials that failed for good."""
        return [trial for trial in self.finished if trial.status == TrialStatus.FAILED]

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all have ended, if trials take as long as before; ``None`` if that is unknown.

        Before any has ended, epochs tell: where trials train side by side, all may end together.
        """
        times = [trial.seconds for trial in self.finished if trial.seconds is not None]
        if self.num_trials is None:
            return None
        if not times:
            return self._seconds_left_by_epochs(self.num_trials)
        mean = sum(times) / len(times)
        num_left = max(self.num_trials - len(self.finished), len(self.running))
        done = sum(min(self._clock() - running.since, mean) for running in self.running.values())
        return (num_left * mean - done) / max(1, len(self.running))

    def _seconds_left_by_epochs(self, num_trials: int) -> float | None:
        totals = [(running, self.num_epochs(running.trial)) for running in self.running.values()]
        done = sum(min(1.0, running.num_epochs / total) for running, total in totals if total)
        if not done:
            return None
        took = self._clock() - min(running.since for running in self.running.values())
        return took * (num_trials - done) / done

    def num_epochs(self, trial: TrialRecord) -> int | None:
        """Epochs that an attempt trains at most, over all its runs; ``None`` if unknown."""
        epochs = self.info.epochs if trial.budget is None else trial.budget
        return None if epochs is None else epochs * self.info.runs_per_trial

    def begin_trial(self, trial: TrialRecord) -> None:
        """Takes note of a new attempt."""
        self.running[trial.trial_id] = RunningTrial(_copy(trial), self._clock())

    def report(self, trial: TrialRecord, report: Report) -> None:
        """Takes note of an epoch."""
        running = self.running.setdefault(trial.trial_id, RunningTrial(trial, self._clock()))
        running.trial = _copy(trial)
        running.num_epochs += 1
        running.run, running.epoch, running.metrics = report.run, report.epoch, dict(report.metrics)

    def end_trial(self, trial: TrialRecord, *, will_retry: bool) -> None:
        """Takes note of the end of an attempt."""
        self.running.pop(trial.trial_id, None)
        if trial.is_finished and not will_retry:
            self.finished.append(_copy(trial))
            known = [self.best] if self.best is not None else []
            self.best = incumbent([*known, self.finished[-1]], self.info.direction)

    def rescore(self, trials: Iterable[TrialRecord]) -> None:
        """Takes over the scores of trials that have ended."""
        scores = {trial.trial_id: trial.score for trial in trials}
        for trial in self.finished:
            trial.score = scores.get(trial.trial_id, trial.score)
        self.best = incumbent(self.finished, self.info.direction)


def _copy(trial: TrialRecord) -> TrialRecord:
    values: dict[str, Any] = dict(trial.values)
    return replace(trial, values=values)
