"""The optimisers that `regret.py` compares, behind one door: `suggest()` and `observe()`."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import keras_tuner

import kt_suite as kts
from kt_suite.oracles import RandomSearchOracle
from kt_suite.oracles.bayesian import BayesianOptimizationOracle

Values = dict[str, Any]
Declare = Callable[[Any], None]


class Optimizer(ABC):
    """Proposes values, and takes their losses in the same order."""

    @abstractmethod
    def suggest(self) -> Values:
        """Returns the values to evaluate next."""

    @abstractmethod
    def observe(self, loss: float) -> None:
        """Takes the loss of the values last suggested."""


class OracleOptimizer(Optimizer):
    """Any oracle, ours or KerasTuner's."""

    def __init__(self, make_oracle: Any, declare: Declare, num_trials: int, seed: int, **options: Any) -> None:
        hp = kts.HyperParameters()
        declare(hp)
        objective = keras_tuner.Objective("loss", "min")
        # KerasTuner draws a seed of its own when it is given 0.
        seed = seed if make_oracle.__module__.startswith("kt_suite") else seed + 1
        self.oracle = make_oracle(objective=objective, max_trials=num_trials, seed=seed, hyperparameters=hp, **options)
        self.oracle.verbose = 0
        self.oracle._display.verbose = 0
        self.oracle.save = lambda *arguments: None
        self.oracle._save_trial = lambda trial: None
        self._trial: Any = None

    def suggest(self) -> Values:
        self._trial = self.oracle.create_trial("tuner")
        return dict(self._trial.hyperparameters.values)

    def observe(self, loss: float) -> None:
        self.oracle.update_trial(self._trial.trial_id, {"loss": loss})
        self._trial = self.oracle.get_trial(self._trial.trial_id)
        self._trial.status = "COMPLETED"
        self.oracle.end_trial(self._trial)


class OptunaOptimizer(Optimizer):
    """A sampler of Optuna, asked as its users would ask it: conditional parameters are suggested where they are
    active.
    """

    def __init__(self, make_sampler: Any, declare: Declare, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.study = optuna.create_study(sampler=make_sampler(seed))
        self._hp = kts.HyperParameters()
        declare(self._hp)
        self._trial: Any = None

    def suggest(self) -> Values:
        self._trial = self.study.ask()
        values: Values = {}
        for hp in self._hp.space:
            if all(condition.is_active(values) for condition in hp.conditions):
                values[hp.name] = self._suggest(hp)
        return values

    def _suggest(self, hp: Any) -> Any:
        kind, is_log = type(hp).__name__, getattr(hp, "sampling", None) == "log"
        if kind == "Float":
            return self._trial.suggest_float(hp.name, hp.min_value, hp.max_value, log=is_log)
        if kind == "Int":
            return self._trial.suggest_int(hp.name, hp.min_value, hp.max_value, log=is_log)
        return self._trial.suggest_categorical(hp.name, list(hp.values))

    def observe(self, loss: float) -> None:
        self.study.tell(self._trial, loss)


def make_optimizers(*, is_noisy: bool) -> dict[str, Callable[[Declare, int, int], Optimizer]]:
    """Returns, by name, functions of the declaration of a space, the number of trials and a seed.

    Optuna's GP is told whether the objective is noisy, which it wants to know; kt_suite finds out by itself.
    """

    def tpe(seed: int) -> Any:
        from optuna.samplers import TPESampler

        return TPESampler(seed=seed)

    def gp(seed: int) -> Any:
        from optuna.samplers import GPSampler

        return GPSampler(seed=seed, deterministic_objective=not is_noisy)

    peer = keras_tuner.oracles.BayesianOptimizationOracle
    return {
        "kt_suite": lambda declare, n, seed: OracleOptimizer(BayesianOptimizationOracle, declare, n, seed),
        "keras_tuner": lambda declare, n, seed: OracleOptimizer(peer, declare, n, seed),
        "optuna_tpe": lambda declare, n, seed: OptunaOptimizer(tpe, declare, seed),
        "optuna_gp": lambda declare, n, seed: OptunaOptimizer(gp, declare, seed),
        "random": lambda declare, n, seed: OracleOptimizer(RandomSearchOracle, declare, n, seed),
    }
