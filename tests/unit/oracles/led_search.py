"""Leads an oracle through trials that end in all ways, in another order than they began, and without training."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

import kt_suite as kts
from kt_suite.oracles import books
from kt_suite.trial import TrialStatus

Measure = Callable[[Mapping[str, Any]], dict[str, float]]


def mixed_space() -> kts.HyperParameters:
    """Returns a space with every kind of hyperparameter, and one name under two conditions."""
    hp = kts.HyperParameters()
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Float("decay", 1.0, 100.0, sampling="reverse_log")
    hp.Float("dropout", 0.0, 0.75, step=0.25)
    hp.Int("units", 8, 70, step=16)
    hp.Int("depth", 1, 1000, sampling="log")
    hp.Int("width", 2, 64, step=2, sampling="log")
    hp.Int("late", 1, 50, sampling="reverse_log")
    hp.Choice("optimizer", ["adam", "sgd", None])
    hp.Choice("kernel", [(1, 1), (3, 3)])
    hp.Choice("batch", [16, 32, 64])
    hp.Choice("odd", [True, 1, "1"])
    hp.Boolean("bias")
    hp.Fixed("fixed", 3)
    hp.Choice("only", ["one"])
    with hp.conditional_scope("optimizer", "sgd"):
        hp.Float("momentum", 0.0, 0.99)
        hp.Choice("schedule", [1, 2])
    with hp.conditional_scope("optimizer", "adam"):
        hp.Choice("schedule", ["a", "b", "c"])
    return hp


def mixed_measure(values: Mapping[str, Any]) -> dict[str, float]:
    """Returns metrics of values in :func:`mixed_space`: ``loss`` is best at large rates, ``size`` at few units."""
    loss = abs(values["units"] - 56) / 40 + values.get("momentum", 0.5) + values["dropout"] + 0.001 / values["rate"]
    return {"loss": loss + (values["optimizer"] == "adam"), "size": float(values["units"] * values["depth"])}


def is_in(space: kts.HyperParameters, values: Mapping[str, Any]) -> bool:
    """Whether ``values`` are a point of a space, no more and no less."""
    checked = kts.HyperParameters.from_config(space.get_config())
    checked.values = dict(values)
    active = {hp.name: hp for hp in checked.space if checked.is_active(hp)}
    return set(values) == set(active) and all(
        hp.min_value <= values[name] <= hp.max_value
        if hasattr(hp, "min_value")
        else (type(values[name]), values[name]) in [(type(one), one) for one in hp.values]
        for name, hp in active.items()
        if name != "fixed"
    )


class LedSearch:
    """A search of three slots whose every step depends on the number of the trial alone.

    Attributes:
        proposals: The values of all trials, in the order of their proposal.
    """

    num_slots = 3

    def __init__(self, oracle: Any, measure: Measure = mixed_measure) -> None:
        self.oracle = oracle
        self.oracle.verbose = 0
        self.measure = measure
        self.proposals: list[dict[str, Any]] = []
        self._pending: list[Any] = []

    def run(self, num_trials: int) -> list[dict[str, Any]]:
        """Goes on until there are ``num_trials``, some of them pending, or the oracle stops; returns all proposals."""
        while len(self.proposals) < num_trials:
            trial = self.oracle.create_trial(f"slot{len(self.proposals)}")
            if trial.status != TrialStatus.RUNNING:
                break
            self._pending.append(trial)
            self.proposals.append(dict(trial.values))
            if len(self._pending) == self.num_slots:
                self._end(self._pending.pop(trial.number * 7 % self.num_slots))
        return self.proposals

    def finish(self) -> None:
        """Ends the pending trials."""
        while self._pending:
            self._end(self._pending.pop(0))

    def resumed(self, oracle: Any) -> LedSearch:
        """Returns the search on a new oracle that has taken up what is stored of this one."""
        state = json.loads(json.dumps(books.Books(self.oracle).checkpoint()))
        records = [copy.deepcopy(self.oracle.trials[trial_id].record) for trial_id in self.oracle.start_order]
        books.restore(oracle, records, state, oracle.hyperparameters)
        search = LedSearch(oracle, self.measure)
        search.proposals = list(self.proposals)
        again = [oracle.create_trial(f"again{number}") for number in range(len(self._pending))]
        by_id = {trial.trial_id: trial for trial in again}
        search._pending = [by_id[trial.trial_id] for trial in self._pending]
        return search

    def _end(self, trial: Any) -> None:
        record = trial.record
        trial.status = TrialStatus.COMPLETED
        if trial.number % 7 == 6:
            trial.status = TrialStatus.FAILED
        else:
            record.metrics = self.measure(trial.values)
            record.score = record.metrics[self.oracle.objective.name]
            record.epochs = 9
            if trial.number % 5 == 4:
                trial.status, record.epochs, record.fidelity = TrialStatus.PRUNED, trial.number % 3 + 1, 0.5
        self.oracle.end_trial(trial)
