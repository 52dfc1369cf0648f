from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras_tuner
import pytest

import kt_suite as kts
from kt_suite.errors import SearchFailedError
from kt_suite.hyperparameters import HyperParameters
from kt_suite.oracles import RandomSearchOracle, Trial
from kt_suite.oracles.books import Books, keeps_state
from kt_suite.testing import OracleSession
from kt_suite.testing.oracle_session import space_of, toy_loss
from kt_suite.trial import TrialStatus

LOSS = kts.Objective("loss", "min")


def theirs(kind: Any = keras_tuner.oracles.RandomSearchOracle, **options: Any) -> Any:
    return kind(**{"objective": LOSS, "seed": 3, "hyperparameters": space_of(toy_loss), **options})


def test_a_foreign_trial_gets_a_record_number_and_seed_of_ours(tmp_path: Path) -> None:
    session = OracleSession(theirs(max_trials=3), toy_loss, tmp_path)
    session.run(5)
    assert [trial.number for trial in session.trials] == [0, 1, 2]
    assert len({trial.seed for trial in session.trials}) == 3
    assert all(isinstance(trial, Trial) for trial in session.oracle.trials.values())
    assert [trial.record.status for trial in session.trials] == ["COMPLETED"] * 3
    assert all(trial.record.score == pytest.approx(toy_loss(trial.hyperparameters)) for trial in session.trials)


def test_a_foreign_oracle_writes_no_files_and_prints_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    oracle = theirs(max_trials=2)
    oracle._set_project_dir(str(tmp_path), "theirs")
    OracleSession(oracle, toy_loss, tmp_path / "ours").run(2)
    assert not (tmp_path / "theirs").exists()
    assert capsys.readouterr().out == ""


def test_the_space_of_a_foreign_oracle_is_ours() -> None:
    oracle = keras_tuner.oracles.RandomSearchOracle(objective=LOSS)
    Books(oracle)
    assert isinstance(oracle.get_space(), HyperParameters)


def test_budgets_of_keras_tuners_hyperband_become_fields_of_the_trial(tmp_path: Path) -> None:
    oracle = theirs(keras_tuner.oracles.HyperbandOracle, max_epochs=4, factor=2)
    session = OracleSession(oracle, toy_loss, tmp_path)
    session.run(12)
    first = session.trials[0]
    promoted = next(trial for trial in session.trials if trial.parent is not None)
    assert (first.budget, first.initial_epoch, first.bracket, first.rung) == (1, 0, 2, 0)
    assert promoted.parent in oracle.trials
    assert promoted.initial_epoch == oracle.trials[promoted.parent].budget
    assert keeps_state(oracle, first)


def test_state_of_trials_without_budgets_is_not_kept(tmp_path: Path) -> None:
    session = OracleSession(theirs(max_trials=1), toy_loss, tmp_path)
    session.run(1)
    assert not keeps_state(session.oracle, session.trials[0])
    ours = RandomSearchOracle(objective=LOSS, hyperparameters=space_of(toy_loss))
    assert not keeps_state(ours, ours.create_trial("tuner0"))


def test_failures_of_a_foreign_oracle_end_the_search_by_our_rule(tmp_path: Path) -> None:
    session = OracleSession(theirs(max_trials=20), toy_loss, tmp_path)
    for _ in range(2):
        session.end(session.proposed(), status=TrialStatus.FAILED)
    session.end(session.proposed())
    for _ in range(2):
        session.end(session.proposed(), status=TrialStatus.FAILED)
    with pytest.raises(SearchFailedError):
        session.end(session.proposed(), status=TrialStatus.FAILED)
    assert session.oracle.ongoing_trials == {}
    next_trial = session.end(session.proposed())
    assert next_trial.number == 6
    assert session.oracle._retry_queue == []


def test_a_failed_trial_has_no_score(tmp_path: Path) -> None:
    session = OracleSession(theirs(max_trials=3, max_retries_per_trial=0), toy_loss, tmp_path)
    trial = session.proposed()
    session.oracle.update_trial(trial.trial_id, {"loss": 1.0})
    trial.record.score = 1.0
    session.end(trial, status=TrialStatus.FAILED)
    assert trial.record.score is None


def test_trials_under_way_wait_to_be_started_again(tmp_path: Path) -> None:
    for oracle in (
        theirs(max_trials=5),
        RandomSearchOracle(objective=LOSS, hyperparameters=space_of(toy_loss), seed=0),
    ):
        session = OracleSession(oracle, toy_loss, tmp_path / type(oracle).__module__)
        running = session.proposed("a")
        session._books.requeue()
        session._books.requeue()
        again = session.proposed("b")
        assert (again.trial_id, again.attempt) == (running.trial_id, 2)
        assert session.proposed("c").trial_id != running.trial_id


def test_the_state_of_every_oracle_can_be_written_as_json(tmp_path: Path) -> None:
    kinds = [
        *(keras_tuner.oracles.RandomSearchOracle, keras_tuner.oracles.GridSearchOracle),
        *(keras_tuner.oracles.BayesianOptimizationOracle, keras_tuner.oracles.HyperbandOracle, RandomSearchOracle),
    ]
    for kind in kinds:
        session = OracleSession(theirs(kind), toy_loss, tmp_path / f"{kind.__module__}.{kind.__name__}")
        session.run(2)
        state = session._books.checkpoint()
        assert json.loads(json.dumps(state)) is not None
        assert "hyperparameters" not in state
