"""Grid search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kt_suite.oracles.base import Oracle
from kt_suite.space import Space, grid_values
from kt_suite.trial import TrialStatus


class GridSearchOracle(Oracle):
    """Walks the whole grid in a stable order, the hyperparameter met last varying fastest.

    The grid is the tree of what building asks for: a hyperparameter belongs below those that were asked for before
        it, so that
    conditional ones, and those that only some values of others bring about, are walked exactly where they matter. A
    ``Float``
    without a step takes the ten points that KerasTuner takes.

    Nothing is kept but the trials: the next point follows from the paths of those that were proposed.

    Args:
        objective, max_trials, seed, hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial,
            max_consecutive_failed_trials: As for ``Oracle``.

    Example:
        >>> import kt_suite as kts
        >>> oracle = kts.oracles.GridSearchOracle(objective="val_loss")
    """

    max_pending = None  # proposals do not follow from results

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
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

    def notes(self) -> list[str]:
        """Returns the axes that are walked at ten points because they have no step."""
        names = [hp.name for hp in self.hyperparameters.space if hasattr(hp, "min_value") and hp.step is None]
        return [f"{name} has no step: the grid takes 10 points of it" for name in names]

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the first point in the order of the grid that no trial has covered."""
        if not self.hyperparameters.space:
            return {"status": TrialStatus.STOPPED if self.trials else TrialStatus.RUNNING, "values": {}}
        tree = self._tree()
        prefix = self._first_open(tree, {}) if self.trials else {}
        if prefix is None:
            # Trials under way may still bring hyperparameters to light.
            return {"status": TrialStatus.IDLE if self.ongoing_trials else TrialStatus.STOPPED}
        return {"status": TrialStatus.RUNNING, "values": self._complete(prefix)}

    def _tree(self) -> _Node:
        """Returns the paths of all trials: known ones first, then those that are still guessed."""
        root, known = _Node(), {hp.name for hp in self.hyperparameters.space}
        records = [self.trials[trial_id].record for trial_id in self.start_order]
        for record in sorted(records, key=lambda record: record.used is None):
            names = self._order(record.values) if record.used is None else record.used
            path = [name for name in names if name in record.values and name in known]
            root.add(path, record.values, is_known=record.used is not None)
        return root

    def _order(self, values: Mapping[str, Any]) -> list[str]:
        return [name for name in dict.fromkeys(hp.name for hp in self.hyperparameters.space) if name in values]

    def _first_open(self, node: _Node, prefix: dict[str, Any]) -> dict[str, Any] | None:
        if node.name is None or node.is_closed:
            return None
        for value in self._grid(node.name, prefix):
            extended = {**prefix, node.name: value}
            child = node.children.get(Space.key({"": value}))
            found = extended if child is None else self._first_open(child, extended)
            if found is not None:
                return found
        return None

    def _grid(self, name: str, prefix: Mapping[str, Any]) -> list[Any]:
        for hp in self.hyperparameters.space:
            if hp.name == name and all(condition.is_active(prefix) for condition in hp.conditions):
                return grid_values(hp)
        return []

    def _complete(self, prefix: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for hp in self.hyperparameters.space:
            if all(condition.is_active(values) for condition in hp.conditions):
                values[hp.name] = prefix[hp.name] if hp.name in prefix else grid_values(hp)[0]
        return values


class _Node:
    """A hyperparameter on the paths of trials: its name, and what lies below each of its values."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.is_closed = False
        self.children: dict[str, _Node] = {}

    def add(self, used: list[str], values: Mapping[str, Any], *, is_known: bool) -> None:
        """Adds the path of a trial that asked for ``used``, in that order, or is taken to do so."""
        node, remaining = self, list(used)
        while remaining and not node.is_closed:
            if node.name is None:
                node.name = remaining[0]
            if node.name not in values:
                return
            if node.name in remaining:
                remaining.remove(node.name)
            node = node.children.setdefault(Space.key({"": values[node.name]}), _Node())
        node.is_closed |= is_known
