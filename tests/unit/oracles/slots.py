"""Drives an oracle as a search does, with slots in virtual time and learning curves in place of training."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kt_suite import HyperParameters
from kt_suite.trial import RunRecord, TrialRecord, TrialStatus

Curve = Callable[[dict[str, Any], int], float]


def unit_space() -> HyperParameters:
    """Returns a space of one float in [0, 1]."""
    hp = HyperParameters()
    hp.Float("x", 0.0, 1.0)
    return hp


def grid_space(num_a: int = 3, num_b: int = 3) -> HyperParameters:
    """Returns a space of ``num_a * num_b`` points."""
    hp = HyperParameters()
    hp.Int("a", 1, num_a)
    hp.Int("b", 1, num_b)
    return hp


def distance(values: dict[str, Any], epoch: int) -> float:
    """A learning curve that falls to the distance of the values from 0.3, and never crosses another."""
    return abs(sum(map(float, values.values())) - 0.3) + 1.0 / (epoch + 1)


@dataclass
class Slots:
    """Some slots, and what happened on them.

    Attributes:
        oracle: The oracle.
        num_slots: Number of slots.
        curve: From values and epoch (from 0) to the metric.
        seconds: From values to the time of one epoch.
        fate: From a trial's record to the status that it ends with.
        num_epochs: Epochs trained so far.
        idle: Slot-seconds without a trial while the oracle was not done proposing.
        now: Virtual time.
        ended: Ids of the attempts that have ended, in that order.
    """

    oracle: Any
    num_slots: int = 1
    curve: Curve = distance
    seconds: Callable[[dict[str, Any]], float] = lambda values: 1.0
    fate: Callable[[TrialRecord], str] = lambda record: TrialStatus.COMPLETED
    num_epochs: int = 0
    idle: float = 0.0
    now: float = 0.0
    ended: list[str] = field(default_factory=list)
    _running: list[tuple[float, str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.oracle.verbose = 0

    def run(self, max_trials: float = float("inf")) -> Slots:
        """Runs until the oracle stops, or until ``max_trials`` attempts have ended."""
        while len(self.ended) < max_trials:
            is_done = self._fill()
            if not self._running:
                assert is_done, "idle with nothing under way"
                break
            until, slot, trial = heapq.heappop(self._running)
            if not is_done:
                self.idle += (until - self.now) * (self.num_slots - len(self._running) - 1)
            self.now = until
            self._end(slot, trial)
        return self

    def _fill(self) -> bool:
        busy = {slot for _, slot, _ in self._running}
        for slot in sorted({f"slot{number}" for number in range(self.num_slots)} - busy):
            trial = self.oracle.create_trial(slot)
            if trial.status in (TrialStatus.STOPPED, TrialStatus.IDLE):
                return bool(trial.status == TrialStatus.STOPPED)
            num_epochs = trial.budget - trial.initial_epoch
            ends = self.now + num_epochs * self.seconds(trial.values)
            heapq.heappush(self._running, (ends, slot, trial))
        return False

    def _end(self, slot: str, trial: Any) -> None:
        record, name = trial.record, self.oracle.objective.name
        self.ended.append(trial.trial_id)
        trial.status = self.fate(record)
        if trial.status in (TrialStatus.COMPLETED, TrialStatus.PRUNED):
            curve = [self.curve(record.values, epoch) for epoch in range(trial.initial_epoch, trial.budget)]
            record.epochs = len(curve)
            self.num_epochs += len(curve)
            record.score = min(curve) if self.oracle.objective.direction == "min" else max(curve)
            record.runs = [RunRecord(0, 0, record.score)]
            self.oracle.update_trial(trial.trial_id, {name: record.score})
        self.oracle.end_trial(trial)

    def records(self, **fields: Any) -> list[TrialRecord]:
        """Returns the trials whose records have these fields, in the order of their proposal."""
        records = [self.oracle.trials[trial_id].record for trial_id in self.oracle.start_order]
        return [one for one in records if all(getattr(one, name) == value for name, value in fields.items())]
