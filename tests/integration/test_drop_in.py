"""The less common ways of scripts for KerasTuner, each with its import as it was and with ours."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

import kt_suite
from kt_suite.testing import ToyHyperModel

X, Y = ToyHyperModel.data()
FIT: dict[str, Any] = {"validation_data": (X, Y), "epochs": 2, "verbose": 0}

pytestmark = pytest.mark.filterwarnings("ignore:The use case of calling:DeprecationWarning")


# That the scripts are right in the first place is KerasTuner's to show, and takes it a while.
@pytest.fixture(params=[pytest.param("keras_tuner", marks=pytest.mark.slow), "kt_suite"])
def kt(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(request.param)


@pytest.fixture
def extra(kt: ModuleType) -> dict[str, Any]:
    return {"directory": "projects", "seed": 1, **({"tensorboard": None} if kt is kt_suite else {})}


def build(hp: Any) -> Any:
    units = hp.Int("units", 1, 8)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"], run_eagerly=True)
    return model


def statuses(tuner: Any) -> list[str]:
    return [trial.status for trial in tuner.oracle.trials.values()]


def test_trials_may_report_to_the_oracle_themselves(kt: ModuleType, extra: Any) -> None:
    class Old(kt.RandomSearch):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
            x = trial.hyperparameters.Float("x", -1.0, 1.0)
            for step in range(3):
                self.oracle.update_trial(trial.trial_id, {"score": (x - step) ** 2}, step=step)

    tuner = Old(objective=kt.Objective("score", "min"), max_trials=3, **extra)
    tuner.search(verbose=0)
    assert statuses(tuner) == ["COMPLETED"] * 3
    best = tuner.oracle.get_best_trials()[0]
    x = best.hyperparameters["x"]
    assert best.score == pytest.approx(min((x - step) ** 2 for step in range(3)))
    assert best.best_step == min(range(3), key=lambda step: (x - step) ** 2)


def test_a_list_of_objectives_is_their_signed_sum(kt: ModuleType, extra: Any) -> None:
    class Black(kt.RandomSearch):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            x = trial.hyperparameters.Float("x", 0.0, 1.0)
            metrics = {"cost": x, "gain": 3 * x}
            metrics["multi_objective"] = metrics["cost"] - metrics["gain"]  # asked for by KerasTuner only
            return metrics

    objective = [kt.Objective("cost", "min"), kt.Objective("gain", "max")]
    tuner = Black(objective=objective, max_trials=4, **extra)
    tuner.search(verbose=0)
    trials = tuner.oracle.get_best_trials(4)
    assert [trial.score for trial in trials] == pytest.approx([-2 * trial.hyperparameters["x"] for trial in trials])


def test_metrics_of_keras_may_be_summed_too(kt: ModuleType, extra: Any) -> None:
    tuner = kt.RandomSearch(build, objective=["val_loss", kt.Objective("val_mae", "min")], max_trials=2, **extra)
    tuner.search(X, Y, **FIT)
    best = tuner.oracle.get_best_trials()[0]
    mean = best.metrics.get_best_value
    assert best.score == pytest.approx(mean("val_loss") + mean("val_mae"))


def test_without_an_objective_a_float_is_minimised(kt: ModuleType, extra: Any) -> None:
    class Own(kt.HyperModel):
        def build(self, hp: Any) -> Any:
            return build(hp)

        def fit(self, hp: Any, model: Any, x: Any, y: Any, validation_data: Any, **kwargs: Any) -> float:
            model.fit(x, y, callbacks=kwargs["callbacks"], verbose=0)
            return float(np.mean(np.abs(model.predict(validation_data[0], verbose=0) - validation_data[1])))

    tuner = kt.RandomSearch(Own(), max_trials=2, **extra)
    tuner.search(X, Y, validation_data=(X, Y), verbose=0)
    assert statuses(tuner) == ["COMPLETED"] * 2
    assert tuner.get_best_models()[0].predict(X, verbose=0).shape == (16, 1)


def test_run_trial_may_tune_the_batch_size_around_the_default(kt: ModuleType, extra: Any) -> None:
    sizes: list[int] = []

    class Batched(kt.RandomSearch):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            kwargs["batch_size"] = trial.hyperparameters.Int("batch_size", 2, 8, step=2)
            sizes.append(kwargs["batch_size"])
            return super().run_trial(trial, *args, **kwargs)

    tuner = Batched(build, "val_loss", max_trials=2, **extra)
    tuner.search(X, Y, **FIT)
    assert [trial.hyperparameters["batch_size"] for trial in tuner.oracle.trials.values()] == sizes
    assert len(tuner.get_best_models(2)) == 2


def test_hypermodels_need_not_call_their_parents_constructor(kt: ModuleType, extra: Any) -> None:
    class Careless(kt.HyperModel):
        def __init__(self, num_units: int) -> None:
            self.num_units = num_units

        def build(self, hp: Any) -> Any:
            hp.Choice("activation", ["relu", "tanh"])
            model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(self.num_units), keras.layers.Dense(1)])
            model.compile("sgd", "mse", run_eagerly=True)
            return model

    tuner = kt.RandomSearch(Careless(3), "val_loss", max_trials=2, **extra)
    tuner.search(X, Y, **FIT)
    assert tuner.get_best_models()[0].layers[0].units == 3


def test_hyperparameters_can_be_overridden_from_outside(kt: ModuleType, extra: Any) -> None:
    def conditional(hp: Any) -> Any:
        kind = hp.Choice("kind", ["plain", "wide"])
        with hp.conditional_scope("kind", ["wide"]):
            if kind == "wide":
                hp.Int("width", 10, 20)
        return build(hp)

    hp = kt.HyperParameters()
    hp.Fixed("kind", "plain")
    hp.Int("units", 3, 4)
    tuner = kt.RandomSearch(conditional, "val_loss", hyperparameters=hp, tune_new_entries=True, max_trials=3, **extra)
    tuner.search(X, Y, **FIT)
    values = [trial.hyperparameters.values for trial in tuner.oracle.trials.values()]
    assert {one["kind"] for one in values} == {"plain"}
    assert {one["units"] for one in values} <= {3, 4}
    assert len(values) == 2


def test_only_given_hyperparameters_are_tuned_where_asked(kt: ModuleType, extra: Any) -> None:
    def two(hp: Any) -> Any:
        hp.Float("momentum", 0.25, 0.5)
        return build(hp)

    hp = kt.HyperParameters()
    hp.Int("units", 1, 8)
    tuner = kt.RandomSearch(two, "val_loss", hyperparameters=hp, tune_new_entries=False, max_trials=2, **extra)
    tuner.search(X, Y, **FIT)
    assert {trial.hyperparameters["momentum"] for trial in tuner.oracle.trials.values()} == {0.25}


def test_oracles_of_ones_own_are_written_as_in_keras_tuners_guide(kt: ModuleType, extra: Any) -> None:
    ended: list[str] = []

    class Own(kt.Oracle):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            values = self._random_values()
            return {"status": "STOPPED"} if values is None else {"status": "RUNNING", "values": values}

        @kt.synchronized
        def end_trial(self, trial: Any) -> None:
            super().end_trial(trial)
            ended.append(trial.trial_id)

    oracle = Own(objective="val_loss", max_trials=2, seed=1)
    extra.pop("seed")
    tuner = kt.Tuner(oracle, build, **extra)
    tuner.search(X, Y, **FIT)
    assert statuses(tuner) == ["COMPLETED"] * 2
    assert ended == list(oracle.trials)


def test_summaries_are_printed(kt: ModuleType, extra: Any, capsys: pytest.CaptureFixture[str]) -> None:
    tuner = kt.RandomSearch(build, "val_loss", max_trials=1, **extra)
    tuner.search_space_summary()
    assert "units" in capsys.readouterr().out
    tuner.search(X, Y, **FIT)
    tuner.results_summary()
    assert "units" in capsys.readouterr().out
    tuner.oracle.get_best_trials()[0].summary()
    assert "units" in capsys.readouterr().out


def test_a_search_that_is_overwritten_begins_anew(kt: ModuleType, extra: Any) -> None:
    for _ in range(2):
        tuner = kt.RandomSearch(build, "val_loss", max_trials=1, overwrite=True, **extra)
        assert tuner.remaining_trials == 1
        tuner.search(X, Y, **FIT)
    assert statuses(tuner) == ["COMPLETED"]


def test_sklearn_models_are_tuned_by_keras_tuners_own_tuner(kt: ModuleType) -> None:
    from sklearn.linear_model import Ridge

    tuner = kt.SklearnTuner(
        oracle=kt.oracles.RandomSearchOracle(objective=kt.Objective("score", "max"), max_trials=2, seed=1),
        hypermodel=lambda hp: Ridge(hp.Float("alpha", 1e-3, 10.0, sampling="log")),
        directory="projects",
    )
    tuner.search(X, Y[:, 0])
    assert tuner.get_best_models()[0].predict(X).shape == (16,)


def test_keras_tuners_hyperband_trains_its_budgets_in_our_tuner() -> None:
    oracle = keras_tuner.oracles.HyperbandOracle(objective="val_loss", max_epochs=2, factor=2, seed=1)
    tuner = kt_suite.Tuner(oracle, build, directory="projects", tensorboard=None)
    tuner.search(X, Y, validation_data=(X, Y), verbose=0)
    trials = tuner._storage.trials()
    assert {trial.status for trial in trials} == {"COMPLETED"}
    assert all(trial.epochs == trial.budget - trial.initial_epoch for trial in trials)
    promoted = [trial for trial in trials if trial.parent is not None]
    assert promoted
    assert all(trial.initial_epoch > 0 for trial in promoted)
    assert len(tuner.get_best_models()) == 1
