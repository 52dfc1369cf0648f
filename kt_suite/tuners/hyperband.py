"""Hyperband and ASHA as a tuner."""

from __future__ import annotations

from typing import Any

from kt_suite.oracles.hyperband import HyperbandOracle, Propose
from kt_suite.tuner import Tuner


class Hyperband(Tuner):
    """Trains many models for few epochs, and only the best of them for more; a promoted one goes on where it was.

    The schedule decides how many trials there are and how long each is trained; it is shown before the search starts.
    ``epochs`` of ``search`` has no effect.

    Args:
        hypermodel: A ``HyperModel``, or a function ``build(hp)``.
        objective: A metric name, an ``Objective``, a list of them (their signed sum is minimised), or ``None``.
        max_epochs: Epochs of a full training.
        factor: The best one in ``factor`` is promoted, to ``factor`` times the budget; at least 2.
        hyperband_iterations: How often the schedule is gone through; ``None`` or ``float("inf")`` for no end.
        seed: Any integer from 0; drawn afresh if ``None``.
        hyperparameters: Definitions that override those met in building.
        tune_new_entries: Whether hyperparameters that are not in ``hyperparameters`` are tuned.
        allow_new_entries: Whether building may ask for such.
        max_retries_per_trial: How often a trial that raised or returned NaN is tried again.
        max_consecutive_failed_trials: Failed trials in a row that end the search.
        asynchronous: Whether to promote without waiting for the others (ASHA); for several slots.
        sampler: Where new configurations come from: ``"random"``; ``"bayesian"``, a surrogate of the largest budget
            with enough results; or a function, see ``HyperbandOracle``.
        budget: What is rationed: ``"epochs"``; or ``"data"``, where every trial is trained for ``max_epochs``, on a
            share of the training data.
        min_epochs: Smallest budget.
        **kwargs: As for ``Tuner``.

    Raises:
        InputError: An argument out of its range.

    Example:
        >>> import keras, kt_suite as kts
        >>> def build(hp):
        ...     model = keras.Sequential(
        ...         [keras.Input((8,)), keras.layers.Dense(hp.Int("units", 4, 32)), keras.layers.Dense(1)]
        ...     )
        ...     model.compile("adam", "mse")
        ...     return model
        >>> tuner = kts.Hyperband(build, objective="val_loss", max_epochs=27, seed=0)
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_epochs: int = 100,
        factor: float = 3,
        hyperband_iterations: float | None = 1,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        asynchronous: bool = False,
        sampler: str | Propose = "random",
        budget: str = "epochs",
        min_epochs: int = 1,
        **kwargs: Any,
    ) -> None:
        oracle = HyperbandOracle(
            objective=objective,
            max_epochs=max_epochs,
            factor=factor,
            hyperband_iterations=hyperband_iterations,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            asynchronous=asynchronous,
            sampler=sampler,
            budget=budget,
            min_epochs=min_epochs,
        )
        super().__init__(oracle, hypermodel, **kwargs)
