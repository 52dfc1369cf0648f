"""The interface of pruners."""

from __future__ import annotations

import abc
from typing import Any

from kt_suite.trial import Decision, Report, TrialRecord


class Pruner(abc.ABC):
    """Stops trials that cannot win in mid-training.

    A search calls :meth:`open` once, :meth:`judge` for every epoch of every run, and :meth:`end` when a trial has ended. A resumed
    search first replays the stored reports of finished trials, so that a pruner's state need not be saved.
    """

    def open(self, objective: Any) -> None:
        """Starts a search with ``objective``, forgetting any other."""

    @abc.abstractmethod
    def judge(self, trial: TrialRecord, report: Report, loss: float) -> Decision:
        """Judges an epoch; ``loss`` is the objective there, as something to minimise."""

    def end(self, trial: TrialRecord) -> None:
        """Takes notice of a trial that has ended."""
