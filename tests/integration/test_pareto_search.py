"""Searches for a front, from the tuner to the stored search; trials are calls of a function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pytest

import kt_suite as kts
from kt_suite.errors import InputError, ObjectiveError
from kt_suite.oracles.pareto import ParetoOracle

OBJECTIVES = [kts.Objective("val_loss", "min"), kts.Objective("seconds", "min")]


def history(trial: Any) -> Any:
    """Returns what training would: a loss that is best at the second of three epochs, and a time that grows."""
    width, rate = trial.hyperparameters.Int("width", 1, 64), trial.hyperparameters.Float("rate", 0.0, 1.0)
    loss = 1 / width + (rate - 0.5) ** 2
    made = keras.callbacks.History()
    made.history = {"val_loss": [loss + 1, loss, loss + 0.5], "seconds": [width, 2.0 * width, 3.0 * width]}
    return made


def tuner_of(kind: Any, directory: Path, run: Callable[[Any], Any] = history, **options: Any) -> Any:
    """Returns a tuner of some kind that calls ``run`` for each trial."""

    class Called(kind):  # type: ignore[misc]
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            return run(trial)

    settings = {"directory": directory, "project_name": "front", "tensorboard": None, "seed": 0, **options}
    return Called(**settings)


def searched(kind: Any, directory: Path, run: Callable[[Any], Any] = history, **options: Any) -> Any:
    tuner = tuner_of(kind, directory, run, **options)
    tuner.search(verbose=0)
    return tuner


def by_id(tuner: Any) -> list[Any]:
    return sorted(((row["trial_id"], row["values"], row["metrics"]) for row in tuner.results()), key=lambda row: row[0])


@pytest.mark.parametrize("kind", [kts.RandomSearch, kts.QuasiRandomSearch, kts.BayesianOptimization, kts.TPESearch])
def test_tuners_search_for_the_front_that_pareto_names(kind: Any, tmp_path: Path) -> None:
    if kind is kts.TPESearch:
        pytest.importorskip("optuna", reason="needs the extra `optuna`")
    tuner = searched(kind, tmp_path, pareto=OBJECTIVES, max_trials=12)
    front = [trial.record.metrics for trial in tuner.get_pareto_trials()]
    losses, seconds = [one["val_loss"] for one in front], [one["seconds"] for one in front]
    assert losses == sorted(losses)
    assert seconds == sorted(seconds, reverse=True)
    others = [row["metrics"] for row in tuner.results() if row["metrics"] not in front]
    assert len(front) + len(others) == 12
    assert all(
        any(one["val_loss"] <= other["val_loss"] and one["seconds"] <= other["seconds"] for one in front)
        for other in others
    )


@pytest.mark.parametrize(("score", "epoch"), [("best", 1), ("last", 2)])
def test_all_objectives_are_those_of_the_scored_epoch(score: str, epoch: int, tmp_path: Path) -> None:
    tuner = searched(kts.RandomSearch, tmp_path, pareto=OBJECTIVES, max_trials=3, score=score)
    for row in tuner.results():
        assert row["best_epoch"] == epoch
        assert row["metrics"]["seconds"] == (epoch + 1) * row["values"]["width"]
        assert row["score"] == row["metrics"]["val_loss"]


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    def interrupted(trial: Any) -> Any:
        if trial.number == 6 and trial.attempt == 1:
            raise KeyboardInterrupt
        return history(trial)

    options = {"pareto": OBJECTIVES, "max_trials": 9}
    whole = searched(kts.BayesianOptimization, tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        searched(kts.BayesianOptimization, tmp_path / "parts", interrupted, **options)
    resumed = searched(kts.BayesianOptimization, tmp_path / "parts", **options)
    assert by_id(resumed) == by_id(whole)
    assert [one.trial_id for one in resumed.get_pareto_trials()] == [one.trial_id for one in whole.get_pareto_trials()]
    assert resumed.oracle.hypervolumes() == pytest.approx(whole.oracle.hypervolumes())


def test_the_best_trials_are_those_of_the_front(tmp_path: Path) -> None:
    tuner = searched(kts.RandomSearch, tmp_path, pareto=OBJECTIVES, max_trials=12)
    front = tuner.get_pareto_trials()
    best = tuner.get_best_hyperparameters(len(front))
    assert {one.get("width") for one in best} == {trial.values["width"] for trial in front}
    assert best[0].values == front[0].values


def test_trials_with_several_runs_are_compared_by_means(tmp_path: Path) -> None:
    def runs(trial: Any) -> list[dict[str, float]]:
        rate = trial.hyperparameters.Float("rate", 0.0, 1.0)
        return [{"val_loss": rate, "seconds": 1.0}, {"val_loss": rate + 1.0, "seconds": 3.0}]

    tuner = searched(kts.RandomSearch, tmp_path, runs, pareto=OBJECTIVES, max_trials=3)
    trial = tuner.get_pareto_trials()[0]
    assert tuner.oracle.losses(trial).tolist() == pytest.approx([trial.values["rate"] + 0.5, 2.0])


def test_a_training_that_returns_one_number_is_told_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ObjectiveError, match="seconds"):
        searched(kts.RandomSearch, tmp_path, lambda trial: trial.hyperparameters.Float("x", 0, 1), pareto=OBJECTIVES)


def test_objective_and_pareto_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pareto"):
        tuner_of(kts.RandomSearch, tmp_path, objective="val_loss", pareto=OBJECTIVES)


def test_a_search_for_one_objective_has_no_front(tmp_path: Path) -> None:
    tuner = searched(kts.RandomSearch, tmp_path, objective="val_loss", max_trials=2)
    with pytest.raises(InputError, match=r"pareto=\[...\]"):
        tuner.get_pareto_trials()


@pytest.mark.parametrize("returned", ["dict", "history"])
def test_a_plain_keras_tuner_searches_for_a_front_and_reloads_it(returned: str, tmp_path: Path) -> None:
    class Plain(keras_tuner.Tuner):  # type: ignore[misc]
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            result = history(trial)
            return result if returned == "history" else {name: values[1] for name, values in result.history.items()}

    def search(max_trials: int) -> ParetoOracle:
        oracle = ParetoOracle(OBJECTIVES, "random", max_trials=max_trials, seed=0)
        Plain(oracle, directory=str(tmp_path), project_name="plain").search(verbose=0)
        return oracle

    first = search(6)
    assert all(
        trial.metrics.get_best_value("seconds") == 2 * trial.values["width"] for trial in first.get_pareto_trials()
    )
    second = search(10)
    assert second.hypervolumes([2.0, 200.0])[:6] == pytest.approx(first.hypervolumes([2.0, 200.0]))
