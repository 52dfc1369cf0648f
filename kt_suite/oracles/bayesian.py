"""Bayesian optimisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kt_suite.acquisition import Evidence, Settings
from kt_suite.acquisition.encoding import evidence_of, propose_values
from kt_suite.errors import InputError, rule
from kt_suite.oracles.base import Oracle
from kt_suite.oracles.observation import Observation
from kt_suite.oracles.quasi_random import draw_sobol
from kt_suite.oracles.untried import draw_untried
from kt_suite.oracles.warm_start import WarmStart
from kt_suite.space import Space
from kt_suite.trial import TrialStatus

_NOISE_FREE = 1e-6
_MIN_INITIAL = 4
_MIN_SCORED = 2


class BayesianOptimizationOracle(Oracle):
    """Models the objective by a Gaussian process, and tries where it expects the most improvement.

    After a few space-filling trials, each proposal maximises log expected improvement under a Matérn-5/2 surrogate with
    one length-scale for each hyperparameter. Categories have no order, unless they are ``ordered``; inactive
    hyperparameters
    stand for nothing; pending trials count as if the surrogate had been right about them, so that many slots get
    different proposals; failed ones teach it to keep away. Nothing is proposed twice, and a finite space ends when it
    is
    exhausted. Past some hundred trials the surrogate sees a chosen subset of them, which bounds the time of a proposal.

    References: Ament et al., "Unexpected improvements to expected improvement for Bayesian optimization", NeurIPS 2023
    (acquisition); Cowen-Rivers et al., "HEBO", JAIR 74, 2022 (warped losses); Hvarfner et al., "Vanilla Bayesian
    optimization
    performs great in high dimensions", ICML 2024 (priors). Deviations are told in ``kt_suite.surrogates`` and
    ``kt_suite.acquisition``.

    If any hyperparameter was given a ``default``, the first trial takes the defaults, and the middle of the range
    elsewhere.

    Args:
        objective: As for ``Oracle``.
        max_trials: As for ``Oracle``.
        num_initial_points: Trials before the surrogate takes over, enqueued ones included, at least 1. If ``None``,
            one more than
            there are hyperparameters, but no more than half of ``max_trials``, and at least 4; none with
            ``warm_start``.
        alpha: Variance of the noise in units of the scores' variance, above 0; learned if ``None``.
        beta: If given, at least 0, the lower confidence bound ``mean - beta * deviation`` is minimised in place of
            maximising the
            expected improvement. More explores more.
        seed: As for ``Oracle``.
        hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial, max_consecutive_failed_trials: As
            for
            ``Oracle``.
        noise_free: Whether the same values always give the same score.
        cost_aware: Whether improvement is counted per second of training.
        warm_start: Earlier searches to learn from, their spaces may differ: project directories, tuners or oracles.
            They are
            read once, here; a search that is resumed reads them again.

    Raises:
        InputError: An argument out of its range.

    Example:
        >>> import kt_suite as kts
        >>> oracle = kts.oracles.BayesianOptimizationOracle(objective="val_loss", max_trials=30, seed=0)
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        num_initial_points: int | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        seed: int | None = None,
        hyperparameters: Any = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        noise_free: bool = False,
        cost_aware: bool = False,
        warm_start: Sequence[Any] = (),
    ) -> None:
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        if num_initial_points is not None and num_initial_points < 1:
            raise InputError(rule("num_initial_points", "be at least 1", num_initial_points))
        if alpha is not None and not 0.0 < alpha < math.inf:
            raise InputError(rule("alpha", "be above 0", alpha, "Leave it out to have the noise learned."))
        if alpha is not None and noise_free:
            raise InputError(rule("alpha", "be None where noise_free is set", alpha))
        if beta is not None and not 0.0 <= beta < math.inf:
            raise InputError(rule("beta", "be at least 0", beta))
        self.num_initial_points = num_initial_points
        self._settings = Settings(noise=_NOISE_FREE if noise_free else alpha, beta=beta, is_cost_aware=cost_aware)
        self._warm_start = WarmStart(warm_start)
        # Coordinates of finished trials: they follow from the trials, and are kept because encoding thousands takes
        # long.
        self._encoded: dict[str, np.ndarray] = {}
        self._num_encoded = 0

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of a new trial."""
        space = self.space()
        values = self._next_values(space, trial_id)
        if values is None or self.has_tried(values):
            values = draw_untried(self, space, trial_id)
        if values is None:
            return {"status": TrialStatus.STOPPED}
        return {"status": TrialStatus.RUNNING, "values": values}

    def _next_values(self, space: Space, trial_id: str) -> dict[str, Any] | None:
        if len(space) == 0:
            return None
        others = self._warm_start.evidence(space)
        evidence = self._own_evidence(space).joined(others)
        is_initial = len(self.trials) < self._count_initial(len(space), is_warm=bool(others))
        if not self.trials and is_initial and (start := _start(space)) is not None:
            return start
        if is_initial or np.count_nonzero(evidence.is_scored) < _MIN_SCORED:
            return draw_sobol(self, space, trial_id)
        rng = self.generator(trial_id)
        found = propose_values(space, evidence, rng, settings=self._settings, has_tried=self.has_tried)
        return found[0] if found else None

    def _count_initial(self, num_dimensions: int, *, is_warm: bool) -> int:
        if self.num_initial_points is not None:
            return self.num_initial_points
        if is_warm:
            return 0
        most = math.inf if self.max_trials is None else self.max_trials // 2
        return int(max(_MIN_INITIAL, min(num_dimensions + 1, most)))

    def _own_evidence(self, space: Space) -> Evidence:
        if self._num_encoded != len(self.hyperparameters.space):
            self._encoded.clear()
            self._num_encoded = len(self.hyperparameters.space)

        def encode(observation: Observation) -> np.ndarray:
            unit = self._encoded.get(observation.trial_id)
            if unit is None:
                unit = space.to_unit(observation.values)
                if not observation.is_pending:
                    self._encoded[observation.trial_id] = unit
            return unit

        observations = self.history()
        return evidence_of(space, observations, [self.loss(one) for one in observations], encode=encode)  # type: ignore[arg-type]


def _start(space: Space) -> dict[str, Any] | None:
    """Returns the defaults, if any was given: whoever wrote one down meant something by it."""
    unit = np.full(len(space), 0.5)
    # Without a default, KerasTuner keeps None, and False for a Boolean.
    given = [(j, one) for j, one in enumerate(space.dimensions) if one.hp._default not in (None, False)]
    for j, dimension in given:
        unit[j] = dimension.coordinate(dimension.hp._default)
    return space.from_unit(unit) if given else None
