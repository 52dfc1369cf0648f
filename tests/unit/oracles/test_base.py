from __future__ import annotations

import json
import math
import threading
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
import pytest

import kt_suite as kts
from kt_suite.errors import InputError, ObjectiveError, SearchFailedError
from kt_suite.hyperparameters import HyperParameters
from kt_suite.oracles import Oracle, RandomSearchOracle, Trial, books
from kt_suite.testing import OracleSession
from kt_suite.testing.oracle_session import four_points, space_of, toy_loss
from kt_suite.trial import TrialStatus


def make(build: Any = toy_loss, **options: Any) -> RandomSearchOracle:
    settings = {"objective": kts.Objective("loss", "min"), "max_trials": 20, "seed": 0, **options}
    return RandomSearchOracle(hyperparameters=space_of(build), **settings)


@pytest.fixture
def session(tmp_path: Path) -> OracleSession:
    return OracleSession(make(), toy_loss, tmp_path / "search")


# Arguments


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_trials", 0),
        ("max_trials", "ten"),
        ("max_trials", 2.5),
        ("max_trials", True),
        ("seed", -1),
        ("seed", 1.5),
        ("max_retries_per_trial", -1),
        ("max_retries_per_trial", None),
        ("max_consecutive_failed_trials", 0),
        ("objective", "score"),
        ("objective", 5),
    ],
)
def test_a_bad_argument_is_named_in_one_line(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=name) as caught:
        RandomSearchOracle(**{"objective": "loss", name: value})
    assert repr(value) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_numpy_integers_are_integers() -> None:
    oracle = RandomSearchOracle(objective="loss", seed=np.int64(3), max_trials=np.int32(4))
    assert (oracle.seed, oracle.max_trials) == (3, 4)
    json.dumps(oracle.seed)


def test_without_a_seed_every_search_has_one_of_its_own() -> None:
    seeds = {RandomSearchOracle(objective="loss").seed for _ in range(10)}
    assert len(seeds) == 10
    assert not RandomSearchOracle(objective="loss").seed_is_given
    assert RandomSearchOracle(objective="loss", seed=0).seed_is_given


def test_it_is_keras_tuners_oracle() -> None:
    oracle = make()
    assert isinstance(oracle, keras_tuner.Oracle)
    assert isinstance(oracle.hyperparameters, HyperParameters)
    assert isinstance(oracle.get_space(), HyperParameters)


def test_the_base_class_proposes_nothing() -> None:
    with pytest.raises(TypeError, match="populate_space"):
        Oracle(objective="loss")


# Proposals


def test_trials_are_numbered_and_seeded_by_their_number(session: OracleSession) -> None:
    session.run(4)
    assert [trial.trial_id for trial in session.trials] == ["0000", "0001", "0002", "0003"]
    assert [trial.number for trial in session.trials] == [0, 1, 2, 3]
    assert len({trial.seed for trial in session.trials}) == 4
    assert all(0 <= trial.seed < 2**31 for trial in session.trials)


def test_generators_depend_on_seed_trial_and_stream_alone() -> None:
    draws = [
        oracle.generator(trial_id, stream).random()
        for oracle in (make(seed=0), make(seed=1))
        for trial_id in ("0000", "0001")
        for stream in (0, 1)
    ]
    assert len(set(draws)) == 8
    assert make(seed=0).generator("0001", 1).random() == draws[3]


def test_the_global_generators_are_left_alone(session: OracleSession) -> None:
    np.random.seed(0)  # noqa: NPY002 - that is what must not be touched
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    session.run(3)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_max_trials_are_obeyed_and_remaining_ones_told(tmp_path: Path) -> None:
    session = OracleSession(make(max_trials=3), toy_loss, tmp_path)
    assert session.oracle.remaining_trials() == 3
    assert len(session.run(10)) == 3
    assert (session.status, session.oracle.remaining_trials()) == (TrialStatus.STOPPED, 0)


def test_a_proposal_may_hold_a_budget_and_a_place_in_a_schedule() -> None:
    class Scheduled(Oracle):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            place = {"budget": 9, "initial_epoch": 3, "rung": 1, "bracket": 0, "parent": "0000", "fidelity": 0.5}
            return {"status": "RUNNING", "values": {}, **place}

    trial = Scheduled(objective="loss", seed=0).create_trial("tuner0")
    assert (trial.budget, trial.initial_epoch, trial.rung, trial.bracket) == (9, 3, 1, 0)
    assert (trial.parent, trial.fidelity) == ("0000", 0.5)
    assert not any(name.startswith("tuner/") for name in trial.values)


def test_missing_values_of_a_proposal_take_their_defaults() -> None:
    class Lazy(Oracle):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            return {"status": "RUNNING", "values": {"kind": "wave", "slope": 0.5}}

    trial = Lazy(objective="loss", hyperparameters=space_of(toy_loss)).create_trial("tuner0")
    expected = {"kind": "wave", "order": 1, "width": 2, "shift": -1.0, "is_biased": False, "base": 3}
    assert trial.hyperparameters.values == trial.values == expected


def test_an_error_in_populate_space_frees_the_oracle() -> None:
    class Broken(Oracle):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            if threading.current_thread() is threading.main_thread():
                raise ZeroDivisionError
            return {"status": "RUNNING", "values": {}}

    oracle = Broken(objective="loss")
    with pytest.raises(ZeroDivisionError):
        oracle.create_trial("tuner0")
    asked = threading.Thread(target=oracle.create_trial, args=("tuner1",), daemon=True)
    asked.start()
    asked.join(10)
    assert not asked.is_alive()
    assert list(oracle.trials) == ["0000"]


# Enqueued values


def test_enqueued_values_come_first_completed_with_defaults(session: OracleSession) -> None:
    session.oracle.enqueue({"kind": "wave", "order": 7})
    session.oracle.enqueue({"shift": 0.5})
    first, second, third = session.run(3)
    assert first == {"kind": "wave", "order": 7, "width": 2, "shift": -1.0, "is_biased": False, "base": 3}
    assert (second["kind"], second["shift"]) == ("line", 0.5)
    assert third["shift"] != 0.5


@pytest.mark.parametrize("values", [{"kid": "wave"}, {"kind": "circle"}, {"width": 3}, {"shift": math.nan}])
def test_enqueueing_what_is_not_in_the_space_is_refused(session: OracleSession, values: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        session.oracle.enqueue(values)


def test_enqueued_values_survive_being_stored(tmp_path: Path) -> None:
    def build(hp: Any) -> float:
        return float(len(hp.Choice("shape", [(1,), (2, 2)])) + hp.Float("x", 0, 1))

    session = OracleSession(make(build), build, tmp_path)
    session.oracle.enqueue({"shape": (2, 2), "x": 0.25})
    session.oracle.enqueue({"shape": (2, 2), "x": 0.75})
    session.run(1)
    again = OracleSession(make(build), build, tmp_path)
    assert again.run(1) == [{"shape": (2, 2), "x": 0.75}]


# Repeats


def test_values_are_repeats_of_what_made_a_difference(tmp_path: Path) -> None:
    def build(hp: Any) -> float:  # no conditional scope: only the code knows that momentum is for sgd
        rule = hp.Choice("rule", ["adam", "sgd"])
        return hp.Float("momentum", 0.0, 1.0) if rule == "sgd" else 0.5

    session = OracleSession(
        make(lambda hp: (hp.Choice("rule", ["adam", "sgd"]), hp.Float("momentum", 0, 1))), build, tmp_path
    )
    session.oracle.enqueue({"rule": "adam", "momentum": 0.1})
    session.oracle.enqueue({"rule": "sgd", "momentum": 0.1})
    session.run(2)
    tried = session.oracle.has_tried
    # Nothing has asked for momentum when adam was tried, and then something has.
    assert tried({"rule": "sgd", "momentum": 0.1})
    assert not tried({"rule": "sgd", "momentum": 0.2})
    session.oracle.enqueue({"rule": "adam", "momentum": 0.3})
    session.run(1)
    assert tried({"rule": "adam", "momentum": 0.9})
    again = OracleSession(
        make(lambda hp: (hp.Choice("rule", ["adam", "sgd"]), hp.Float("momentum", 0, 1))), build, tmp_path
    )
    assert again.oracle.has_tried({"rule": "adam", "momentum": 0.9})
    assert not again.oracle.has_tried({"rule": "sgd", "momentum": 0.2})


def test_failed_trials_and_pending_ones_are_repeated_by_the_same_values_only(session: OracleSession) -> None:
    pending = session.proposed("a")
    failed = session.end(session.proposed("b"), status=TrialStatus.FAILED)
    for trial in (pending, failed):
        assert session.oracle.has_tried(trial.values)
        assert not session.oracle.has_tried({**trial.values, "shift": 0.123})


@pytest.mark.parametrize("is_stored", [False, True])
def test_untuned_hyperparameters_take_no_part_in_proposals(tmp_path: Path, is_stored: bool) -> None:
    def build(hp: Any) -> float:
        return float(hp.Int("untuned", 1, 9) + hp.Choice("tuned", [1, 2, 3, 4]))

    def oracle() -> Any:
        space = space_of(lambda hp: hp.Choice("tuned", [1, 2, 3, 4]))
        return RandomSearchOracle(objective="loss", hyperparameters=space, tune_new_entries=False, seed=0)

    session = OracleSession(oracle(), build, tmp_path)
    proposals = session.run(2)
    if is_stored:
        session = OracleSession(oracle(), build, tmp_path)
        proposals += session.run(10)
    else:
        proposals = session.run(10)
    assert sorted(values["tuned"] for values in proposals) == [1, 2, 3, 4]
    assert session.status == TrialStatus.STOPPED


def test_new_hyperparameters_are_refused_where_none_are_allowed() -> None:
    oracle = RandomSearchOracle(objective="loss", hyperparameters=space_of(four_points), allow_new_entries=False)
    with pytest.raises(InputError, match="allow_new_entries"):
        oracle.update_space(space_of(toy_loss))


# Scores


def test_only_completed_trials_are_best_and_equals_keep_their_order(session: OracleSession) -> None:
    for loss, status in [(0.5, "COMPLETED"), (0.1, "COMPLETED"), (None, "FAILED"), (0.1, "COMPLETED")]:
        session.end(session.proposed(), loss, status)
    session.proposed("pending")
    assert [trial.number for trial in session.oracle.get_best_trials(10)] == [1, 3, 0]
    assert [trial.number for trial in session.oracle.get_best_trials()] == [1]


def test_the_best_of_a_maximised_objective_is_the_highest(tmp_path: Path) -> None:
    session = OracleSession(make(objective=kts.Objective("loss", "max")), toy_loss, tmp_path)
    for loss in (0.1, 0.9, 0.5):
        session.end(session.proposed(), loss)
    assert [trial.score for trial in session.oracle.get_best_trials(3)] == [0.9, 0.5, 0.1]
    assert [session.oracle.loss(one) for one in session.oracle.history()] == [-0.1, -0.9, -0.5]


def test_history_tells_pending_failed_and_finished_trials_apart(session: OracleSession) -> None:
    session.end(session.proposed(), 0.5)
    session.end(session.proposed(), status=TrialStatus.FAILED)
    session.proposed()
    done, failed, pending = session.oracle.history()
    assert (done.score, done.is_pending, done.is_failed) == (0.5, False, False)
    assert (failed.score, failed.is_pending, failed.is_failed) == (None, False, True)
    assert (pending.score, pending.is_pending, pending.is_failed) == (None, True, False)
    assert [session.oracle.loss(one) for one in (done, failed, pending)] == [0.5, None, None]


def test_metrics_without_the_objective_are_an_error(session: OracleSession) -> None:
    trial = session.proposed()
    with pytest.raises(ObjectiveError, match="loss"):
        session.oracle.update_trial(trial.trial_id, {"los": 1.0})


def test_a_sum_of_objectives_is_minimised(tmp_path: Path) -> None:
    oracle = make(objective=[kts.Objective("loss", "min"), kts.Objective("gain", "max")])
    for loss, gain in ((1.0, 0.2), (1.2, 0.9)):
        trial = oracle.create_trial("tuner0")
        oracle.update_trial(trial.trial_id, {"loss": loss, "gain": gain, "multi_objective": loss - gain})
        trial.status = TrialStatus.COMPLETED
        oracle.end_trial(trial)
    assert oracle.get_best_trials()[0].number == 1


def test_several_steps_count_by_the_best(session: OracleSession) -> None:
    trial = session.proposed()
    for step, loss in enumerate((0.5, 0.2, 0.4)):
        session.oracle.update_trial(trial.trial_id, {"loss": loss}, step=step)
    trial.status = TrialStatus.COMPLETED
    session.oracle.end_trial(trial)
    assert (trial.score, trial.best_step) == (0.2, 1)


# Failures


def test_the_first_of_the_failures_is_shown(session: OracleSession) -> None:
    for number in range(3):
        trial = session.proposed()
        trial.status, trial.message = TrialStatus.FAILED, f"Traceback of {number}"
        if number < 2:
            session.oracle.end_trial(trial)
    with pytest.raises(SearchFailedError, match="Traceback of 0") as caught:
        session.oracle.end_trial(trial)
    assert "max_consecutive_failed_trials=3" in str(caught.value)
    assert session.oracle.end_order == ["0000", "0001", "0002"]
    assert session.oracle.ongoing_trials == {}


def test_retries_come_before_new_proposals_in_their_order(tmp_path: Path) -> None:
    session = OracleSession(make(max_retries_per_trial=1), toy_loss, tmp_path)
    first, second = session.proposed("a"), session.proposed("b")
    session.end(second, status=TrialStatus.INVALID)
    session.end(first, status=TrialStatus.INVALID)
    again = [session.proposed("a"), session.proposed("b"), session.proposed("c")]
    assert [(trial.trial_id, trial.attempt) for trial in again] == [("0001", 2), ("0000", 2), ("0002", 1)]
    assert again[0].seed == second.seed


def test_failures_are_counted_on_after_a_restart(tmp_path: Path) -> None:
    session = OracleSession(make(max_retries_per_trial=1), toy_loss, tmp_path)
    session.end(session.proposed(), status=TrialStatus.INVALID)
    session = OracleSession(make(max_retries_per_trial=1), toy_loss, tmp_path)
    assert session.end(session.proposed(), status=TrialStatus.INVALID).status == TrialStatus.FAILED
    assert session.trials[0].attempt == 2


def test_consecutive_failures_are_counted_on_after_a_restart(tmp_path: Path) -> None:
    session = OracleSession(make(), toy_loss, tmp_path)
    for _ in range(2):
        session.end(session.proposed(), status=TrialStatus.FAILED)
    session = OracleSession(make(), toy_loss, tmp_path)
    with pytest.raises(SearchFailedError):
        session.end(session.proposed(), status=TrialStatus.FAILED)


# Restoring


def test_restoring_begins_with_empty_books(tmp_path: Path) -> None:
    session = OracleSession(make(), toy_loss, tmp_path)
    session.run(3)
    oracle = session.oracle
    records = [oracle.trials[trial_id].record for trial_id in oracle.start_order]
    books.restore(oracle, records, oracle.checkpoint(), oracle.hyperparameters)
    assert oracle.start_order == ["0000", "0001", "0002"]
    assert oracle.end_order == ["0000", "0001", "0002"]
    assert (oracle._retry_queue, oracle.ongoing_trials) == ([], {})


def test_a_plain_keras_tuner_reloads_all_that_a_trial_knows(tmp_path: Path) -> None:
    class Plain(keras_tuner.Tuner):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            return four_points(trial.hyperparameters)

    def tuner(max_trials: int) -> Any:
        oracle = RandomSearchOracle(max_trials=max_trials, seed=0)
        return Plain(oracle, directory=str(tmp_path), project_name="plain")

    first = tuner(2)
    first.search(verbose=0)
    second = tuner(20)
    before, after = ([one.record for one in each.oracle.trials.values()] for each in (first, second))
    assert [(one.number, one.seed, one.values, one.used, one.score) for one in after] == [
        (one.number, one.seed, one.values, one.used, one.score) for one in before
    ]
    second.search(verbose=0)
    points = [json.dumps(trial.values) for trial in second.oracle.trials.values()]
    assert len(points) == len(set(points)) == 4


def test_an_oracle_written_for_keras_tuner_keeps_its_own_state(tmp_path: Path) -> None:
    class Counting(kts.Oracle):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.count = 0

        def populate_space(self, trial_id: str) -> dict[str, Any]:
            self.count += 1
            values = self._random_values()
            return {"status": "STOPPED"} if values is None else {"status": "RUNNING", "values": {**values, "base": 3}}

        def get_state(self) -> dict[str, Any]:
            return {**super().get_state(), "count": self.count}

        def set_state(self, state: dict[str, Any]) -> None:
            super().set_state(state)
            self.count = state["count"]

    def session() -> OracleSession:
        oracle = Counting(objective=kts.Objective("loss", "min"), hyperparameters=space_of(toy_loss), seed=0)
        return OracleSession(oracle, toy_loss, tmp_path)

    first = session()
    first.run(3)
    second = session()
    assert second.oracle.count == 3
    assert second.run(1)[0] not in [trial.values for trial in first.trials]
    assert second.oracle.count == 4


def test_random_values_of_old_oracles_are_seeded_and_never_repeat() -> None:
    def proposals() -> list[Any]:
        oracle = make(four_points, seed=0)
        found = []
        for slot in "abcde":
            found.append(oracle._random_values())
            oracle.create_trial(slot)
        return found

    found = proposals()
    assert found == proposals()
    assert found[-1] is None


# Trials


def test_a_trial_of_keras_tuner_becomes_ours_and_keeps_its_metrics() -> None:
    theirs = keras_tuner.engine.trial.Trial(keras_tuner.HyperParameters(), trial_id="7")
    theirs.metrics.update("loss", 0.5)
    ours = Trial.of(theirs)
    assert (ours.trial_id, ours.status) == ("7", "RUNNING")
    assert ours.metrics.get_best_value("loss") == 0.5
    assert Trial.of(ours) is ours
    assert isinstance(ours, keras_tuner.engine.trial.Trial)


def test_a_trial_survives_keras_tuners_files(session: OracleSession, tmp_path: Path) -> None:
    trial = session.end(session.proposed(), 0.25)
    trial.save(str(tmp_path / "trial.json"))
    again = Trial.load(str(tmp_path / "trial.json"))
    assert (again.score, again.status, again.seed, again.number) == (0.25, "COMPLETED", trial.seed, 0)
    assert again.hyperparameters.values == again.values == trial.values
    trial.summary()
    again.summary()
