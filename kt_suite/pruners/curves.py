"""Learning curves as pruners look at them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from kt_suite.trial import Report, TrialRecord


@dataclass
class Curve:
    """The objective of one run so far, as something to minimise; what is not finite is passed over.

    Attributes:
        best: The lowest loss; infinite while there is none.
        improved: The epoch of the last improvement that counts; the first epoch while there is none.
        means: Epoch to the mean of the losses up to it; infinite while there are none.
    """

    best: float = math.inf
    improved: int = 0
    means: dict[int, float] = field(default_factory=dict)
    _reference: float = math.inf
    _total: float = 0.0
    _num_losses: int = 0

    def add(self, epoch: int, loss: float, min_delta: float = 0.0) -> None:
        """Appends an epoch; it improves when lower by more than ``min_delta`` than the last that did."""
        if not self.means:
            self.improved = epoch
        if math.isfinite(loss):
            if loss < self._reference - min_delta:
                self._reference, self.improved = loss, epoch
            self.best = min(self.best, loss)
            self._total += loss
            self._num_losses += 1
        self.means[epoch] = self._total / self._num_losses if self._num_losses else math.inf


class Curves:
    """The curves of trials under way, by trial and run; those of an earlier attempt are dropped.

    Args:
        min_delta: What an improvement must exceed to count.
    """

    def __init__(self, min_delta: float = 0.0) -> None:
        self._min_delta = min_delta
        self._curves: dict[str, tuple[int, dict[int, Curve]]] = {}

    def add(self, trial: TrialRecord, report: Report, loss: float) -> Curve:
        """Appends an epoch; returns the curve of its run."""
        attempt, runs = self._curves.get(trial.trial_id, (report.attempt, {}))
        if attempt != report.attempt:
            runs = {}
        self._curves[trial.trial_id] = (report.attempt, runs)
        curve = runs.setdefault(report.run, Curve())
        curve.add(report.epoch, loss, self._min_delta)
        return curve

    def pop(self, trial: TrialRecord) -> dict[int, Curve]:
        """Returns the curves of a trial by run, and forgets them."""
        return self._curves.pop(trial.trial_id, (0, {}))[1]
