"""Weights and states of the trials that may need them later, as files where inline training leaves them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from kt_suite.executors.fused.attempt import Attempt, Run
from kt_suite.executors.training import fused_state_path, run_checkpoint, save_weights
from kt_suite.objective import to_loss

# Files take longer than training a small model. Trials a little below the best ones are remembered, as some of those
# may yet be pruned or fail.
_MARGIN = 5


class Keeper:
    """Remembers weights of runs that may be among the best, and writes them once.

    Args:
        runner: The tuner.
    """

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._keep = math.inf if runner.keep_checkpoints == "all" else float(runner.keep_checkpoints)
        self._is_best_kept = runner.score == "best"
        self._losses: dict[tuple[str, int], float] = {}  # of attempts that have ended and are not written yet

    def _loss(self, score: float | None) -> float:
        loss = math.inf if score is None else to_loss(score, str(self._runner.oracle.objective.direction))
        return math.inf if math.isnan(loss) else loss

    def note_epoch(self, runs: Iterable[Run], attempts: Iterable[Attempt]) -> None:
        """Remembers the weights of runs whose last epoch was their best.

        Args:
            runs: Those that have just ended an epoch.
            attempts: All that are under way.
        """
        improved = [run for run in runs if run.has_improved]
        if not self._keep or not self._is_best_kept or not improved:
            return
        bar = self._bar(attempts)
        for run in improved:
            if len(run.attempt.runs) > 1 or run.monitor._best <= bar:
                run.best = run.weights()

    def _bar(self, attempts: Iterable[Attempt]) -> float:
        """Returns the loss that a run must reach to be remembered: losses of others can only fall."""
        if self._keep == math.inf or self._runner.pruner is not None:
            return math.inf
        under_way = [min(run.monitor._best for run in attempt.runs) for attempt in attempts if attempt.runs]
        return self._worst_kept(under_way, int(self._keep) + _MARGIN, set())

    def _worst_kept(self, others: list[float], number: int, left_out: set[str]) -> float:
        best = self._runner.oracle.get_best_trials(number)
        losses = [self._loss(trial.score) for trial in best if trial.trial_id not in left_out]
        losses = sorted([*losses, *others])
        return losses[number - 1] if len(losses) >= number else math.inf

    def finish(self, run: Run) -> None:
        """Takes what is needed of a run that has ended, while it is still in its stack."""
        spec = run.attempt.spec
        run.attempt.runner._keep_build_config(run.model)
        if spec.keeps_state:
            run.lane.snapshot(run).save(fused_state_path(spec.directory, run.monitor.run))
        if self._keep and (not self._is_best_kept or run.monitor.best_epoch is None):
            run.best = run.weights()

    def write(self, attempt: Attempt, ended: Iterable[Attempt]) -> None:
        """Writes the weights of an attempt's best run, if the trial may be among those that are kept.

        Args:
            attempt: The attempt; it is over.
            ended: Others that have ended with it and are not booked yet.
        """
        if not self._keep:
            return
        if self._keep != math.inf:
            parent = attempt.spec.trial.record.parent
            others = [self._score_of_attempt(one) for one in ended if one is not attempt and not one.is_pruned]
            bar = self._worst_kept(others, int(self._keep), {parent} if parent else set())
            if self._score_of_attempt(attempt) > bar:
                return
        plan = attempt.ended_runs[0].monitor.plan
        if plan.rows is not None or plan.task is not None:  # the model of every run
            for run in attempt.ended_runs:
                save_weights(run.model, run.best, attempt.spec.directory, run_checkpoint(run.monitor.run))
            return
        best = min(attempt.ended_runs, key=self._score_of)
        if best.best is not None:
            save_weights(best.model, best.best, attempt.spec.directory)

    def _score_of(self, run: Run) -> float:
        monitor, objective = run.monitor, self._runner.oracle.objective
        if self._is_best_kept and monitor.best_epoch is not None:
            return float(monitor._best)
        scored = [metrics for metrics in monitor.curve if objective.has_value(metrics)]
        return self._loss(float(objective.get_value(scored[-1]))) if scored else math.inf

    def _score_of_attempt(self, attempt: Attempt) -> float:
        key = attempt.trial_id, attempt.spec.attempt
        if key not in self._losses:
            losses = [self._score_of(run) for run in attempt.ended_runs]
            self._losses[key] = sum(losses) / len(losses)
        return self._losses[key]
