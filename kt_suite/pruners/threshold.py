"""Stopping trials that leave a range."""

from __future__ import annotations

import math
from typing import Any

from kt_suite.errors import InputError, rule
from kt_suite.objective import to_loss
from kt_suite.pruners.base import Pruner, check_integer, is_number
from kt_suite.trial import Decision, Report, TrialRecord


class ThresholdPruner(Pruner):
    """Stops a trial whose objective leaves a range, or is not finite: one that has diverged.

    Args:
        lower: Least value allowed, in the objective's own units; ``None`` for no bound.
        upper: Greatest value allowed; ``None`` for no bound.
        num_warmup_epochs: Epochs at the start of a training that are not judged.

    Raises:
        InputError: Bounds that are no numbers, or in the wrong order.

    Example:
        >>> from kt_suite.pruners import ThresholdPruner
        >>> pruner = ThresholdPruner(upper=10.0)  # a loss above 10 has diverged
    """

    def __init__(self, lower: float | None = None, upper: float | None = None, *, num_warmup_epochs: int = 0) -> None:
        for name, bound in (("lower", lower), ("upper", upper)):
            if bound is not None and not is_number(bound):
                raise InputError(rule(name, "be a number or None", bound))
        if lower is not None and upper is not None and lower >= upper:
            raise InputError(rule("lower", f"be less than upper={upper}", lower))
        check_integer("num_warmup_epochs", num_warmup_epochs, at_least=0)
        self.lower, self.upper = lower, upper
        self.num_warmup_epochs = num_warmup_epochs
        self._direction = "min"

    def open(self, objective: Any) -> None:
        self._direction = objective.direction

    def judge(self, trial: TrialRecord, report: Report, loss: float) -> Decision:
        if report.epoch < self.num_warmup_epochs:
            return Decision.CONTINUE
        value = to_loss(loss, self._direction)
        is_low = self.lower is not None and value < self.lower
        is_high = self.upper is not None and value > self.upper
        return Decision.STOP if is_low or is_high or not math.isfinite(value) else Decision.CONTINUE
