"""Rules about attempts: which may be made again, which count as failures, which are the best."""

from __future__ import annotations

import heapq
from typing import Any

from kt_suite.errors import SearchFailedError
from kt_suite.objective import sign
from kt_suite.trial import TrialStatus


def begin_again(trial: Any) -> None:
    """Makes a trial ready for another attempt; nothing that an earlier one reported counts."""
    trial.record.attempt += 1
    trial.status, trial.message, trial.score = TrialStatus.RUNNING, None, None
    trial.metrics = type(trial.metrics)()


def check_consecutive_failures(oracle: Any) -> None:
    """Raises ``SearchFailedError`` if the last trials to end have all failed and are too many."""
    row: list[Any] = []
    for trial_id in reversed(oracle.end_order):
        if oracle.trials[trial_id].status != TrialStatus.FAILED:
            break
        row.append(oracle.trials[trial_id])
    limit = oracle.max_consecutive_failed_trials
    if row and len(row) % limit == 0:
        first = row[-1]
        raise SearchFailedError(
            f"{len(row)} trials in a row have failed (max_consecutive_failed_trials={limit}). "
            f"The first, trial {first.trial_id}:\n{first.message}"
        )


def best_trials(oracle: Any, num_trials: int = 1) -> list[Any]:
    """Returns at most ``num_trials`` completed trials of any oracle, best first, the earlier of equals first."""
    completed = [trial for trial in oracle.trials.values() if trial.status == TrialStatus.COMPLETED]
    factor = sign(oracle.objective.direction)
    return heapq.nsmallest(num_trials, completed, key=lambda trial: factor * trial.score)
