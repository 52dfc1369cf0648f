"""Feeds learning curves to a pruner, as a search does."""

from __future__ import annotations

from collections.abc import Sequence

from kt_suite.objective import Objective, to_loss
from kt_suite.pruners import Pruner
from kt_suite.trial import Decision, Report, TrialRecord, TrialStatus


class Training:
    """A search with one pruner, whose trials follow given curves.

    Args:
        pruner: The pruner.
        direction: ``"min"`` or ``"max"``.
    """

    def __init__(self, pruner: Pruner, direction: str = "min") -> None:
        self.pruner = pruner
        self.direction = direction
        self.num_trials = 0
        pruner.open(Objective("val_metric", direction))

    def begin(self) -> TrialRecord:
        self.num_trials += 1
        return TrialRecord(f"{self.num_trials:04d}", self.num_trials)

    def report(self, trial: TrialRecord, value: float, epoch: int, run: int = 0, attempt: int = 1) -> Decision:
        report = Report(run, epoch, {"val_metric": value}, attempt=attempt)
        return self.pruner.judge(trial, report, to_loss(value, self.direction))

    def end(self, trial: TrialRecord, status: str = TrialStatus.COMPLETED) -> None:
        trial.status = status
        self.pruner.end(trial)

    def train(
        self, curve: Sequence[float], first_epoch: int = 0, run: int = 0, status: str | None = None
    ) -> int | None:
        """Trains one trial along a curve; returns the epoch at which it was stopped."""
        trial = self.begin()
        for epoch, value in enumerate(curve, first_epoch):
            if self.report(trial, value, epoch, run) is Decision.STOP:
                self.end(trial, status or TrialStatus.PRUNED)
                return epoch
        self.end(trial, status or TrialStatus.COMPLETED)
        return None
