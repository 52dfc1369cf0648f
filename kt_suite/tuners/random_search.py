"""Random search as a tuner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kt_suite.oracles.random import RandomSearchOracle
from kt_suite.tuner import Tuner
from kt_suite.tuners.front import make_oracle


class RandomSearch(Tuner):
    """Tries values drawn at random, none twice; stops by itself when a finite space is exhausted.

    Args:
        hypermodel: A ``HyperModel``, or a function ``build(hp)``.
        objective: A metric name, an ``Objective``, a list of them (their signed sum is minimised), or ``None``.
        max_trials: Trials at most.
        seed: Any integer from 0; drawn afresh if ``None``.
        hyperparameters: Definitions that override those met in building.
        tune_new_entries: Whether hyperparameters that are not in ``hyperparameters`` are tuned.
        allow_new_entries: Whether building may ask for such.
        max_retries_per_trial: How often a trial that raised or returned NaN is tried again.
        max_consecutive_failed_trials: Failed trials in a row that end the search.
        pareto: Metric names or ``Objective``s whose front is searched for, in place of ``objective``; see
            ``ParetoOracle``.
        **kwargs: As for ``Tuner``.

    Raises:
        InputError: An argument out of its range.

    Example:
        >>> import keras, kt_suite as kts
        >>> def build(hp):
        ...     layers = [keras.Input((8,)), keras.layers.Dense(hp.Int("units", 4, 32)), keras.layers.Dense(1)]
        ...     model = keras.Sequential(layers)
        ...     model.compile("adam", "mse")
        ...     return model
        >>> tuner = kts.RandomSearch(build, objective="val_loss", max_trials=5, seed=0)
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        pareto: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        arguments = {
            "max_trials": max_trials,
            "seed": seed,
            "hyperparameters": hyperparameters,
            "tune_new_entries": tune_new_entries,
            "allow_new_entries": allow_new_entries,
            "max_retries_per_trial": max_retries_per_trial,
            "max_consecutive_failed_trials": max_consecutive_failed_trials,
        }
        oracle = make_oracle(RandomSearchOracle, objective, pareto, sampler="random", arguments=arguments)
        super().__init__(oracle, hypermodel, **kwargs)
