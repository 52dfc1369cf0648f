"""Trials in flight: proposed, but not yet booked; and the order in which they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from kt_suite.executors.base import Event
from kt_suite.oracles.trial import Trial


class Flight:
    """Keeps the trials that are proposed and not yet booked.

    Args:
        window: Number of trials that are proposed ahead, whose results are then booked in the order of proposal: what
            is
            proposed depends on nothing else, whatever the executor does. ``None`` proposes for free slots only, and
            books results as they come.

    Attributes:
        window: As given.
    """

    def __init__(self, window: int | None = None) -> None:
        self.window = window
        self._trials: dict[str, Trial] = {}
        self._waiting: deque[Trial] = deque()
        self._ended: dict[str, Event] = {}
        self._slots: dict[str, str] = {}
        self._places: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._trials)

    @property
    def slots(self) -> set[str]:
        """The slots at work."""
        return set(self._slots.values())

    def room(self, num_free: int) -> int:
        """Returns how many trials are to be proposed now, where ``num_free`` slots are free."""
        if self.window is None:
            return num_free - len(self._waiting)
        return self.window - len(self._trials)

    def name(self) -> str:
        """Returns a name for the next trial's place, which the oracle takes for a tuner's."""
        taken = {self._places[trial_id] for trial_id in self._trials}
        return next(name for index in range(len(taken) + 1) if (name := f"tuner{index}") not in taken)

    def add(self, trial: Trial, name: str) -> None:
        """Takes in a trial that has been proposed for the place ``name``."""
        self._trials[trial.trial_id] = trial
        self._places[trial.trial_id] = name
        self._waiting.append(trial)

    def next_waiting(self) -> Trial | None:
        """Returns the trial to start next, or ``None``."""
        return self._waiting.popleft() if self._waiting else None

    def start(self, trial: Trial, slot: str) -> None:
        """Notes that a trial is at work in a slot."""
        self._slots[trial.trial_id] = slot

    def running(self, trial_id: str) -> Trial | None:
        """Returns the trial if it is at work."""
        return self._trials.get(trial_id) if trial_id in self._slots else None

    def at_work(self) -> list[Trial]:
        """Returns the trials at work."""
        return [self._trials[trial_id] for trial_id in self._slots]

    def land(self, event: Event) -> None:
        """Notes that a trial has ended; its slot is free."""
        del self._slots[event.trial_id]
        self._ended[event.trial_id] = event

    def to_book(self) -> Iterator[tuple[Trial, Event]]:
        """Yields the trials to be booked now, with how they ended, and forgets them."""
        for trial_id in list(self._trials):
            if trial_id in self._ended:
                yield self._trials.pop(trial_id), self._ended.pop(trial_id)
            elif self.window is not None:
                return

    def give_up(self) -> list[Trial]:
        """Returns all trials, and forgets them."""
        trials = list(self._trials.values())
        self._trials, self._ended, self._slots = {}, {}, {}
        self._waiting.clear()
        return trials
