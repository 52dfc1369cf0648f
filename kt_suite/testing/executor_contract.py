# ruff: noqa: S101 - these are tests
"""The contract of executors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kt_suite.executors import Event, Executor, InlineExecutor, TrialSpec
from kt_suite.oracles import RandomSearchOracle
from kt_suite.testing.contract import Contract
from kt_suite.testing.toy_hyper_model import ToyHyperModel
from kt_suite.trial import Decision, Report, TrialStatus
from kt_suite.tuner import Tuner

MakeExecutor = Callable[[], Executor]

GOOD, FAILING, STOPPED, LONG, LAST = "0000", "0001", "0002", "0003", "0004"
TRIALS: tuple[dict[str, Any], ...] = (
    {"epochs": 2},
    {"epochs": 2, "fails": True},
    {"epochs": 5, "learning_rate": 0.002},
    {"epochs": 6, "learning_rate": 0.003},
    {"epochs": 1, "learning_rate": 0.004},
)


class ExecutorContract(Contract):
    """What an executor must keep to: it trains attempts, reports every epoch, and says how each attempt ended.

    A subclass supplies the fixture ``make_executor``: a function without arguments that returns a new executor. All
    tests look at one search of five trials, two runs each: one that trains, one whose build fails, one that a decision
    stops, one that is asked to stop from outside, and one more.

    Attributes:
        tolerance: How far scores may lie from those of one trial after the other in this process, relatively.
        shuffles: Whether rows are shuffled, as by default; not where the executor has an order of its own.
    """

    tolerance = 1e-5
    shuffles = True

    @pytest.fixture
    def search(self, make_executor: MakeExecutor, request: Any, tmp_path: Path) -> Recorder:
        """The recorded search: run once for each executor, whatever the scope of ``make_executor``."""
        key = (type(self), request.node.name.partition("[")[2])
        if key not in _searches:
            _searches[key] = _search(make_executor(), tmp_path, self.shuffles)
        return _searches[key]

    def test_each_attempt_ends_once_in_the_way_it_should(self, search: Recorder) -> None:
        """Every attempt ends in exactly one of done, pruned, failed and lost; one that fails ends no other."""
        ends = {GOOD: ["done"], FAILING: ["failed"], STOPPED: ["pruned"], LONG: ["pruned"], LAST: ["done"]}
        assert {trial_id: search.ends_of(trial_id) for trial_id in ends} == ends
        assert {spec.trial_id for spec in search.specs} == set(ends)

    def test_an_attempt_reports_before_it_ends_and_never_after(self, search: Recorder) -> None:
        """An attempt reports, then ends, and says nothing more."""
        for trial_id in (GOOD, FAILING, STOPPED, LONG, LAST):
            steps = [step for step in search.steps if step.trial_id == trial_id]
            kinds = [getattr(step.what, "kind", "report") for step in steps]
            assert kinds[:-1] == ["report"] * (len(kinds) - 1)

    def test_every_epoch_of_every_run_is_reported_in_order(self, search: Recorder) -> None:
        """Reports come epoch by epoch and run by run, each with its metrics."""
        assert search.epochs_of(GOOD) == [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert search.epochs_of(LAST) == [(0, 0), (1, 0)]
        assert search.epochs_of(FAILING) == []
        assert all("loss" in report.metrics for report in search.reports_of(GOOD))

    def test_a_decision_to_stop_is_obeyed_at_once(self, search: Recorder) -> None:
        """A trial reports nothing more once a decision has stopped it, and brings what it came to."""
        assert search.epochs_of(STOPPED) == [(0, 0), (0, 1)]
        assert [len(event.runs) for event in search.events_of(STOPPED) if event.kind == "pruned"] == [1]

    def test_a_request_to_stop_is_obeyed_at_the_next_report(self, search: Recorder) -> None:
        """``stop`` ends a running attempt at its next report, as pruned."""
        assert search.epochs_of(LONG) in ([(0, 0)], [(0, 0), (0, 1)])

    def test_everything_carries_the_attempt(self, search: Recorder) -> None:
        """Reports and events name the attempt that they belong to, so that those of an old one can be refused."""
        assert {step.what.attempt for step in search.steps} == {1}

    def test_a_failure_brings_its_traceback(self, search: Recorder) -> None:
        """The message of a failure shows the line of the user's code that raised it."""
        message = str(next(event.message for event in search.events_of(FAILING) if event.kind == "failed"))
        assert "failed on purpose" in message
        assert "toy_hyper_model.py" in message

    def test_results_are_those_of_training_one_after_the_other(self, search: Recorder, tmp_path: Path) -> None:
        """The same values and seeds give the same scores wherever they train."""
        expected = _search(InlineExecutor(), tmp_path, self.shuffles, num_trials=1)
        assert search.scores_of(GOOD) == pytest.approx(expected.scores_of(GOOD), rel=self.tolerance)
        assert len(set(search.scores_of(GOOD))) == 2

    def test_it_explains_itself_in_one_line_and_closes_twice(self, make_executor: MakeExecutor) -> None:
        """An executor says how trials will train before it is opened, and may be closed more often than opened."""
        executor = make_executor()
        assert len(executor.explain().splitlines()) == 1
        executor.close()
        executor.close()


class Step:
    """One thing that happened: a report or an event.

    Args:
        trial_id: The trial.
        what: The ``Report`` or ``Event``.
    """

    def __init__(self, trial_id: str, what: Any) -> None:
        self.trial_id = trial_id
        self.what = what


class Recorder(Executor):
    """An executor that hands everything on to another, and keeps a record of it.

    Args:
        executor: The executor that does the work.

    Attributes:
        steps: Reports and events in the order in which they came.
        specs: The attempts that were submitted.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.steps: list[Step] = []
        self.specs: list[TrialSpec] = []

    def open(self, runner: Any, report: Any, should_stop: Any = None) -> None:
        def recorded(trial_id: str, one: Report) -> Decision:
            self.steps.append(Step(trial_id, one))
            if trial_id == LONG:
                self._executor.stop(trial_id)
            decision: Decision = report(trial_id, one)
            return decision

        self._executor.open(runner, recorded, should_stop)

    def explain(self) -> str:
        return self._executor.explain()

    def slots(self) -> list[str]:
        return self._executor.slots()

    def capacity(self) -> int:
        return self._executor.capacity()

    def submit(self, spec: TrialSpec) -> None:
        self.specs.append(spec)
        self._executor.submit(spec)

    def stop(self, trial_id: str) -> None:
        self._executor.stop(trial_id)

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        for event in self._executor.events(timeout):
            self.steps.append(Step(event.trial_id, event))
            yield event

    def close(self) -> None:
        self._executor.close()

    def events_of(self, trial_id: str) -> list[Event]:
        """Returns the events of a trial."""
        return [step.what for step in self.steps if step.trial_id == trial_id and isinstance(step.what, Event)]

    def reports_of(self, trial_id: str) -> list[Report]:
        """Returns the reports of a trial."""
        return [step.what for step in self.steps if step.trial_id == trial_id and isinstance(step.what, Report)]

    def epochs_of(self, trial_id: str) -> list[tuple[int, int]]:
        """Returns run and epoch of each report of a trial."""
        return [(report.run, report.epoch) for report in self.reports_of(trial_id)]

    def ends_of(self, trial_id: str) -> list[str]:
        """Returns how the attempts of a trial ended."""
        return [event.kind for event in self.events_of(trial_id)]

    def scores_of(self, trial_id: str) -> list[float | None]:
        """Returns the scores of a trial's runs."""
        return [run.score for event in self.events_of(trial_id) for run in event.runs]


_searches: dict[tuple[type, str], Recorder] = {}


class _StoppingOracle(RandomSearchOracle):
    """Ends one trial after its second epoch."""

    def report(self, trial: Any, report: Report) -> Decision:
        return Decision.STOP if trial.trial_id == STOPPED and report.epoch == 1 else Decision.CONTINUE


def _search(executor: Executor, directory: Path, shuffles: bool, num_trials: int = len(TRIALS)) -> Recorder:
    recorder = Recorder(executor)
    oracle = _StoppingOracle(objective="loss", max_trials=num_trials, seed=0)
    options: dict[str, Any] = {"directory": directory, "tensorboard": None, "executions_per_trial": 2}
    tuner = Tuner(oracle, ToyHyperModel(), executor=recorder, **options)
    for values in TRIALS:
        oracle.enqueue(values)
    x, y = ToyHyperModel.data()
    tuner.search(x, y, shuffle=shuffles, verbose=0)
    statuses = [oracle.trials[trial_id].status for trial_id in oracle.start_order]
    assert statuses.count(TrialStatus.RUNNING) == 0
    return recorder
