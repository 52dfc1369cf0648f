"""What ends a search early: time, a score that is good enough, or trials that bring nothing better."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Iterable

from kt_suite.errors import InputError, rule
from kt_suite.objective import to_loss
from kt_suite.trial import TrialRecord, TrialStatus


class Limits:
    """Says when a search is over.

    Args:
        direction: ``"min"`` or ``"max"``.
        time_budget: Wall-clock time of the whole search, earlier parts of a resumed one counted in: seconds, or a
            timedelta.
        patience: Trials that may end in a row without a new incumbent, at least 1.
        target: The score that is good enough.

    Raises:
        InputError: A limit out of its range.
    """

    def __init__(
        self,
        direction: str,
        *,
        time_budget: float | datetime.timedelta | None = None,
        patience: int | None = None,
        target: float | None = None,
    ) -> None:
        if isinstance(time_budget, datetime.timedelta):
            time_budget = time_budget.total_seconds()
        if time_budget is not None and not (isinstance(time_budget, (int, float)) and 0 < time_budget < math.inf):
            raise InputError(rule("time_budget", "be a positive number of seconds, or a timedelta", time_budget))
        if patience is not None and (isinstance(patience, bool) or not isinstance(patience, int) or patience < 1):
            raise InputError(rule("patience", "be a number of trials of at least 1", patience))
        if target is not None and not (isinstance(target, (int, float)) and math.isfinite(target)):
            raise InputError(rule("target", "be a finite score", target))
        self.direction = direction
        self.time_budget = time_budget
        self.patience = patience
        self.target = target
        self._began = time.monotonic()
        self._before = 0.0
        self._best = math.inf
        self._without_improvement = 0

    def start(self, trials: Iterable[TrialRecord], elapsed: float) -> None:
        """Starts the clock, ``elapsed`` seconds into a search that has ``trials``."""
        self._began, self._before = time.monotonic(), elapsed
        self._best, self._without_improvement = math.inf, 0
        for trial in sorted((one for one in trials if one.is_finished), key=lambda one: one.ended or 0.0):
            self.note(trial)

    @property
    def elapsed(self) -> float:
        """Seconds that the search has run."""
        return self._before + time.monotonic() - self._began

    def note(self, trial: TrialRecord) -> None:
        """Takes notice of a trial that has ended."""
        if trial.status == TrialStatus.COMPLETED and trial.score is not None:
            loss = to_loss(trial.score, self.direction)
            if loss < self._best:
                self._best, self._without_improvement = loss, 0
                return
        if trial.is_finished:
            self._without_improvement += 1

    def rescore(self, trials: Iterable[TrialRecord]) -> None:
        """Takes notice that the scores of the trials that have ended before are others now."""
        completed = [one for one in trials if one.status == TrialStatus.COMPLETED and one.score is not None]
        self._best = min((to_loss(one.score or 0.0, self.direction) for one in completed), default=math.inf)

    def is_out_of_time(self) -> bool:
        """Whether the time budget is spent."""
        return self.time_budget is not None and self.elapsed >= self.time_budget

    def reached(self) -> str | None:
        """Returns why the search is over, or ``None`` while it is not."""
        if self.is_out_of_time():
            return f"the time budget of {self.time_budget:g} s is spent"
        if self.target is not None and self._best <= to_loss(self.target, self.direction):
            return f"the target {self.target:g} is reached"
        if self.patience is not None and self._without_improvement >= self.patience:
            return f"no better score in {self.patience} trials"
        return None
