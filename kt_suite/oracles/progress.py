"""Where each configuration of a schedule of budgets has got to."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from kt_suite.brackets import Entry, State
from kt_suite.objective import to_loss
from kt_suite.trial import TrialRecord, TrialStatus

_STATES = {
    TrialStatus.COMPLETED: State.DONE,
    TrialStatus.PRUNED: State.PRUNED,
    TrialStatus.FAILED: State.FAILED,
}


class Progress:
    """The trials of a schedule by configuration, level and bracket.

    A configuration is a set of values and all trials that trained it; it is named after the first of them. A
    level is a position in the list of budgets that all brackets share: bracket ``i`` starts at level
    ``i % num_levels``.

    Args:
        direction: ``"min"`` or ``"max"``.
        num_levels: Number of budgets.

    Attributes:
        trials_of: Configuration to level to the record of the trial that trained it there.
        config_of: Trial to configuration.
        pending: Configurations that are being trained.
        failed: Configurations that failed at any level.
        brackets: Brackets that have trials of their own.
    """

    def __init__(self, direction: str, num_levels: int) -> None:
        self.trials_of: dict[str, dict[int, TrialRecord]] = {}
        self.config_of: dict[str, str] = {}
        self.pending: set[str] = set()
        self.failed: set[str] = set()
        self.brackets: set[int] = set()
        self._direction = direction
        self._num_levels = num_levels
        self._entries: dict[tuple[int, int], dict[str, Entry]] = defaultdict(dict)
        self._places_of: dict[str, list[tuple[int, int]]] = {}
        self._unfinished: list[TrialRecord] = []

    def update(self, records: Iterable[TrialRecord]) -> None:
        """Takes notice of new trials, and of what has become of those that had not ended.

        Args:
            records: The trials proposed since the last call, in that order; those without a rung are passed over.
        """
        for record in records:
            if record.bracket is not None and record.rung is not None:
                self._add(record, record.bracket, record.rung)
        for record in self._unfinished:
            for place in self._places_of[record.trial_id]:
                self._enter(place, record)
            if record.status == TrialStatus.FAILED:
                self.failed.add(self.config_of[record.trial_id])
        self._unfinished = [record for record in self._unfinished if not record.is_finished]
        self.pending = {self.config_of[record.trial_id] for record in self._unfinished}

    def _add(self, record: TrialRecord, bracket: int, rung: int) -> None:
        parent = record.parent or record.trial_id
        config = self.config_of[record.trial_id] = self.config_of.get(parent, parent)
        self.trials_of.setdefault(config, {})[self.level(bracket, rung)] = record
        self.brackets.add(bracket)
        self._places_of[record.trial_id] = [(bracket, rung)]
        self._unfinished.append(record)

    def borrow(self, bracket: int, rung: int, trial_id: str) -> None:
        """Has a trial of another bracket count on a rung too."""
        self._places_of[trial_id].append((bracket, rung))
        self._enter((bracket, rung), self.trials_of[self.config_of[trial_id]][self.level(bracket, rung)])

    def _enter(self, place: tuple[int, int], record: TrialRecord) -> None:
        state = _STATES.get(record.status, State.PENDING)
        entry = Entry(record.trial_id, record.number, state, self._loss(record))
        self._entries[place][self.config_of[record.trial_id]] = entry

    def _loss(self, record: TrialRecord) -> float:
        return math.inf if record.score is None else to_loss(record.score, self._direction)

    def level(self, bracket: int, rung: int) -> int:
        """Returns the level of a rung."""
        return bracket % self._num_levels + rung

    def rungs(self, bracket: int, num_rungs: int) -> list[dict[str, Entry]]:
        """Returns the entries of each rung of a bracket, by configuration."""
        return [self._entries[bracket, rung] for rung in range(num_rungs)]

    def entrants(self, bracket: int) -> list[str]:
        """Returns the configurations of other brackets that could start in this one, most promising first.

        They have been trained to its first budget or to a lower one: the further they got the more promising, and
        then the lower their loss.
        """
        level = self.level(bracket, 0)
        ranked = []
        for config in self._outside(bracket):
            trials = self.trials_of[config]
            reached = max(one for one in trials if one <= level)
            if reached == level or trials[reached].status == TrialStatus.COMPLETED:
                ranked.append((-reached, self._loss(trials[reached]), trials[reached].number, config))
        return [config for *_, config in sorted(ranked)]

    def may_get_entrants(self, bracket: int) -> bool:
        """Whether trials that have not ended may yet start in the bracket."""
        return any(config in self.pending for config in self._outside(bracket))

    def _outside(self, bracket: int) -> list[str]:
        inside, level = self._entries[bracket, 0], self.level(bracket, 0)
        return [
            config
            for config, trials in self.trials_of.items()
            if config not in inside and config not in self.failed and (level in trials or max(trials) < level)
        ]

    def num_done(self, level: int) -> int:
        """Returns how many configurations have completed a level."""
        reached = [trials[level] for trials in self.trials_of.values() if level in trials]
        return sum(record.status == TrialStatus.COMPLETED for record in reached)
