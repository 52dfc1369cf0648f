"""The race of folds, against brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

import kt_suite as kts
from kt_suite.errors import InputError
from kt_suite.racing import Racing, as_racing, chance_of_winning
from kt_suite.trial import Decision, Report, RunRecord, TrialRecord, TrialStatus


def test_the_chance_is_that_of_the_predictive_distribution() -> None:
    differences = np.random.default_rng(0).normal(0.3, 1.0, size=4)
    k, left = 4, 6
    mean, spread = differences.mean(), differences.std(ddof=1)
    # The mean of those left must be below -k mean / left; it is predicted by Student around the mean so far.
    expected = stats.t(k - 1, mean, spread * np.sqrt(1 / k + 1 / left)).cdf(-k * mean / left)
    assert chance_of_winning(differences, k + left) == pytest.approx(expected)


def test_equal_differences_say_nothing() -> None:
    assert chance_of_winning([0.1, 0.1, 0.1], 5) == 1.0
    assert chance_of_winning([0.0, 0.0], 5) == 1.0


@pytest.mark.parametrize("num_folds", [5, 10])
def test_winners_are_seldom_stopped_and_hopeless_trials_mostly(num_folds: int) -> None:
    generator = np.random.default_rng(0)

    def stopped(differences: Any, racing: Racing) -> bool:
        looks = range(racing.min_folds, num_folds)
        return any(chance_of_winning(differences[:k], num_folds) < racing.alpha / len(looks) for k in looks)

    racing = Racing(0.1)
    winners = [row for row in generator.normal(0.0, 1.0, size=(2000, num_folds)) if row.mean() < 0]
    assert np.mean([stopped(row, racing) for row in winners]) < 0.1
    hopeless = generator.normal(4.0, 1.0, size=(300, num_folds))
    assert np.mean([stopped(row, racing) for row in hopeless]) > 0.5


def trial_of(number: int, scores: Any, status: str = TrialStatus.COMPLETED, **fields: Any) -> TrialRecord:
    runs = [RunRecord(index, 0, score, fold=index) for index, score in enumerate(scores)]
    return TrialRecord(f"{number:04d}", number, status, score=float(np.mean(scores)), runs=runs, **fields)


def decisions(racing: Racing, losses: Any, rivals: Any, **fields: Any) -> list[Decision]:
    racing.open(5, 1, "min")
    trial = TrialRecord("0009", 9, **fields)
    return [racing.judge(trial, Report(run, 0, {"val_loss": loss}), rivals) for run, loss in enumerate(losses)]


def test_a_trial_far_behind_the_incumbent_stops_once_that_is_sure() -> None:
    rivals = [trial_of(0, [9.0] * 5), trial_of(1, [0.1, 0.2, 0.3, 0.2, 0.1])]
    behind = [1.1, 1.2, 1.31, 1.2]
    assert decisions(Racing(), behind, rivals) == [Decision.CONTINUE, Decision.CONTINUE, Decision.STOP, Decision.STOP]
    assert set(decisions(Racing(), [0.1, 0.25, 0.2, 0.2], rivals)) == {Decision.CONTINUE}
    assert set(decisions(Racing(), behind, [])) == {Decision.CONTINUE}
    assert set(decisions(Racing(), behind, rivals, budget=3)) == {Decision.CONTINUE}  # of another level


@pytest.mark.parametrize("value", [0, 0.5, "no", -1])
def test_what_is_no_racing_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="alpha of racing"):
        as_racing(value)
    with pytest.raises(InputError, match="min_folds"):
        Racing(min_folds=1)


@pytest.mark.slow
def test_a_race_saves_runs_and_leaves_the_winner() -> None:
    x, y = load_iris(return_X_y=True)

    def build(hp: Any) -> Any:
        return DecisionTreeClassifier(max_depth=hp.Choice("max_depth", [4, 1, 3]), random_state=0)

    def search(**options: Any) -> Any:
        settings = {"cross_validation": 10, "tensorboard": None, "seed": 0, "directory": "projects"}
        tuner = kts.GridSearch(build, "val_accuracy", **settings, **options)
        tuner.search(x, y, verbose=0)
        return tuner

    whole, raced = search(project_name="whole"), search(project_name="raced", racing=True)
    assert raced.results()[0]["values"] == whole.results()[0]["values"]
    stump = next(row for row in raced.results() if row["values"]["max_depth"] == 1)
    assert stump["status"] == "PRUNED"
    assert 3 <= len(stump["fold_scores"]) < 10
    assert "of 10 folds" in stump["message"]


def test_a_race_needs_folds() -> None:
    with pytest.raises(InputError, match="racing must be None without cross_validation"):
        kts.RandomSearch(lambda hp: None, "val_loss", racing=True)
