"""Giving up trials that have stalled."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

from kt_suite.errors import InputError, rule
from kt_suite.pruners.base import Pruner, check_integer, is_number
from kt_suite.pruners.curves import Curves
from kt_suite.trial import Decision, Report, TrialRecord, TrialStatus


class PatiencePruner(Pruner):
    """Stops a trial that has stopped improving without having beaten the best.

    A trial that leads is never stopped: pruned trials cannot win. To end the training of good trials early as
    well, pass Keras' ``EarlyStopping`` to ``search``.

    Args:
        patience: Epochs without an improvement that a trial is allowed, at least 1.
        min_delta: Improvements up to this size do not count, at least 0.

    Raises:
        InputError: An argument out of its range.

    Example:
        >>> from kt_suite.pruners import PatiencePruner
        >>> pruner = PatiencePruner(3, min_delta=1e-3)
    """

    def __init__(self, patience: int = 5, min_delta: float = 0.0) -> None:
        check_integer("patience", patience, at_least=1)
        if not is_number(min_delta) or not 0 <= min_delta < math.inf:
            raise InputError(rule("min_delta", "be a number of at least 0", min_delta))
        self.patience = patience
        self.min_delta = min_delta
        self._forget()

    def _forget(self) -> None:
        self._curves = Curves(self.min_delta)
        # Run to the best loss of the trials that have ended.
        self._best: dict[int, float] = defaultdict(lambda: math.inf)

    def open(self, objective: Any) -> None:
        self._forget()

    def judge(self, trial: TrialRecord, report: Report, loss: float) -> Decision:
        curve = self._curves.add(trial, report, loss)
        best = self._best[report.run]
        has_stalled = report.epoch - curve.improved >= self.patience
        return Decision.STOP if has_stalled and math.isfinite(best) and curve.best >= best else Decision.CONTINUE

    def end(self, trial: TrialRecord) -> None:
        curves = self._curves.pop(trial)
        if trial.status == TrialStatus.COMPLETED:
            for run, curve in curves.items():
                self._best[run] = min(self._best[run], curve.best)
