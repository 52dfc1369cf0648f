"""Tuners whose trials are calls of a function: searches that take milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kt_suite as kts
from kt_suite.oracles import RandomSearchOracle


def black_box(
    run: Callable[[Any], Any], oracle: Any = None, *, max_trials: int | None = 5, seed: int | None = 0, **options: Any
) -> Any:
    """Returns a tuner that calls ``run(trial)`` for each trial.

    Args:
        run: From a trial to anything that ``run_trial`` may return.
        oracle: The oracle; random search if ``None``.
        max_trials: Trials at most, for random search.
        seed: Seed of random search.
        **options: Arguments of ``Tuner``, and of random search if they are its own.
    """

    class BlackBox(kts.Tuner):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            return run(trial)

    own = (
        "objective",
        "hyperparameters",
        "tune_new_entries",
        "allow_new_entries",
        "max_retries_per_trial",
        "max_consecutive_failed_trials",
    )
    settings = {name: options.pop(name) for name in own if name in options}
    made = oracle or RandomSearchOracle(max_trials=max_trials, seed=seed, **settings)
    return BlackBox(made, **{"directory": "projects", "project_name": "search", "tensorboard": None, **options})


def parabola(trial: Any) -> float:
    """Returns the loss of a trial over two hyperparameters."""
    hp = trial.hyperparameters
    return float((hp.Float("x", -1.0, 1.0) - 0.3) ** 2 + hp.Int("n", 0, 3))


def table(tuner: Any) -> list[tuple[str, str, dict[str, Any], float | None]]:
    """Returns what a search came to: id, status, values and score of each trial, in the order of their proposal."""
    rows = [(row["trial_id"], row["status"], row["values"], row["score"]) for row in tuner.results()]
    return sorted(rows, key=lambda row: row[0])
