"""The percentile stopping rule."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from kt_suite.errors import InputError, rule
from kt_suite.pruners.base import Pruner, check_integer, is_number
from kt_suite.pruners.curves import Curves
from kt_suite.trial import Decision, Report, TrialRecord, TrialStatus


class PercentilePruner(Pruner):
    """Stops a trial whose best epoch so far is not among the best ``percentile`` % of other trials.

    The median stopping rule of Golovin et al., "Google Vizier: A service for black-box optimization", KDD
    2017, with any percentile: a trial stops at an epoch if its best objective so far is strictly worse than
    the percentile of the running averages, up to that epoch, of the trials that have ended. Those that were
    pruned count too, as far as they got: without them each stop would make the rule stricter.

    Args:
        percentile: Share of trials that go on, in percent, between 0 and 100.
        num_startup_trials: Ended trials that an epoch needs before it is judged, at least 1.
        num_warmup_epochs: Epochs at the start of a training that are not judged.

    Raises:
        InputError: An argument out of its range.

    Example:
        >>> from kt_suite.pruners import PercentilePruner
        >>> pruner = PercentilePruner(25, num_warmup_epochs=3)
    """

    def __init__(self, percentile: float = 25.0, *, num_startup_trials: int = 5, num_warmup_epochs: int = 0) -> None:
        if not is_number(percentile) or not 0 < percentile < 100:
            raise InputError(rule("percentile", "lie between 0 and 100, both excluded", percentile))
        check_integer("num_startup_trials", num_startup_trials, at_least=1)
        check_integer("num_warmup_epochs", num_warmup_epochs, at_least=0)
        self.percentile = percentile
        self.num_startup_trials = num_startup_trials
        self.num_warmup_epochs = num_warmup_epochs
        self._forget()

    def _forget(self) -> None:
        self._curves = Curves()
        # Run and epoch to the running averages of the trials that have ended.
        self._means: dict[tuple[int, int], list[float]] = defaultdict(list)

    def open(self, objective: Any) -> None:
        self._forget()

    def judge(self, trial: TrialRecord, report: Report, loss: float) -> Decision:
        curve = self._curves.add(trial, report, loss)
        means = self._means[report.run, report.epoch]
        if report.epoch < self.num_warmup_epochs or len(means) < self.num_startup_trials:
            return Decision.CONTINUE
        # One of the means, not a value between two of them: some may be infinite.
        worst = float(np.percentile(means, self.percentile, method="higher"))
        return Decision.STOP if curve.best > worst else Decision.CONTINUE

    def end(self, trial: TrialRecord) -> None:
        curves = self._curves.pop(trial)
        if trial.status == TrialStatus.FAILED:
            return
        for run, curve in curves.items():
            for epoch, mean in curve.means.items():
                self._means[run, epoch].append(mean)
