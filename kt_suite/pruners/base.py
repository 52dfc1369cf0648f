"""The interface of pruners."""

from __future__ import annotations

import abc
import math
from typing import Any

from kt_suite.errors import InputError, rule
from kt_suite.trial import Decision, Report, TrialRecord


class Pruner(abc.ABC):
    """Stops trials that cannot win in mid-training.

    A search calls :meth:`open` once, :meth:`judge` for every epoch of every run, and :meth:`end` once for
    each trial, when nothing more will happen to it. A resumed search first replays the stored reports of
    finished trials and passes over the verdicts, so that a pruner's state need not be saved. A trial that is
    tried again reports with a new attempt: what its earlier ones said counts no more. Calls come one at a
    time; records and reports must not be changed.

    A decision ends the trial, with all its runs, as pruned. Runs are compared with the same run of other
    trials.
    """

    def open(self, objective: Any) -> None:
        """Starts a search with ``objective``, forgetting any other."""

    @abc.abstractmethod
    def judge(self, trial: TrialRecord, report: Report, loss: float) -> Decision:
        """Judges an epoch.

        Args:
            trial: The trial, still under way.
            report: The metrics of the epoch.
            loss: The objective there, as something to minimise; NaN where training diverged.

        Returns:
            ``CONTINUE`` or ``STOP``.
        """

    def end(self, trial: TrialRecord) -> None:
        """Takes notice of a trial that has ended."""


def check_integer(name: str, value: Any, *, at_least: int) -> None:
    """Raises ``InputError`` unless ``value`` is a whole number of at least ``at_least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise InputError(rule(name, f"be an integer of at least {at_least}", value))


def is_number(value: Any) -> bool:
    """Whether ``value`` is a number, and not NaN."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
