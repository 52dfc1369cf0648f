"""A pruner for searches with several objectives."""

from __future__ import annotations

import copy
from typing import Any

from kt_suite.objective import to_loss
from kt_suite.pruners.base import Pruner
from kt_suite.trial import Decision, Report, TrialRecord


class ParetoPruner(Pruner):
    """Stops a trial that another pruner would stop whichever of the objectives counted.

    Each objective has a copy of the pruner that sees nothing but this objective, and an epoch stops a trial
    only if all of them say so there. A trial that is bad in one objective and good in another, which is what
    a front is made of, trains on.

    Args:
        pruner: The pruner; it is copied, and stays as it is.

    Example:
        >>> from kt_suite.pruners import MedianPruner
        >>> from kt_suite.pruners.pareto import ParetoPruner
        >>> pruner = ParetoPruner(MedianPruner())
    """

    def __init__(self, pruner: Pruner) -> None:
        self._pruner = pruner
        self._judges: list[tuple[Any, Pruner]] = []

    def open(self, objective: Any) -> None:
        parts = getattr(objective, "objectives", [objective])
        self._judges = [(part, copy.deepcopy(self._pruner)) for part in parts]
        for part, judge in self._judges:
            judge.open(part)

    def judge(self, trial: TrialRecord, report: Report, loss: float) -> Decision:
        """Judges an epoch by all objectives in ``report.metrics``; ``loss`` takes no part."""
        decisions = []
        for part, judge in self._judges:  # each must see every epoch, whatever others say
            decisions.append(judge.judge(trial, report, to_loss(float(report.metrics[part.name]), part.direction)))
        return Decision.STOP if all(one is Decision.STOP for one in decisions) else Decision.CONTINUE

    def end(self, trial: TrialRecord) -> None:
        for _, judge in self._judges:
            judge.end(trial)
