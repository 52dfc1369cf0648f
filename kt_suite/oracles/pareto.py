"""Search for a front of several objectives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kt_suite import pareto
from kt_suite.acquisition.encoding import evidence_of, propose_values
from kt_suite.errors import InputError, rule
from kt_suite.objective import check_reported, names, to_loss
from kt_suite.oracles.base import Oracle
from kt_suite.oracles.optuna_study import OptunaStudy
from kt_suite.oracles.pareto_objective import ParetoObjective
from kt_suite.oracles.quasi_random import draw_sobol
from kt_suite.oracles.trial import Trial
from kt_suite.oracles.untried import draw_untried
from kt_suite.space import Space
from kt_suite.trial import TrialStatus

_MIN_INITIAL = 4
_MIN_SCORED = 2
_START_OF_RAY = 1.1
_MIN_SLOPE = 1e-3
_TIE_BREAK = 0.01
_SCORED = (TrialStatus.COMPLETED, TrialStatus.PRUNED)


class ParetoOracle(Oracle):
    """Searches for the trials that are best in one objective without being worse in all others.

    The default sampler is ParEGO's idea: before each proposal all objectives are joined in one loss at
    random, on which a Gaussian process proposes as it does for a single objective. Over many trials these
    losses turn to all parts of the front. See ``ParetoObjective`` for the epoch at which objectives are read,
    and ``along_ray`` for the loss.

    References: Knowles, "ParEGO: a hybrid algorithm with on-line landscape approximation for expensive
    multiobjective optimization problems", IEEE TEC 10(1), 2006; Zhang and Golovin, "Random hypervolume
    scalarizations for provable multi-objective black box optimization", ICML 2020, for the loss that takes
    the place of ParEGO's.

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
        front = ", ".join(f"{part.name} ({part.direction})" for part in parts)
        return [f"Searching for the front of {front}; {parts[0].name} decides at which epoch they are read."]

    # What came of it

    def losses(self, trial: Any) -> np.ndarray | None:
        """Returns a trial's objectives, of shape ``(m,)``, as something to minimise; ``None`` if it has none."""
        if trial.status not in _SCORED or trial.score is None:
            return None
        metrics = trial.record.metrics
        if not self.objective.has_value(metrics):
            metrics = _tracked(trial, names(self.objective))
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
        """Returns at most ``num_trials`` completed trials: the front before others, those apart before a
        crowd.

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

        Raises:
            InputError: There are not as many values as objectives.
        """
        trials, losses = self._completed()
        if not trials:
            return []
        bound = pareto.reference_point(losses) if reference is None else self._bound(reference)
        known = {trial.trial_id: loss for trial, loss in zip(trials, losses, strict=True)}
        volumes, front = [], losses[:0]
        for trial_id in self.end_order:
            if trial_id in known:
                front = np.vstack([front, known[trial_id]])
                front = front[pareto.non_dominated(front)]
                volumes.append(pareto.hypervolume(front, bound))
        return volumes

    def _bound(self, reference: Sequence[float]) -> np.ndarray:
        parts = self.objective.objectives
        if len(reference) != len(parts):
            raise InputError(rule("reference", f"hold a value for each of {names(self.objective)}", list(reference)))
        return np.array([to_loss(float(value), part.direction) for value, part in zip(reference, parts, strict=True)])

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

    def _score(self, trial: Any) -> None:
        is_scored = trial.score is not None
        super()._score(trial)
        if not is_scored:  # by a plain KerasTuner tuner, which knows metrics, but no record
            trial.record.metrics = {**trial.record.metrics, **_tracked(trial, names(self.objective))}
        if trial.status == TrialStatus.COMPLETED and self.losses(trial) is None:
            trial.message = f"The objectives are {trial.record.metrics}."
            trial.status, trial.score = TrialStatus.INVALID, None

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
    observations = oracle.history()
    losses = [oracle.losses(oracle.trials[one.trial_id]) for one in observations]
    scored = [i for i, loss in enumerate(losses) if loss is not None]
    most = math.inf if oracle.max_trials is None else oracle.max_trials // 2
    num_initial = max(_MIN_INITIAL, min(len(space) + 1, most))
    if len(observations) < num_initial or len(scored) < _MIN_SCORED or not len(space):
        return draw_sobol(oracle, space, trial_id)
    rng = oracle.generator(trial_id)
    ray = np.abs(rng.standard_normal(len(oracle.objective.objectives)))
    joined: list[float | None] = [None] * len(losses)
    for i, loss in zip(scored, along_ray(np.array([losses[i] for i in scored]), ray), strict=True):
        joined[i] = float(loss)
    found = propose_values(space, evidence_of(space, observations, joined), rng, has_tried=oracle.has_tried)
    return found[0] if found else draw_untried(oracle, space, trial_id)


def along_ray(losses: np.ndarray, ray: np.ndarray) -> np.ndarray:
    """Returns how far points fall short of a front, looked at along a ray.

    Objectives are scaled to the front: 0 is its best value, 1 its worst. The ray starts a little beyond the
    worst, and leads to better values of all objectives; a point is as good as the length of the ray that it
    dominates. The mean of that length, to the power of the number of objectives, over rays in all directions
    is the hypervolume up to a factor (Zhang and Golovin 2020). Unlike Tchebycheff's distance to the best
    value of each objective, which ParEGO takes, it does not draw trials to the ends of concave fronts.
    Differences: the length is taken as it is, also where it is negative, so that points beyond the start of
    the ray compare too; a hundredth of the mean loss breaks ties.

    Args:
        losses: Points of shape ``(n, m)``, at least one.
        ray: Direction of shape ``(m,)``, at least 0 and somewhere above.

    Returns:
        Losses of shape ``(n,)``.

    Example:
        >>> import numpy as np
        >>> along_ray(np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]), np.array([1.0, 1.0])).argmin().tolist()
        1
    """
    front = losses[pareto.non_dominated(losses)]
    extent = np.ptp(front, axis=0)
    extent = np.where(extent > 0, extent, np.ptp(losses, axis=0))
    scaled = (losses - front.min(axis=0)) / np.where(extent > 0, extent, 1.0)
    ray = np.maximum(ray / np.linalg.norm(ray), _MIN_SLOPE)
    short = (scaled - _START_OF_RAY) / ray
    return np.asarray(short.max(axis=1) + _TIE_BREAK * scaled.mean(axis=1))


def _tracked(trial: Any, metrics: Sequence[str]) -> dict[str, float]:
    """Returns metrics at a trial's scored epoch, as far as a plain KerasTuner tuner has reported them."""
    found = {}
    for name in metrics:
        history = trial.metrics.get_history(name) if trial.metrics.exists(name) else []
        if history:
            found[name] = float(next((one for one in history if one.step == trial.best_step), history[-1]).mean())
    return found
