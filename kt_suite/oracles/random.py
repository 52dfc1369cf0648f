"""Random search."""

from __future__ import annotations

from typing import Any

from kt_suite.oracles.base import Oracle
from kt_suite.oracles.untried import draw_untried
from kt_suite.trial import TrialStatus


class RandomSearchOracle(Oracle):
    """Draws every trial uniformly from the space, never the same twice; ends when a finite space is exhausted.

    Reference: Bergstra and Bengio, "Random search for hyper-parameter optimization", JMLR 13, 2012.

    Args:
        objective, max_trials, seed, hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial,
            max_consecutive_failed_trials: As for ``Oracle``.

    Example:
        >>> import kt_suite as kts
        >>> oracle = kts.oracles.RandomSearchOracle(objective="val_loss", max_trials=5, seed=0)
    """

    max_pending = None  # proposals do not follow from results

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        seed: int | None = None,
        hyperparameters: Any = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns random values that no trial has had."""
        values = draw_untried(self, self.space(), trial_id)
        if values is None:
            return {"status": TrialStatus.STOPPED}
        return {"status": TrialStatus.RUNNING, "values": values}
