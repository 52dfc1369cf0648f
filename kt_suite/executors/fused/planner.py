"""Which runs train together: by skeleton, width and memory."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from kt_suite.executors.base import TrialSpec
from kt_suite.executors.fused import backend as backends
from kt_suite.executors.fused.attempt import Attempt, Run
from kt_suite.executors.fused.lane import Lane
from kt_suite.executors.fused.memory import free_memory
from kt_suite.executors.fused.snapshot import Snapshot
from kt_suite.executors.fused.stack import Stack
from kt_suite.executors.fused.view import view_of
from kt_suite.executors.fused.widths import width_classes

# A run's variables: weights, gradients, two moments of the optimizer, and the Keras model's own; before it is measured.
_COPIES = 6
# Runs that show whether all are alike, and attempts to come, whose building takes as long as the compiling beside it.
_ENOUGH_TO_TELL, _WORTH_FORESEEING = 3, 16


class Planner:
    """Keeps the runs that are ready, and puts them into lanes.

    Args:
        memory_limit: Bytes that all lanes may take; half of what is free if ``None``.

    Attributes:
        groups: What the lanes so far were made of: description and number of trials.
        reasons: Why trials train alone, each with their ids.
        notes: What is still to be told.
        num_lanes: Programs that have been opened.
    """

    def __init__(self, memory_limit: int | None) -> None:
        self._given_limit = memory_limit
        self._ready: list[Run] = []
        self._ready_bytes = 0
        self._measured: dict[Any, int] = {}
        self.groups: dict[str, set[str]] = {}
        self.reasons: dict[str, list[str]] = {}
        self.notes: list[str] = []
        self.num_lanes = 0

    @functools.cached_property
    def _limit(self) -> int:
        return self._given_limit or free_memory() // 2

    # Trials that train alone

    def note_alone(self, spec: TrialSpec, reasons: Sequence[str]) -> None:
        """Notes why a trial trains alone; each reason is told once."""
        for reason in reasons:
            if reason not in self.reasons:
                self.notes.append(f"Trial {spec.trial_id}, and others like it, are not fused: {reason}.")
            self.reasons.setdefault(reason, []).append(spec.trial_id)

    # Runs that are ready

    def add(self, attempt: Attempt) -> None:
        """Takes in the runs of an attempt."""
        self._ready += attempt.runs
        self._ready_bytes += sum(map(self._bytes_of, attempt.runs))

    def foresee(self, count: int) -> None:
        """Has a thread compile the program that all runs will share, while others are built, if the first are alike.

        Args:
            count: Attempts that are still to be built.
        """
        runs = self._ready
        if (
            not backends.current().traces_apart
            or self.num_lanes
            or count < _WORTH_FORESEEING
            or len({id(run.attempt) for run in runs}) != _ENOUGH_TO_TELL
        ):
            return
        expected = len(runs) + count * len(runs[0].attempt.runs)
        if expected * self._bytes_of(runs[0]) > self._limit:
            return
        with contextlib.suppress(Exception):  # what cannot be done is told when it is tried for good
            views = [view_of(run.model) for run in runs]
            kinds = [(run.group[0], view.widths, view.choices) for run, view in zip(runs, views, strict=True)]
            if any(kind != kinds[0] for kind in kinds):
                return
            blank = [replace(run.member, start=Snapshot.blank(view)) for run, view in zip(runs, views, strict=True)]
            _, data, options = runs[0].group
            options.epochs = _most_epochs(runs)
            stack = Stack(blank, data, options, expected=expected)
            stack.warm_up(validate=any(run.is_validated for run in runs))

    def forget(self, attempt: Attempt) -> None:
        """Drops the runs of an attempt that wait for a place."""
        if self._ready:
            self._wait([run for run in self._ready if run.attempt is not attempt])

    def _wait(self, runs: list[Run]) -> None:
        """Has these runs wait for a place, and no others."""
        self._ready, self._ready_bytes = runs, sum(map(self._bytes_of, runs))

    def has_room(self, lanes: Sequence[Lane]) -> bool:
        """Whether memory allows for another run."""
        taken = sum(lane.nbytes for lane in lanes) + self._ready_bytes
        return taken < self._limit or not (lanes or self._ready)

    def _bytes_of(self, run: Run) -> int:
        measured = self._measured.get(run.group[0])
        return measured if measured is not None else _COPIES * 4 * int(run.model.count_params())

    def place(self, lanes: list[Lane]) -> Iterator[tuple[Lane | None, list[Run], Exception | None]]:
        """Puts runs into lanes, as far as memory allows.

        Yields:
            A lane that is new or has got runs, with these; or ``None``, runs that could not be placed, and why.
        """
        ready = self._ready
        self._wait([])
        for key in dict.fromkeys(run.group[0] for run in ready):
            runs = [run for run in ready if run.group[0] == key]
            for lane in [one for one in lanes if one.key == key and one.num_free]:
                fitting = [run for run in runs if lane.fits(run)][: lane.num_free]
                if fitting:
                    runs = [run for run in runs if all(run is not one for one in fitting)]
                    yield self._trying(lane.take_in, fitting)
            for together in width_classes(runs):
                yield from self._open_lanes(together, lanes)

    def _open_lanes(
        self, runs: list[Run], lanes: list[Lane]
    ) -> Iterator[tuple[Lane | None, list[Run], Exception | None]]:
        while runs:
            room = self._room(runs, lanes)
            if not room:
                self._wait(self._ready + runs)
                return
            first, runs = runs[:room], runs[room:]
            lane, placed, error = self._trying(self._open, first)
            if lane is not None:
                lanes.append(lane)
            yield lane, placed, error

    def _trying(
        self, action: Callable[[list[Run]], Lane], runs: list[Run]
    ) -> tuple[Lane | None, list[Run], Exception | None]:
        try:
            return action(runs), runs, None
        except Exception as error:
            return None, runs, error

    def _room(self, runs: Sequence[Run], lanes: Sequence[Lane]) -> int:
        taken = sum(lane.nbytes for lane in lanes)
        room = int((self._limit - taken) // max(1, max(map(self._bytes_of, runs))))
        return min(len(runs), max(room, 0 if lanes else 1))

    def _open(self, runs: list[Run]) -> Lane:
        key, data, options = runs[0].group
        options.epochs = _most_epochs(runs)
        lane = Lane(key, runs, data, options)
        self._measured[key] = max(self._measured.get(key, 0), lane.stack.nbytes)
        fitting = max(1, self._limit // max(1, lane.stack.nbytes))
        if len(runs) > fitting:
            self._wait(self._ready + runs[fitting:])
            lane.remove(runs[fitting:])
            lane.size = fitting
            del runs[fitting:]
        return lane

    def describe(self, lane: Lane) -> None:
        """Notes what a lane is made of."""
        self.num_lanes += lane.epochs_done == 0
        description = lane.describe()
        self.groups.setdefault(description, set()).update(run.attempt.trial_id for run in lane.runs)

    def explain(self) -> list[str]:
        """Returns the groups so far, and what trains alone and why."""
        lines = [f"{_trials(ids)} in one program: {text}" for text, ids in self.groups.items()]
        lines += [
            f"{_trials(ids)} one after the other: {reason} (trial {', '.join(ids[:5])}{', ...' if ids[5:] else ''})"
            for reason, ids in self.reasons.items()
        ]
        return lines


def _most_epochs(runs: Sequence[Run]) -> int:
    return max(run.epochs - run.epoch for run in runs)


def _trials(ids: Collection[str]) -> str:
    return "1 trial" if len(ids) == 1 else f"{len(ids)} trials"
