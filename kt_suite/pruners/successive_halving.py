"""Asynchronous successive halving as a stopping rule."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from typing import Any

from kt_suite.brackets import check_factor
from kt_suite.pruners.base import Pruner, check_integer
from kt_suite.pruners.curves import Curves
from kt_suite.trial import Decision, Report, TrialRecord, TrialStatus


class SuccessiveHalvingPruner(Pruner):
    """Lets only the best one in ``factor`` train on, at each of some epochs that rise by ``factor``.

    The stopping variant of Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020
    (ASHA): a trial that reaches a rung goes on at once if its best epoch so far is among the best
    ``1/factor`` of all trials that have reached that rung, and stops for good otherwise. It never waits, and
    never comes back. As long as fewer than ``factor`` trials have reached a rung, only the best of them goes
    on.

    Args:
        min_epochs: Epochs of the first rung, at least 1.
        factor: Reduction factor, at least 2.

    Raises:
        InputError: An argument out of its range.

    Example:
        >>> from kt_suite.pruners import SuccessiveHalvingPruner
        >>> pruner = SuccessiveHalvingPruner(min_epochs=2, factor=3)
    """

    def __init__(self, *, min_epochs: int = 1, factor: float = 3) -> None:
        check_integer("min_epochs", min_epochs, at_least=1)
        check_factor(factor)
        self.min_epochs = min_epochs
        self.factor = factor
        self._forget()

    def _forget(self) -> None:
        self._curves = Curves()
        # Run and epochs to trial to its best loss by then.
        self._rungs: dict[tuple[int, int], dict[str, float]] = defaultdict(dict)

    def open(self, objective: Any) -> None:
        self._forget()

    def judge(self, trial: TrialRecord, report: Report, loss: float) -> Decision:
        best = self._curves.add(trial, report, loss).best
        num_epochs = report.epoch + 1
        if not self._is_rung(num_epochs):
            return Decision.CONTINUE
        if not math.isfinite(best):
            return Decision.STOP
        losses = self._rungs[report.run, num_epochs]
        losses[trial.trial_id] = best
        num_better = sum(other < best for other in losses.values())
        return Decision.CONTINUE if num_better < max(1, len(losses) // self.factor) else Decision.STOP

    def _is_rung(self, num_epochs: int) -> bool:
        for power in itertools.count():
            rung = math.floor(self.min_epochs * self.factor**power + 0.5)
            if rung >= num_epochs:
                return rung == num_epochs
        return False

    def end(self, trial: TrialRecord) -> None:
        self._curves.pop(trial)
        if trial.status == TrialStatus.FAILED:
            for losses in self._rungs.values():
                losses.pop(trial.trial_id, None)
