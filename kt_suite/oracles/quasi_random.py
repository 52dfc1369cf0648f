"""Quasi-random search."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.stats import qmc

from kt_suite.oracles.base import Oracle
from kt_suite.oracles.untried import draw_untried
from kt_suite.space import Space
from kt_suite.trial import TrialStatus

# Points that may all be repeats before the untried points of a finite space are drawn from at random.
_MAX_COLLISIONS = 64
_MIN_DIMENSIONS = 16
# SciPy renamed the argument in 1.15.
_SEED = "rng" if "rng" in inspect.signature(qmc.Sobol).parameters else "seed"


class QuasiRandomOracle(Oracle):
    """Walks a scrambled Sobol sequence, which covers the space more evenly than random values do.

    Trial ``k`` takes point ``k`` of the sequence, or the first one after it that is no repeat, so that
    nothing has to be saved to resume. A finite space ends when it is exhausted. Trials cover the space most
    evenly when their number is a power of two.

    References: Sobol, "On the distribution of points in a cube and the approximate evaluation of integrals",
    USSR Comp. Math. Math. Phys. 7, 1967; scrambling: Matousek, "On the L2-discrepancy for anchored boxes", J.
    Complexity 14, 1998; for hyperparameters: Bousquet et al., "Critical hyper-parameters: no random, no cry",
    2017, arXiv 1706.03200.

    Differences: the sequence always has a power of two of dimensions, of which the space takes the first
    ones. A space that grows, because building met new hyperparameters, thus goes on along the same sequence,
    except where it crosses a power of two: there a new one begins, at the same point. Dimensions beyond
    SciPy's 21,201 are random.

    Args:
        objective, max_trials, seed, hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial,
            max_consecutive_failed_trials: As for ``Oracle``.

    Example:
        >>> from kt_suite.oracles.quasi_random import QuasiRandomOracle
        >>> oracle = QuasiRandomOracle(objective="val_loss", max_trials=16, seed=0)
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
        """Returns the values at the trial's point of the sequence, or at the first after it that is no repeat."""
        values = draw_sobol(self, self.space(), trial_id)
        if values is None:
            return {"status": TrialStatus.STOPPED}
        return {"status": TrialStatus.RUNNING, "values": values}


def draw_sobol(oracle: Oracle, space: Space, trial_id: str) -> dict[str, Any] | None:
    """Returns the values at a trial's point of a scrambled Sobol sequence.

    Returns:
        The values, those of the first point after it if a trial has had them; ``None`` when a finite space holds no
        others.
    """
    points = sobol(len(space), seed=oracle.seed, first=int(trial_id))
    for _ in range(_MAX_COLLISIONS):
        values = space.from_unit(next(points))
        if not oracle.has_tried(values):
            return values
    return draw_untried(oracle, space, trial_id)


def sobol(num_dimensions: int, *, seed: int, first: int = 0) -> Iterator[np.ndarray]:
    """Yields the points of a scrambled Sobol sequence without end.

    Args:
        num_dimensions: Length of each point, at least 0.
        seed: Seed of the scrambling.
        first: Number of the first point, from 0.

    Yields:
        Points of shape ``(num_dimensions,)`` in [0, 1). They begin with the same coordinates for
        all ``num_dimensions`` between the same two powers of two.
    """
    size = max(_MIN_DIMENSIONS, 1 << max(num_dimensions - 1, 0).bit_length())
    engine = qmc.Sobol(min(size, qmc.Sobol.MAXDIM), scramble=True, **{_SEED: np.random.default_rng([seed, size])})
    if first:
        engine.fast_forward(first)
    for number in range(first, 2**30):
        point = engine.random(1)[0]
        if num_dimensions > len(point):
            beyond = np.random.default_rng([seed, size, number]).random(num_dimensions - len(point))
            point = np.concatenate([point, beyond])
        yield point[:num_dimensions]
