"""What a tuner tells of its search: facts to be stored with it, and results."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kt_suite import leaderboard
from kt_suite.errors import InputError, ProjectError, rule
from kt_suite.fold_models import FoldModels
from kt_suite.hyperparameters import describe
from kt_suite.limits import Limits
from kt_suite.loggers.base import SearchInfo
from kt_suite.oracles.base import Oracle
from kt_suite.project import devices
from kt_suite.space import Space
from kt_suite.storage import Storage
from kt_suite.trial import TrialRecord


class SearchResults(FoldModels):
    """The part of a tuner that describes its search and reads what came of it."""

    executor: Any
    tensorboard: str | None
    _limits: Limits
    _path: Path
    _storage: Storage | None
    _user_facts: dict[str, Any]
    _fit_args: tuple[Any, ...]
    _fit_kwargs: dict[str, Any]

    # Facts

    def _settings(self) -> dict[str, Any]:
        """What a resumed search must share with the one that was stored."""
        objective = self.oracle.objective
        return {
            "name": self.project_name,
            "objective": objective.name,
            "direction": objective.direction,
            "oracle": type(self.oracle).__name__,
            "score": self.score,
            "runs_per_trial": self.executions_per_trial,
            "seed": self.oracle.seed,
            "objectives": [[part.name, part.direction] for part in getattr(objective, "objectives", [objective])],
        }

    def _changing_facts(self) -> dict[str, Any]:
        return {
            "max_trials": self.oracle.max_trials,
            "space": [describe(hp) for hp in self.oracle.hyperparameters.space],
            "space_size": Space(self.oracle.hyperparameters).size(),
            "executor": self.executor.name,
            "executor_reason": self._explained(),
            "devices": devices(),
            "time_budget": self._limits.time_budget,
            "tensorboard": self.tensorboard,
            "user": self._user_facts,
            "notes": self.oracle.notes() if isinstance(self.oracle, Oracle) else [],
            "process": os.getpid(),
            "ended": None,
            "reason": None,
        }

    def explain_execution(self) -> str:
        """Returns how trials are trained, and why; where they are fused, also in which groups, and which cannot be.

        Before the search, random values of the space stand for its trials.
        """
        if not hasattr(self, "_fit_args") and not getattr(self.hypermodel, "requires_data", False):
            self._fit_args, self._fit_kwargs = (), {}
            self.executor.prepare(self)
            del self._fit_args, self._fit_kwargs
        return "\n".join([self._explained(), *self.executor.details(self)])

    def _explained(self) -> str:
        spread = self.distribution.explain()
        return f"{self.executor.name}: {self.executor.explain()}{spread and f', {spread}'}"

    # Results

    def _stored(self) -> Storage:
        if self._storage is None:
            raise ProjectError(
                rule("A tuner", "have searched before it has results", str(self._path), "Call search() first.")
            )
        return self._storage

    def _records(self) -> list[TrialRecord]:
        return [self.oracle.trials[trial_id].record for trial_id in self.oracle.start_order]

    def results(self) -> list[dict[str, Any]]:
        """Returns one dict a trial, best first: id, status, score, values and more.
        ``pandas.DataFrame(tuner.results())`` works.
        """
        return leaderboard.rows(self._records(), self._direction)

    def results_summary(self, num_trials: int = 10) -> None:
        """Prints the best trials as a table."""
        from rich.console import Console as RichConsole

        table = leaderboard.render(self._records(), self._direction, self.oracle.objective.name, num_trials)
        RichConsole().print(table)

    def plot(self, view: str, **options: Any) -> Any:
        """Returns a Plotly figure of the search, by the code that draws the tab in TensorBoard; see
        ``kt_suite.report``.

        Args:
            view: ``"history"``, ``"curves"``, ``"parallel"``, ``"importance"``, ``"slice"``, ``"timeline"`` and so on.
            **options: What the view can be told.
        """
        from kt_suite.report import plot

        self._stored()
        return plot(self._path, view, **options)

    def get_pareto_trials(self) -> list[Any]:
        """Returns the trials that no other beats in every objective of ``pareto``.

        Raises:
            InputError: The search has one objective.
        """
        if not hasattr(self.oracle, "get_pareto_trials"):
            raise InputError(rule("A search for a front", "be given pareto=[...]", self.oracle.objective.name))
        front: list[Any] = self.oracle.get_pareto_trials()
        return front

    def _info(self, fit_kwargs: Mapping[str, Any]) -> SearchInfo:
        storage = self._stored()
        facts = storage.facts
        epochs = None if self._overrides("run_trial") else fit_kwargs.get("epochs")
        return SearchInfo(
            name=self.project_name,
            search_id=facts["search_id"],
            directory=str(self._path),
            objective=facts["objective"],
            direction=facts["direction"],
            max_trials=self.oracle.max_trials,
            epochs=epochs if isinstance(epochs, int) else None,
            runs_per_trial=len(self.run_plans()),
            space=facts["space"],
            facts={name: value for name, value in facts.items() if name not in ("space", "oracle_state", "user")},
            tensorboard=self.tensorboard,
            trials=storage.trials(),
        )
