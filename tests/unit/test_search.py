from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras_tuner
import pytest

import kt_suite as kts
from kt_suite.errors import InputError, KTSuiteError, SearchFailedError
from kt_suite.executors import Event, Executor, InlineExecutor, TrialSpec
from kt_suite.loggers.base import Logger
from kt_suite.oracles import RandomSearchOracle
from kt_suite.trial import Decision, Report, RunRecord
from tests.black_box import black_box, parabola, table


def events_of(tuner: Any) -> list[tuple[str, str, int]]:
    return [
        (event["kind"], event["trial_id"], event["attempt"]) for event in tuner._storage.events() if event["trial_id"]
    ]


def kinds_of(tuner: Any, *kinds: str) -> list[tuple[str, str, int]]:
    return [event for event in events_of(tuner) if event[0] in kinds]


# One trial after the other


def test_a_search_runs_to_its_end_and_stores_every_step() -> None:
    tuner = black_box(parabola, max_trials=3)
    tuner.search(verbose=0)
    assert [row[1] for row in table(tuner)] == ["COMPLETED"] * 3
    assert kinds_of(tuner, "begin", "end") == [
        (kind, f"{number:04d}", 1) for number in range(3) for kind in ("begin", "end")
    ]
    assert tuner._storage.fact("reason") == "all trials done"
    assert tuner._storage.fact("ended") is not None


def test_a_search_of_a_finite_space_ends_by_itself() -> None:
    tuner = black_box(lambda trial: float(trial.hyperparameters.Int("n", 1, 4)), max_trials=100)
    tuner.search(verbose=0)
    assert len(tuner.results()) == 4
    assert tuner._storage.fact("reason") == "the space is exhausted"


def test_hyperparameters_met_on_the_way_are_stored_with_the_trial_that_met_them() -> None:
    tuner = black_box(parabola, max_trials=1)
    tuner.search(verbose=0)
    stored = tuner._storage
    assert [config["config"]["name"] for config in stored.space()] == ["x", "n"]
    assert set(stored.trials()[0].values) == {"x", "n"}
    assert stored.trials()[0].used == ["x", "n"]


def test_running_again_goes_on_only_if_there_is_more_to_do() -> None:
    black_box(parabola, max_trials=3).search(verbose=0)
    tuner = black_box(parabola, max_trials=3)
    tuner.search(verbose=0)
    assert len(kinds_of(tuner, "begin")) == 3
    more = black_box(parabola, max_trials=5)
    more.search(verbose=0)
    assert table(more)[:3] == table(tuner)
    whole = black_box(parabola, max_trials=5, project_name="whole")
    whole.search(verbose=0)
    assert table(more) == table(whole)


# Scores


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, [1.0, math.nan], [math.inf, -math.inf]])
def test_a_score_that_is_no_number_fails_its_trial_with_that_reason(wrong: Any) -> None:
    tuner = black_box(lambda trial: wrong if trial.number == 1 else parabola(trial), max_trials=3)
    tuner.search(verbose=0)
    failed = tuner._storage.trials()[1]
    assert (failed.status, failed.score) == ("FAILED", None)
    assert "default_objective" in failed.message
    assert any(word in failed.message for word in ("nan", "inf"))
    assert len(failed.message.splitlines()) == 1
    assert len(tuner.get_best_hyperparameters(10)) == 2


def test_a_score_is_the_mean_over_its_runs() -> None:
    tuner = black_box(lambda trial: [1.0, 2.0, 6.0], max_trials=1)
    tuner.search(verbose=0)
    trial = tuner._storage.trials()[0]
    assert trial.score == 3.0
    assert trial.score_std == pytest.approx(7**0.5)
    assert [(run.index, run.score) for run in trial.runs] == [(0, 1.0), (1, 2.0), (2, 6.0)]


def test_results_of_a_wrong_type_end_the_search_at_once() -> None:
    tuner = black_box(lambda trial: "good", max_trials=3)
    with pytest.raises(keras_tuner.errors.FatalTypeError, match="good"):
        tuner.search(verbose=0)
    assert len(tuner._storage.trials()) == 1


# Failures


def failing(*numbers: int) -> Callable[[Any], float]:
    def run(trial: Any) -> float:
        loss = parabola(trial)
        if trial.number in numbers:
            raise ValueError(f"trial {trial.number} on purpose")
        return loss

    return run


def test_one_failure_ends_nothing_and_keeps_its_traceback() -> None:
    tuner = black_box(failing(1), max_trials=4)
    tuner.search(verbose=0)
    assert [row[1] for row in table(tuner)] == ["COMPLETED", "FAILED", "COMPLETED", "COMPLETED"]
    message = tuner._storage.trials()[1].message
    assert "trial 1 on purpose" in message
    assert "test_search.py" in message


def test_too_many_failures_in_a_row_end_it_with_the_first_traceback() -> None:
    tuner = black_box(failing(2, 3, 4, 5), max_trials=10)
    with pytest.raises(SearchFailedError, match="trial 2 on purpose") as caught:
        tuner.search(verbose=0)
    assert "max_consecutive_failed_trials=3" in str(caught.value)
    assert [row[1] for row in table(tuner)] == ["COMPLETED"] * 2 + ["FAILED"] * 3
    assert tuner._storage.fact("reason").startswith("failed:")


def test_failures_that_are_not_in_a_row_are_no_reason_to_end() -> None:
    tuner = black_box(failing(0, 1, 3, 4, 6, 7), max_trials=9)
    tuner.search(verbose=0)
    assert [row[1] for row in table(tuner)].count("COMPLETED") == 3


def test_a_search_that_failed_goes_on_with_the_next_trial() -> None:
    with pytest.raises(SearchFailedError):
        black_box(failing(0, 1, 2), max_trials=5).search(verbose=0)
    tuner = black_box(parabola, max_trials=5)
    tuner.search(verbose=0)
    assert [row[1] for row in table(tuner)] == ["FAILED"] * 3 + ["COMPLETED"] * 2
    assert [attempt for _, _, attempt in kinds_of(tuner, "begin")] == [1] * 5


def test_failing_before_any_hyperparameter_is_known_is_a_failed_search_too() -> None:
    def run(trial: Any) -> float:
        raise ValueError("no such file")

    with pytest.raises(SearchFailedError, match="no such file"):
        black_box(run, max_trials=10).search(verbose=0)


def test_a_failure_is_tried_again_with_the_same_values() -> None:
    seen: list[Any] = []

    def run(trial: Any) -> float:
        seen.append((trial.trial_id, trial.attempt, dict(trial.hyperparameters.values), trial.seed))
        if len(seen) < 3:
            raise ValueError
        return parabola(trial)

    given = kts.HyperParameters()
    given.Float("x", -1.0, 1.0)
    tuner = black_box(run, max_trials=1, max_retries_per_trial=2, hyperparameters=given)
    tuner.search(verbose=0)
    assert [one[:2] for one in seen] == [("0000", 1), ("0000", 2), ("0000", 3)]
    assert len({one[3] for one in seen}) == 1
    assert {one[2]["x"] for one in seen} == {seen[0][2]["x"]}
    assert table(tuner)[0][1] == "COMPLETED"
    assert kinds_of(tuner, "end") == [("end", "0000", attempt) for attempt in (1, 2, 3)]


def test_a_failed_trial_error_is_not_tried_again() -> None:
    def run(trial: Any) -> float:
        loss = parabola(trial)
        if trial.number == 0:
            raise kts.errors.FailedTrialError("too large")
        return loss

    tuner = black_box(run, max_trials=2, max_retries_per_trial=5)
    tuner.search(verbose=0)
    assert kinds_of(tuner, "begin") == [("begin", "0000", 1), ("begin", "0001", 1)]
    assert "too large" in tuner._storage.trials()[0].message


def test_a_retry_after_a_nan_that_was_reported_by_hand_counts_on_its_own() -> None:
    tuner: Any = None

    def run(trial: Any) -> None:
        trial.hyperparameters.Float("x", 0, 1)
        tuner.oracle.update_trial(trial.trial_id, {"default_objective": math.nan if trial.attempt == 1 else 0.25})

    tuner = black_box(run, max_trials=1, max_retries_per_trial=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN axis", RuntimeWarning)
        tuner.search(verbose=0)
    assert table(tuner)[0][1:] == ("COMPLETED", {"x": table(tuner)[0][2]["x"]}, 0.25)


def test_a_fatal_error_ends_the_search_and_its_trial_waits() -> None:
    def run(trial: Any) -> float:
        if trial.number == 1 and trial.attempt == 1:
            raise kts.errors.FatalError("stop everything")
        return parabola(trial)

    tuner = black_box(run, max_trials=3)
    with pytest.raises(kts.errors.FatalError):
        tuner.search(verbose=0)
    assert [row[1] for row in table(tuner)] == ["COMPLETED", "IDLE"]
    tuner.search(verbose=0)
    assert [row[1] for row in table(tuner)] == ["COMPLETED"] * 3
    assert kinds_of(tuner, "begin") == [
        ("begin", "0000", 1),
        ("begin", "0001", 1),
        ("begin", "0001", 2),
        ("begin", "0002", 1),
    ]


# Interruption


def interrupted_at(number: int) -> Callable[[Any], float]:
    def run(trial: Any) -> float:
        if trial.number == number and trial.attempt == 1:
            raise KeyboardInterrupt
        return parabola(trial)

    return run


@pytest.mark.parametrize("in_the_same_process", [True, False])
def test_an_interrupted_search_goes_on_as_if_nothing_had_happened(in_the_same_process: bool) -> None:
    whole = black_box(parabola, max_trials=5, project_name="whole")
    whole.search(verbose=0)
    tuner = black_box(interrupted_at(2), max_trials=5)
    with pytest.raises(KeyboardInterrupt):
        tuner.search(verbose=0)
    assert "run the same script again" in tuner._storage.fact("reason")
    assert tuner._storage.trials()[2].status == "IDLE"
    if not in_the_same_process:
        tuner = black_box(interrupted_at(2), max_trials=5)
    tuner.search(verbose=0)
    assert table(tuner) == table(whole)
    assert [event[1:] for event in kinds_of(tuner, "begin")].count(("0002", 2)) == 1
    assert len(kinds_of(tuner, "begin")) == 6


def test_resume_takes_the_arguments_of_the_last_search() -> None:
    seen: list[Any] = []

    class Noting(kts.RandomSearch):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            seen.append((args, kwargs))
            if len(seen) == 2:
                raise KeyboardInterrupt
            return parabola(trial)

    tuner = Noting(max_trials=3, seed=0, tensorboard=None, directory="projects")
    with pytest.raises(InputError, match="resume"):
        tuner.resume()
    with pytest.raises(KeyboardInterrupt):
        tuner.search(1, y=2, verbose=0)
    tuner.resume()
    assert seen == [((1,), {"y": 2})] * 4


def test_two_searches_at_once_on_one_project_are_refused() -> None:
    other = black_box(parabola, max_trials=3)

    def run(trial: Any) -> float:
        if trial.number == 1:
            with pytest.raises(KTSuiteError, match="one process at a time"):
                other.search(verbose=0)
        return parabola(trial)

    tuner = black_box(run, max_trials=3)
    tuner.search(verbose=0)
    assert [row[1] for row in table(tuner)] == ["COMPLETED"] * 3
    assert tuner._storage.fact("reason") == "all trials done"


def test_a_tuner_made_before_another_searched_takes_up_what_that_found() -> None:
    first, second = black_box(parabola, max_trials=3), black_box(parabola, max_trials=5)
    first.search(verbose=0)
    second.search(verbose=0)
    assert table(second)[:3] == table(first)
    assert len(kinds_of(second, "begin")) == 5


def test_values_enqueued_by_a_script_are_tried_once_however_often_it_runs() -> None:
    def script() -> Any:
        given = kts.HyperParameters()
        given.Float("x", -1.0, 1.0)
        tuner = black_box(interrupted_at(2), max_trials=4, hyperparameters=given)
        tuner.oracle.enqueue({"x": 0.5})
        tuner.oracle.enqueue({"x": -0.5})
        return tuner

    with pytest.raises(KeyboardInterrupt):
        script().search(verbose=0)
    tuner = script()
    tuner.search(verbose=0)
    assert [row[2]["x"] for row in table(tuner)].count(0.5) == 1
    assert [row[2]["x"] for row in table(tuner)].count(-0.5) == 1


# Reports, decisions, stale attempts


class Scripted(Executor):
    """Runs trials as lists of things to do: reports by epoch, then an end."""

    def __init__(
        self, script: Callable[[TrialSpec, Callable[[Report], Decision]], Iterator[Event]], num_slots: int = 1
    ) -> None:
        self._script = script
        self._num_slots = num_slots
        self._specs: deque[TrialSpec] = deque()
        self.num_closed = 0

    def open(self, runner: Any, report: Any, should_stop: Any = None) -> None:
        self._handler = report

    def explain(self) -> str:
        return "as the script says"

    def slots(self) -> list[str]:
        return [f"slot{number}" for number in range(self._num_slots)]

    def capacity(self) -> int:
        return self._num_slots - len(self._specs)

    def submit(self, spec: TrialSpec) -> None:
        self._specs.append(spec)

    def stop(self, trial_id: str) -> None: ...

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        spec = self._specs.pop()  # the youngest first
        yield from self._script(spec, lambda report: self._handler(spec.trial_id, report))

    def close(self) -> None:
        self.num_closed += 1


def done(spec: TrialSpec, score: float = 0.5, attempt: int | None = None) -> Event:
    return Event("done", spec.trial_id, attempt or spec.attempt, runs=[RunRecord(0, 1, score, metrics={"loss": score})])


def scripted(script: Any, num_slots: int = 1, **options: Any) -> Any:
    given = kts.HyperParameters()
    given.Float("x", 0.0, 1.0)
    settings = {"max_trials": 3, "objective": kts.Objective("loss", "min"), "hyperparameters": given, **options}
    return black_box(parabola, executor=Scripted(script, num_slots), **settings)


def test_every_report_is_stored_before_anyone_acts_on_it() -> None:
    def script(spec: TrialSpec, report: Any) -> Iterator[Event]:
        for epoch in range(2):
            assert report(Report(0, epoch, {"loss": 1.0 - epoch / 2}, attempt=spec.attempt)) is Decision.CONTINUE
            assert len(tuner._storage.reports(spec.trial_id)) == epoch + 1
        yield done(spec)

    tuner = scripted(script)
    tuner.search(verbose=0)
    assert [trial.epochs for trial in tuner._storage.trials()] == [2, 2, 2]


def test_what_an_attempt_that_was_given_up_says_is_refused() -> None:
    def script(spec: TrialSpec, report: Any) -> Iterator[Event]:
        if spec.attempt == 1:
            yield Event("lost", spec.trial_id, 1, message="its worker died")
            return
        assert report(Report(0, 0, {"loss": 9.0}, attempt=1)) is Decision.STOP
        assert report(Report(0, 0, {"loss": 1.0}, attempt=2)) is Decision.CONTINUE
        yield done(spec, 9.0, attempt=1)
        yield done(spec, 1.0)
        yield done(spec, 7.0)

    tuner = scripted(script, max_trials=1)
    tuner.search(verbose=0)
    assert [(trial.score, trial.attempt, trial.epochs) for trial in tuner._storage.trials()] == [(1.0, 2, 1)]
    assert [dict(report.metrics) for report in tuner._storage.reports("0000")] == [{"loss": 1.0}]
    assert len(kinds_of(tuner, "end")) == 2


def test_a_report_of_an_unknown_trial_is_refused() -> None:
    def script(spec: TrialSpec, report: Any) -> Iterator[Event]:
        assert tuner.executor._handler("9999", Report(0, 0, {"loss": 1.0})) is Decision.STOP
        yield done(spec)

    tuner = scripted(script, max_trials=1)
    tuner.search(verbose=0)
    assert tuner._storage.reports("9999") == []


def test_losing_a_worker_is_no_failure_of_the_trial_until_it_happens_too_often() -> None:
    def script(spec: TrialSpec, report: Any) -> Iterator[Event]:
        lost = spec.trial_id == "0001" or (spec.trial_id == "0000" and spec.attempt <= 2)
        yield Event("lost", spec.trial_id, spec.attempt, message="killed by signal 9") if lost else done(spec)

    tuner = scripted(script)
    tuner.search(verbose=0)
    first, second, third = tuner._storage.trials()
    assert (first.status, first.attempt) == ("COMPLETED", 3)
    assert second.status == "FAILED"
    assert "killed by signal 9" in second.message
    assert third.status == "COMPLETED"


def test_slots_work_side_by_side_and_results_count_as_they_come() -> None:
    tuner = scripted(lambda spec, report: iter([done(spec)]), num_slots=2, max_trials=4)
    tuner.search(verbose=0)
    assert len(tuner.results()) == 4
    assert {trial.slot for trial in tuner._storage.trials()} == {"slot0", "slot1"}
    assert tuner.executor.num_closed >= 1


def test_an_executor_is_closed_whatever_happens() -> None:
    def script(spec: TrialSpec, report: Any) -> Iterator[Event]:
        raise ZeroDivisionError
        yield

    tuner = scripted(script)
    with pytest.raises(ZeroDivisionError):
        tuner.search(verbose=0)
    assert tuner.executor.num_closed == 1
    assert tuner._storage.fact("reason") == "stopped by an error"


def test_a_decision_of_the_oracle_prunes_the_trial_which_keeps_its_score() -> None:
    class Impatient(RandomSearchOracle):
        def report(self, trial: Any, report: Report) -> Decision:
            return Decision.STOP if report.epoch == 1 else Decision.CONTINUE

    def run(trial: Any) -> float:
        for epoch in range(5):
            if not tuner.report_epoch(trial, epoch, {"default_objective": 1.0 / (epoch + 1)}):
                break
        return 1.0 / (epoch + 1)

    tuner = black_box(run, Impatient(max_trials=2, seed=0))
    tuner.search(verbose=0)
    first = tuner._storage.trials()[0]
    assert (first.status, first.score, first.epochs) == ("PRUNED", 0.5, 2)
    assert tuner.get_best_hyperparameters(5) == []


# The oracle's side


def test_an_oracle_that_is_idle_while_nothing_runs_is_an_error_and_no_endless_loop() -> None:
    class Idle(kts.Oracle):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            return {"status": "IDLE"}

    with pytest.raises(KTSuiteError, match="populate_space"):
        black_box(parabola, Idle()).search(verbose=0)


def test_an_idle_oracle_is_asked_again_after_the_next_result_only() -> None:
    asked: list[int] = []

    class Waiting(RandomSearchOracle):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            asked.append(len(self.ongoing_trials))
            return {"status": "IDLE"} if self.ongoing_trials else super().populate_space(trial_id)

    given = kts.HyperParameters()
    given.Float("x", 0.0, 1.0)
    oracle = Waiting(objective=kts.Objective("loss", "min"), max_trials=3, seed=0, hyperparameters=given)
    tuner = black_box(parabola, oracle, executor=Scripted(lambda spec, report: iter([done(spec)]), num_slots=2))
    tuner.search(verbose=0)
    assert len(tuner.results()) == 3
    assert asked.count(0) == 3
    assert asked.count(1) <= 3


# Hooks and loggers


def test_hooks_of_the_tuner_are_called_around_each_trial() -> None:
    calls: list[str] = []

    class Hooked(kts.RandomSearch):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            calls.append("run")
            return parabola(trial)

        def on_search_begin(self) -> None:
            calls.append("search begin")

        def on_search_end(self) -> None:
            calls.append("search end")

        def on_trial_begin(self, trial: Any) -> None:
            super().on_trial_begin(trial)
            calls.append(f"begin {trial.status}")

        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            calls.append(f"end {trial.status}")

    Hooked(max_trials=1, seed=0, tensorboard=None, directory="projects").search(verbose=0)
    assert calls == ["search begin", "begin RUNNING", "run", "end COMPLETED", "search end"]


def test_a_logger_that_fails_is_dropped_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Logger):
        num_calls = 0

        def on_trial_begin(self, trial: Any) -> None:
            Broken.num_calls += 1
            raise OSError("disk full")

    tuner = black_box(parabola, max_trials=3)
    monkeypatch.setattr(tuner, "_loggers", lambda verbose: [Broken()])
    with pytest.warns(UserWarning, match="Broken failed and is dropped.*disk full"):
        tuner.search(verbose=0)
    assert len(tuner.results()) == 3
    assert Broken.num_calls == 1


def test_loggers_see_every_step_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Noting(Logger):
        def __getattribute__(self, name: str) -> Any:
            if name.startswith("on_"):
                return lambda *args: seen.append(name)
            return super().__getattribute__(name)

    def run(trial: Any) -> float:
        tuner.report_epoch(trial, 0, {"default_objective": 1.0})
        return parabola(trial)

    tuner = black_box(run, max_trials=2)
    monkeypatch.setattr(tuner, "_loggers", lambda verbose: [Noting()])
    tuner.search(verbose=0)
    assert seen[0] == "on_search_begin"
    assert seen[-1] == "on_search_end"
    steps = [name for name in seen if name in ("on_trial_begin", "on_report", "on_trial_end")]
    assert steps == ["on_trial_begin", "on_report", "on_trial_end"] * 2
    assert seen.count("on_space") == 1


class Backwards(InlineExecutor):
    """Four slots, in which the trials that were begun first end last, all at one moment."""

    def __init__(self) -> None:
        super().__init__()
        self._specs: list[Any] = []

    def slots(self) -> list[str]:
        return [f"slot{index}" for index in range(4)]

    def capacity(self) -> int:
        return 4 - len(self._specs)

    def submit(self, spec: Any) -> None:
        self._specs.append(spec)

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        specs, self._specs = self._specs, []
        yield from [self._run(spec) for spec in reversed(specs)]


def test_proposals_of_a_deterministic_search_do_not_depend_on_which_trials_end_together(tmp_path: Path) -> None:
    tables = []
    for executor in (InlineExecutor(), Backwards()):
        loss = kts.Objective("loss", "min")
        oracle = kts.oracles.BayesianOptimizationOracle(loss, max_trials=9, num_initial_points=3, seed=0)
        directory = tmp_path / type(executor).__name__
        tuner = black_box(parabola, oracle, executor=executor, directory=directory, deterministic=True)
        tuner.search(verbose=0)
        tables.append(table(tuner))
    assert tables[0] == tables[1]
