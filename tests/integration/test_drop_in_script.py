"""A script written for KerasTuner does the same with only its import changed."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

import kt_suite

MODULES = ["keras_tuner", "kt_suite"]


@pytest.fixture(params=MODULES)
def kt(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(request.param)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    return x, x[:, :1] * 2


def build(hp: Any) -> Any:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 2, 8, step=2))])
    kind = hp.Choice("kind", ["plain", "dropped"])
    with hp.conditional_scope("kind", ["dropped"]):
        if kind == "dropped":
            model.add(keras.layers.Dropout(hp.Float("rate", 0.1, 0.5)))
    model.add(keras.layers.Dense(1))
    model.compile(keras.optimizers.SGD(hp.Float("lr", 1e-3, 1e-1, sampling="log")), "mse")
    return model


def extra(kt: ModuleType) -> dict[str, Any]:
    return {"tensorboard": None} if kt is kt_suite else {}


class Counting(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["seen"] = float(epoch)


@pytest.mark.slow
def test_a_whole_script_gives_the_same_kinds_of_results(kt: ModuleType, data: Any, tmp_path: Path) -> None:
    x, y = data
    settings = {
        "objective": "val_loss",
        "executions_per_trial": 2,
        "seed": 3,
        "directory": tmp_path,
        "project_name": "p",
    }
    tuner = kt.RandomSearch(build, max_trials=3, **settings, **extra(kt))
    tuner.search(x, y, validation_split=0.25, epochs=2, callbacks=[Counting()], verbose=0)
    assert isinstance(tuner, keras_tuner.Tuner)
    assert isinstance(tuner.oracle, keras_tuner.Oracle)
    best = tuner.get_best_hyperparameters(2)
    assert {"units", "kind", "lr"} <= set(best[0].values)
    assert all(("rate" in hp.values) == (hp.get("kind") == "dropped") for hp in best)
    models = tuner.get_best_models(2)
    assert [model.predict(x, verbose=0).shape for model in models] == [(64, 1)] * 2
    trials = tuner.oracle.get_best_trials(3)
    assert [trial.score for trial in trials] == sorted(trial.score for trial in trials)
    assert tuner.remaining_trials == 0
    again = kt.RandomSearch(build, max_trials=3, **settings, **extra(kt))
    assert [trial.trial_id for trial in again.oracle.get_best_trials(3)] == [trial.trial_id for trial in trials]
    np.testing.assert_allclose(
        again.get_best_models(1)[0].predict(x, verbose=0), models[0].predict(x, verbose=0), rtol=1e-5
    )


def test_the_best_model_is_the_best_of_its_runs_at_its_best_epoch(data: Any, tmp_path: Path) -> None:
    x, y = data
    tuner = kt_suite.RandomSearch(build, "val_loss", max_trials=3, seed=3, directory=tmp_path, tensorboard=None)
    tuner.search(x, y, validation_data=(x[:16], y[:16]), epochs=4, verbose=0)
    for model, row in zip(tuner.get_best_models(3), tuner.results(), strict=True):
        assert model.evaluate(x[:16], y[:16], verbose=0) == pytest.approx(row["score"], rel=1e-4)


RESULTS = {
    "float": lambda history: float(min(history.history["loss"])),
    "dict": lambda history: {"loss": float(min(history.history["loss"])), "other": 1.0},
    "history": lambda history: history,
    "list": lambda history: [history, history],
}


@pytest.mark.parametrize("kind", RESULTS)
def test_run_trial_may_return_a_result_in_any_form(kt: ModuleType, data: Any, tmp_path: Path, kind: str) -> None:
    x, y = data

    class Own(kt.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            hp = trial.hyperparameters
            model = self.hypermodel.build(hp)
            return RESULTS[kind](self.hypermodel.fit(hp, model, *args, epochs=hp.Int("epochs", 1, 2), **kwargs))

    objective = None if kind == "float" else "loss"
    tuner = Own(build, objective, max_trials=2, directory=tmp_path, **extra(kt))
    tuner.search(x, y, verbose=0)
    assert len([trial for trial in tuner.oracle.trials.values() if trial.status == "COMPLETED"]) == 2
    assert "epochs" in tuner.get_best_hyperparameters()[0].values


@pytest.mark.slow
def test_hypermodels_may_train_in_their_own_way(kt: ModuleType, data: Any, tmp_path: Path) -> None:
    x, y = data

    class Own(kt.HyperModel):
        def build(self, hp):
            return build(hp)

        def fit(self, hp, model, x, y, validation_data, callbacks=None, **kwargs):
            size = hp.Choice("batch_size", [8, 16])
            model.fit(x, y, batch_size=size, callbacks=callbacks, **kwargs)
            return {"val_loss": model.evaluate(*validation_data, verbose=0)}

    tuner = kt.RandomSearch(Own(), "val_loss", max_trials=2, directory=tmp_path, **extra(kt))
    tuner.search(x, y, validation_data=(x, y), verbose=0)
    assert "batch_size" in tuner.get_best_hyperparameters()[0].values
    assert tuner.get_best_models()[0].predict(x, verbose=0).shape == (64, 1)


def test_hooks_of_a_tuner_are_called(kt: ModuleType, data: Any, tmp_path: Path) -> None:
    x, y = data
    seen = []

    class Own(kt.RandomSearch):
        def on_epoch_end(self, trial, model, epoch, logs=None):
            seen.append((trial.trial_id, epoch, "loss" in logs, isinstance(model, keras.Model)))

    tuner = Own(build, "loss", max_trials=1, directory=tmp_path, **extra(kt))
    tuner.search(x, y, epochs=2, verbose=0)
    assert [row[1:] for row in seen] == [(0, True, True), (1, True, True)]


ORACLES = {
    "RandomSearchOracle": {"max_trials": 4},
    "GridSearchOracle": {"max_trials": 4},
    "BayesianOptimizationOracle": {"max_trials": 4, "num_initial_points": 2},
    "HyperbandOracle": {"max_epochs": 4, "factor": 2},
}


@pytest.mark.parametrize("name", ORACLES)
def test_any_oracle_runs_in_any_tuner(tmp_path: Path, name: str) -> None:
    for module, tuner_class in ((keras_tuner, kt_suite.Tuner), (kt_suite, keras_tuner.Tuner)):

        class Own(tuner_class):
            def run_trial(self, trial, *args, **kwargs):
                hp = trial.hyperparameters
                return (hp.get("a") - 4) ** 2 + hp.get("b")

        space = module.HyperParameters()
        space.Int("a", 0, 9)
        space.Float("b", 0.0, 1.0, step=0.25)
        oracle = getattr(module.oracles, name)(
            objective=keras_tuner.Objective("loss", "min"), seed=1, hyperparameters=space, **ORACLES[name]
        )
        arguments = {"tensorboard": None} if tuner_class is kt_suite.Tuner else {}
        tuner = Own(oracle, directory=tmp_path / module.__name__, project_name=name, **arguments)
        tuner.search(verbose=0)
        done = [trial for trial in oracle.trials.values() if trial.status == "COMPLETED"]
        assert len(done) >= 4
        assert tuner.oracle.get_best_trials(1)[0].score == min(trial.score for trial in done)
