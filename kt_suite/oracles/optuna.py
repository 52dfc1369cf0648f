"""Any sampler of Optuna."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kt_suite.oracles.base import Oracle
from kt_suite.oracles.observation import Observation
from kt_suite.oracles.optuna_study import OptunaStudy
from kt_suite.oracles.trial import Trial
from kt_suite.trial import TrialStatus


class OptunaOracle(Oracle):
    """Has a sampler of Optuna propose the trials: the extra ``optuna``.

    Conditional hyperparameters are sampled only where they are active, after their parents. Pending trials
    are known to the sampler, and no trial is proposed twice. See ``OptunaStudy`` for what is told to Optuna,
    for seeds and for resuming.

    Args:
        sampler: An ``optuna.samplers.BaseSampler``, or ``"tpe"``, ``"gp"`` (needs torch), ``"cmaes"`` (needs
            cmaes), ``"nsga2"``, ``"nsga3"``, ``"qmc"``, ``"random"`` or ``"brute_force"``.
        objective, max_trials, seed, hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial,
            max_consecutive_failed_trials: As for ``Oracle``.

    Raises:
        MissingExtraError: Optuna is not installed.
        InputError: An argument out of its range.

    Example:
        >>> from kt_suite.oracles.optuna import OptunaOracle
        >>> oracle = OptunaOracle("tpe", objective="val_loss", max_trials=30, seed=0)
    """

    def __init__(
        self,
        sampler: Any = "tpe",
        objective: Any = None,
        *,
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
        self._study = OptunaStudy(sampler, [self.objective], self._scores)

    @property
    def study(self) -> Any:
        """The ``optuna.Study`` behind the search, up to date: for ``optuna.visualization`` and the like."""
        with self._lock:
            return self._study.study_of(self)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the sampler's proposal."""
        values = self._study.propose(self, trial_id)
        if values is None:
            return {"status": TrialStatus.STOPPED}
        return {"status": TrialStatus.RUNNING, "values": values}

    def _own_checkpoint(self) -> dict[str, Any]:
        return {**super()._own_checkpoint(), "optuna": self._study.checkpoint()}

    def restore(self, trials: Iterable[Trial], checkpoint: Mapping[str, Any]) -> None:
        super().restore(trials, checkpoint)
        self._study.restore(checkpoint.get("optuna", []))

    def _scores(self, trial_id: str) -> list[float] | None:
        observation = Observation.of(self.trials[trial_id].record)
        return None if self.loss(observation) is None else [float(observation.score or 0.0)]
