"""Search for a front of several objectives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kt_suite import pareto
from kt_suite.acquisition import Evidence, propose
from kt_suite.acquisition.encoding import domain_of
from kt_suite.objective import check_reported, to_loss
from kt_suite.oracles.base import Oracle
from kt_suite.oracles.optuna_study import OptunaStudy
from kt_suite.oracles.pareto_objective import ParetoObjective
from kt_suite.oracles.quasi_random import draw_sobol
from kt_suite.oracles.trial import Trial
from kt_suite.oracles.untried import draw_untried
from kt_suite.space import Space
from kt_suite.trial import TrialStatus

_MIN_START = 4
_MIN_SCORED = 2
_AUGMENTATION = 0.05  # rho of equation 2
_SCORED = (TrialStatus.COMPLETED, TrialStatus.PRUNED)


class ParetoOracle(Oracle):
    """Searches for the trials that are best in one objective without being worse in all others.

    The default sampler is ParEGO: before each proposal all objectives are scaled to the extent of the front,
    weighed at random, and joined in one loss, on which a Gaussian process proposes as it does for a single
    objective. Over many trials the weights turn to all parts of the front. See ``ParetoObjective`` for the
    epoch at which objectives are read.

    Reference: Knowles, "ParEGO: a hybrid algorithm with on-line landscape approximation for expensive
    multiobjective optimization problems", IEEE TEC 10(1), 2006. Differences: weights are drawn uniformly from
    the simplex, not from a lattice; objectives are scaled to the front, not to all trials, so that one
    diverged trial does not flatten the rest.

    Args:
        objective: Metric names or ``Objective``s; epochs are scored by the first.
        sampler: ``"parego"``; ``"random"``; ``"quasi_random"``; or, with the extra ``optuna``, what
            ``OptunaOracle`` takes: ``"nsga2"``, ``"tpe"``, ``"gp"``, ... or a sampler, which then sees all
            objectives as they are.
        max_trials, seed, hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial,
            max_consecutive_failed_trials: As for ``Oracle``.

    Raises:
        MissingExtraError: The sampler is one of Optuna's, and Optuna is not installed.
        InputError: An argument out of its range.

    Example:
        >>> import kt_suite as kts
        >>> from kt_suite.oracles.pareto import ParetoOracle
        >>> oracle = ParetoOracle(["val_accuracy", kts.Objective("seconds", "min")], max_trials=40, seed=0)
    """

    def __init__(
        self,
        objective: Any,
        sampler: Any = "parego",
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
            objective=ParetoObjective(objective),
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        own = {"parego": _draw_parego, "random": draw_untried, "quasi_random": draw_sobol}
        self._draw: Any = own.get(sampler) if isinstance(sampler, str) else None
        self._study: OptunaStudy | None = None
        if self._draw is None:
            self._study = OptunaStudy(sampler, self.objective.objectives, self._scores)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the sampler's proposal."""
        if self._study is not None:
            values = self._study.propose(self, trial_id)
        else:
            values = self._draw(self, self.space(), trial_id)
        if values is None:
            return {"status": TrialStatus.STOPPED}
        return {"status": TrialStatus.RUNNING, "values": values}

    def notes(self) -> list[str]:
        parts = self.objective.objectives
        names = ", ".join(f"{part.name} ({part.direction})" for part in parts)
        return [f"Searching for the front of {names}; {parts[0].name} decides at which epoch they are read."]

    # What came of it

    def losses(self, trial: Any) -> np.ndarray | None:
        """Returns a trial's objectives, of shape ``(m,)``, as something to minimise; ``None`` if it has none."""
        if trial.status not in _SCORED or trial.score is None:
            return None
        metrics = trial.record.metrics
        if not self.objective.has_value(metrics):
            metrics = _tracked(trial, [part.name for part in self.objective.objectives])
        if not self.objective.has_value(metrics) or not math.isfinite(self.objective.get_value(metrics)):
            return None
        return np.asarray(self.objective.losses(metrics))

    def get_pareto_trials(self) -> list[Any]:
        """Returns the completed trials that no other dominates, the best in the first objective first."""
        trials, losses = self._completed()
        is_front = pareto.non_dominated(losses)
        front = [(float(loss[0]), trial) for trial, loss, one in zip(trials, losses, is_front, strict=True) if one]
        return [trial for _, trial in sorted(front, key=lambda pair: pair[0])]

    def get_best_trials(self, num_trials: int = 1) -> list[Any]:
        """Returns at most ``num_trials`` completed trials: the front before others, and those apart before
        those in a crowd.

        The first of them is the best in the first objective.
        """
        trials, losses = self._completed()
        return [trials[i] for i in pareto.best_first(losses)[:num_trials]]

    def hypervolumes(self, reference: Sequence[float] | None = None) -> list[float]:
        """Returns the hypervolume of the front after each completed trial, in the order in which they ended.

        Args:
            reference: A value for each objective, in its own unit, beyond which nothing counts. If ``None``,
                a point just beyond the worst of today's front in each objective, so that values of two calls
                compare only on the same trials.
        """
        trials, losses = self._completed()
        if not trials:
            return []
        bound = pareto.reference_point(losses)
        if reference is not None:
            parts = zip(self.objective.objectives, reference, strict=True)
            bound = np.array([to_loss(float(value), part.direction) for part, value in parts])
        order = {trial_id: i for i, trial_id in enumerate(self.end_order)}
        volumes, front = [], losses[:0]
        for i in sorted(range(len(trials)), key=lambda i: order.get(trials[i].trial_id, len(order))):
            front = np.vstack([front, losses[i]])
            front = front[pareto.non_dominated(front)]
            volumes.append(pareto.hypervolume(front, bound))
        return volumes

    def _completed(self) -> tuple[list[Any], np.ndarray]:
        trials = [trial for trial in self.trials.values() if trial.status == TrialStatus.COMPLETED]
        found = [(trial, loss) for trial in trials if (loss := self.losses(trial)) is not None]
        empty = np.empty((0, len(self.objective.objectives)))
        return [trial for trial, _ in found], np.array([loss for _, loss in found]) if found else empty

    def _scores(self, trial_id: str) -> list[float] | None:
        losses = self.losses(self.trials[trial_id])
        if losses is None:
            return None
        return [
            to_loss(float(loss), part.direction) for loss, part in zip(losses, self.objective.objectives, strict=True)
        ]

    # What the base asks for

    def _check_objective_found(self, metrics: Mapping[str, float]) -> None:
        check_reported(self.objective, metrics)

    def _own_checkpoint(self) -> dict[str, Any]:
        own = super()._own_checkpoint()
        return own if self._study is None else {**own, "optuna": self._study.checkpoint()}

    def restore(self, trials: Iterable[Trial], checkpoint: Mapping[str, Any]) -> None:
        super().restore(trials, checkpoint)
        if self._study is not None:
            self._study.restore(checkpoint.get("optuna", []))


def _draw_parego(oracle: ParetoOracle, space: Space, trial_id: str) -> dict[str, Any] | None:
    trials = [oracle.trials[one] for one in oracle.start_order]
    losses = [oracle.losses(trial) for trial in trials]
    scored = np.array([loss is not None for loss in losses], dtype=bool)
    if len(trials) < max(_MIN_START, len(space) + 1) or scored.sum() < _MIN_SCORED or not len(space):
        return draw_sobol(oracle, space, trial_id)
    rng = oracle.generator(trial_id)
    weights = rng.dirichlet(np.ones(len(oracle.objective.objectives)))
    joined = np.full(len(trials), np.nan)
    joined[scored] = tchebycheff(np.array([loss for loss in losses if loss is not None]), weights)
    evidence = Evidence.of(
        np.array([space.to_unit(trial.record.used_values) for trial in trials]),
        joined,
        is_pending=np.array([trial.status not in TrialStatus.FINISHED for trial in trials]),
        fidelities=np.array([trial.record.fidelity for trial in trials]),
    )
    is_new = lambda point: not oracle.has_tried(space.from_unit(point))  # noqa: E731
    points = propose(domain_of(space), evidence, rng, is_allowed=is_new)
    return space.from_unit(points[0]) if len(points) else draw_untried(oracle, space, trial_id)


def tchebycheff(losses: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the augmented Tchebycheff loss of points, scaled to the front (equation 2 of Knowles 2006).

    Args:
        losses: Points of shape ``(n, m)``, at least one.
        weights: Weights of shape ``(m,)``, at least 0.

    Returns:
        Losses of shape ``(n,)``, at least 0. The least of them, for some weights, is at any point of the
        front.
    """
    front = losses[pareto.non_dominated(losses)]
    extent = np.ptp(front, axis=0)
    extent = np.where(extent > 0, extent, np.ptp(losses, axis=0))
    weighed = weights * (losses - front.min(axis=0)) / np.where(extent > 0, extent, 1.0)
    return np.asarray(weighed.max(axis=1) + _AUGMENTATION * weighed.sum(axis=1))


def _tracked(trial: Any, names: Sequence[str]) -> dict[str, float]:
    """Returns metrics at a trial's scored epoch, as far as a plain KerasTuner tuner has reported them."""
    found = {}
    for name in names:
        history = trial.metrics.get_history(name) if trial.metrics.exists(name) else []
        if history:
            found[name] = float(next((one for one in history if one.step == trial.best_step), history[-1]).mean())
    return found
