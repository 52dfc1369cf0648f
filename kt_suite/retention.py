"""What stays on disk of the trials that have ended."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from kt_suite.executors.training import CHECKPOINTS, STATES
from kt_suite.oracles.books import keeps_state
from kt_suite.oracles.trial import Trial
from kt_suite.search import attempt_directory


class Retention:
    """Deletes weights of trials that are no longer among the best, and states that no trial will go on from.

    Args:
        project: The project directory.
        oracle: The oracle, which knows the best and whose state is still needed.
        keep: Number of best trials whose weights stay, or ``"all"``.
    """

    def __init__(self, project: Path, oracle: Any, keep: int | str) -> None:
        self._project = project
        self._oracle = oracle
        self._keep = keep
        self._with_weights = self._holding(CHECKPOINTS)
        self._with_state = self._holding(STATES)

    def _holding(self, pattern: str) -> set[str]:
        found = self._project.glob(f"trial_*/attempt_*/{pattern}")
        trial_ids = {path.parent.parent.name.removeprefix("trial_") for path in found}
        return {trial_id for trial_id in trial_ids if trial_id in self._oracle.trials}

    def on_ended(self, trial: Trial) -> None:
        """Takes notice of an attempt that has ended."""
        directory = self._directory(trial.trial_id)
        for other in directory.parent.glob("attempt_*"):
            if other != directory:
                shutil.rmtree(other, ignore_errors=True)
        if any(directory.glob(CHECKPOINTS)):
            self._with_weights.add(trial.trial_id)
        if any(directory.glob(STATES)):
            self._with_state.add(trial.trial_id)
        for trial_id in [one for one in self._with_state if not keeps_state(self._oracle, self._oracle.trials[one])]:
            self._with_state.discard(trial_id)
            for path in self._directory(trial_id).glob(STATES):
                path.unlink()
        if self._keep == "all":
            return
        best = {one.trial_id for one in self._oracle.get_best_trials(int(self._keep)) if one.score is not None}
        for trial_id in self._with_weights - best:
            for path in self._directory(trial_id).glob(CHECKPOINTS):
                path.unlink()
        self._with_weights &= best

    def _directory(self, trial_id: str) -> Path:
        return attempt_directory(self._project, trial_id, self._oracle.trials[trial_id].record.attempt)
