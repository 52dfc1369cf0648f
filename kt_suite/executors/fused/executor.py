"""Trains many trials side by side in compiled programs, and those that do not fit in one after the other."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras_tuner

from kt_suite.errors import InputError, KTSuiteError, rule
from kt_suite.executors.base import Event, Executor, ReportHandler, TrialSpec
from kt_suite.executors.fused.discretion import check_alike, obstacle_of_discretion
from kt_suite.executors.fused.reasons import obstacle_of_search
from kt_suite.executors.fused.slots import num_slots
from kt_suite.executors.fused.unfusable import Unfusable
from kt_suite.executors.inline import InlineExecutor

if TYPE_CHECKING:  # the engine takes a fifth of a second to load, which searches that train inline save
    from kt_suite.executors.fused.attempt import Attempt, Run
    from kt_suite.executors.fused.lane import Lane


class FusedExecutor(Executor):
    """Trials of like structure share one compiled program, each trained exactly as ``model.fit`` would.

    The models of a trial's runs are built as ever. Those that agree in layers, connections, loss, metrics, optimizer
    class and batch size train side by side: what is only a number (learning rate, dropout, penalties, ...) is each
    trial's own, and widths are made equal by padding. What cannot be fused trains one after the other, with the reason
    printed once.

    With ``shuffle="shared"`` all runs of a program see their rows in one new order each epoch, which is faster, and
    fairer where trials are compared; ``"per_trial"`` gives each its own, as inline training does.

    Args:
        slots: Trials under way at most; by the oracle if ``None``: many where its proposals do not depend on results.
        shuffle: ``"shared"`` or ``"per_trial"``.
        memory_limit: Bytes that programs may take; half of what is free if ``None``.
        only_if_it_pays: Whether to train one after the other, without a word, what fusing would not make faster, and
            what could look otherwise: proposals that follow from results, limits and pruners, callbacks and methods of
            one's own. ``executor="auto"`` stands for this.

    Raises:
        InputError: An argument out of its range.
    """

    def __init__(
        self,
        slots: int | None = None,
        *,
        shuffle: str = "shared",
        memory_limit: int | None = None,
        only_if_it_pays: bool = False,
    ) -> None:
        for what, value in (("slots", slots), ("memory_limit", memory_limit)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise InputError(rule(what, "be an integer of at least 1", value))
        if shuffle not in ("shared", "per_trial"):
            raise InputError(rule("shuffle", 'be "shared" or "per_trial"', shuffle))
        self._given_slots, self._shuffle, self._memory_limit = slots, shuffle, memory_limit
        self._only_if_it_pays = only_if_it_pays
        self._inline = InlineExecutor()
        self._reason: str | None = None
        self._prepared_for: Any = None
        self._num_slots = slots or 1
        self._lanes: list[Lane] = []
        self._attempts: dict[str, Attempt] = {}
        self._planner: Any = None  # a Planner, once the engine is loaded

    @property
    def name(self) -> str:  # type: ignore[override]
        """``"fused"``, or ``"inline"`` where no trial can be fused."""
        return "fused" if self._reason is None else "inline"

    def prepare(self, runner: Any) -> None:
        self._prepared_for = runner
        self._reason = obstacle_of_discretion(runner) if self._only_if_it_pays else None
        self._reason, operations = self._reason or obstacle_of_search(runner), 0.0
        if self._reason is None and self._only_if_it_pays:
            from kt_suite.executors.fused.preview import judge_space

            self._reason, operations = judge_space(runner)
        self._num_slots = self._given_slots or (1 if self._reason is not None else num_slots(runner, operations))

    def open(self, runner: Any, report: ReportHandler, should_stop: Callable[[], bool] | None = None) -> None:
        super().open(runner, report, should_stop)
        if self._prepared_for is not runner:
            self.prepare(runner)
        self._waiting: deque[TrialSpec] = deque()
        self._one_by_one: deque[TrialSpec] = deque()
        self._stopped: set[str] = set()
        self._lanes, self._attempts = [], {}
        self._inline.open(runner, report, should_stop)
        if self._reason is None:
            self._load_engine(runner)

    def _load_engine(self, runner: Any) -> None:
        from kt_suite.executors.fused.checkpoints import Keeper
        from kt_suite.executors.fused.planner import Planner
        from kt_suite.executors.fused.preparation import Preparation

        self._preparation = Preparation(runner, self._shuffle)
        self._keeper = Keeper(runner)
        self._planner = Planner(self._memory_limit)

    def explain(self) -> str:
        if self._reason is not None:
            return f"{self._inline.explain()}: {self._reason}"
        return f"up to {self._num_slots} trials side by side in compiled programs"

    def slots(self) -> list[str]:
        return self._inline.slots() if self._reason else [f"tuner{index}" for index in range(self._num_slots)]

    def capacity(self) -> int:
        if self._reason:
            return self._inline.capacity()
        return self._num_slots - len(self._attempts) - len(self._waiting) - len(self._one_by_one)

    def submit(self, spec: TrialSpec) -> None:
        self._stopped.discard(spec.trial_id)
        if self._reason:
            self._inline.submit(spec)
        else:
            self._waiting.append(spec)

    def stop(self, trial_id: str) -> None:
        self._inline.stop(trial_id)
        self._stopped.add(trial_id)
        if trial_id in self._attempts:
            self._attempts[trial_id].is_stopped = True

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        if self._reason:
            yield from self._inline.events(timeout)
            return
        yield from self._drop_stopped()
        yield from self._prepare_waiting()
        yield from self._place()
        if len(self._lanes) > 1:
            for lane in self._lanes:
                lane.warm_up()
        for lane in list(self._lanes):
            if lane.runs:
                yield from self._train_epoch(lane)
        if self._one_by_one:
            self._inline.submit(self._one_by_one.popleft())
            yield from self._inline.events(timeout)

    def details(self, runner: Any) -> list[str]:
        if self._reason is not None:
            return []
        from kt_suite.executors.fused.preview import preview

        found: list[str] = self._planner.explain() if self._planner is not None else []
        return found or preview(runner)

    def notes(self) -> list[str]:
        if self._reason is not None or self._only_if_it_pays:
            return []
        notes: list[str] = self._planner.notes
        self._planner.notes = []
        return notes

    def close(self) -> None:
        self._lanes, self._attempts = [], {}
        self._inline.close()

    # Attempts that come

    def _drop_stopped(self) -> Iterator[Event]:
        for queue in (self._waiting, self._one_by_one):
            for spec in [one for one in queue if one.trial_id in self._stopped]:
                queue.remove(spec)
                yield Event("pruned", spec.trial_id, spec.attempt)

    def _prepare_waiting(self) -> Iterator[Event]:
        """Builds the models of attempts that wait, as far as memory allows."""
        while self._waiting and self._planner.has_room(self._lanes):
            spec = self._waiting.popleft()
            attempt = self._preparation.attempt(spec, self._report)
            try:
                with attempt.failing() as failure:
                    self._preparation.prepare(attempt)
                    if self._only_if_it_pays:
                        for run in attempt.runs:
                            check_alike(run.model, run.callbacks)
                    self._planner.add(attempt)
                    self._planner.foresee(len(self._waiting))
                    self._attempts[spec.trial_id] = attempt
                yield from failure
            except Unfusable as verdict:
                self._train_alone(spec, verdict.reasons)

    def _train_alone(self, spec: TrialSpec, reasons: Sequence[str]) -> None:
        self._planner.note_alone(spec, reasons)
        self._one_by_one.append(spec)

    def _place(self) -> Iterator[Event]:
        """Puts runs that are ready into lanes."""
        for lane, runs, error in self._planner.place(self._lanes):
            if lane is not None:
                self._planner.describe(lane)
                for run in runs:
                    with self._blaming(run.attempt):
                        run.begin(lane.stack.steps)
            else:
                yield from self._give_up(runs, error)
        yield from self._conclude()

    def _give_up(self, runs: Sequence[Run], error: Exception | None) -> Iterator[Event]:
        """Has attempts that a stack cannot train begin anew, one after the other."""
        reasons = error.reasons if isinstance(error, Unfusable) else [f"the program failed: {error}".splitlines()[0]]
        given_up = {id(run.attempt): run.attempt for run in runs}.values()
        for attempt in given_up:
            del self._attempts[attempt.trial_id]
        self._leave()
        for attempt in given_up:
            self._planner.forget(attempt)
            if attempt.has_reported:
                yield Event("lost", attempt.trial_id, attempt.spec.attempt, message=reasons[0])
            else:
                self._train_alone(attempt.spec, reasons)

    # Attempts under way

    def _train_epoch(self, lane: Lane) -> Iterator[Event]:
        rates = []
        for run in list(lane.runs):
            with self._blaming(run.attempt):
                rates.append(run.begin_epoch())
        yield from self._conclude()  # callbacks that fail
        if not lane.runs:
            return
        began = time.monotonic()
        try:
            logs = lane.train_epoch(rates)
        except Exception as error:
            yield from self._give_up(lane.runs, error)
            return
        share = (time.monotonic() - began) / len(lane.runs)
        for run in lane.runs:
            run.seconds += share
        with self._runner._storage.together():
            self._end_epoch(list(lane.runs), logs)
        yield from self._conclude()

    def _end_epoch(self, runs: list[Run], logs: Sequence[dict[str, Any]]) -> None:
        for run, log in zip(runs, logs, strict=True):
            with self._blaming(run.attempt):
                run.end_epoch(log)
        self._keeper.note_epoch(runs, self._attempts.values())
        for run in [one for one in runs if one.is_over]:
            with self._blaming(run.attempt):
                run.finish()
                self._keeper.finish(run)
        for attempt in {id(run.attempt): run.attempt for run in runs}.values():
            attempt.advance()

    @contextlib.contextmanager
    def _blaming(self, attempt: Attempt) -> Iterator[None]:
        """Has an exception of a trial's callbacks end the trial, and nothing else."""
        try:
            yield
        except (keras_tuner.errors.FatalError, KTSuiteError):
            raise
        except Exception as error:
            attempt.error = error

    def _conclude(self) -> Iterator[Event]:
        """Takes what is over out of the lanes, and yields how attempts ended."""
        ended = [attempt for attempt in self._attempts.values() if attempt.is_over]
        for attempt in ended:
            del self._attempts[attempt.trial_id]
            self._planner.forget(attempt)
        self._leave()
        while ended:
            attempt = ended.pop(0)
            event = attempt.event()
            if event.kind != "failed":
                self._keeper.write(attempt, ended)
            yield event

    def _leave(self) -> None:
        """Takes runs that are over, or whose attempt is, out of the lanes."""
        for lane in self._lanes:
            lane.remove([run for run in lane.runs if run.is_over or run.attempt.trial_id not in self._attempts])
        self._lanes = [lane for lane in self._lanes if lane.runs]
