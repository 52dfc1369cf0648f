"""An executor that fuses only if it pays does so where nobody notices but for the speed, and says what it goes by."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import kt_suite as kts
from kt_suite.executors.fused import discretion, preview
from kt_suite.executors.fused.discretion import check_alike
from kt_suite.executors.fused.executor import FusedExecutor
from kt_suite.executors.fused.unfusable import Unfusable

DATA = {"x": np.zeros((8, 4), "float32"), "y": np.zeros(8, "int32")}


def tuner_of(build: Any, path: Path, kind: Any = kts.RandomSearch, fit: Any = None, **options: Any) -> Any:
    if kind is not kts.Hyperband:
        options.setdefault("max_trials", 4)
    executor = FusedExecutor(only_if_it_pays=True)
    tuner = kind(build, objective="val_loss", executor=executor, directory=path, tensorboard=None, **options)
    tuner._fit_args, tuner._fit_kwargs = (), {**DATA, **(fit or {})}
    tuner.executor.prepare(tuner)
    return tuner


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (kts.RandomSearch, {}),
        (kts.GridSearch, {}),
        (kts.QuasiRandomSearch, {}),
        (kts.Hyperband, {"max_epochs": 4}),
        (kts.RandomSearch, {"pruner": "threshold"}),
        (kts.RandomSearch, {"fit": {"callbacks": [keras.callbacks.EarlyStopping()]}}),
    ],
)
def test_it_fuses_where_proposals_do_not_follow_from_results(
    tiny_build: Any, tmp_path: Path, kind: Any, options: dict[str, Any]
) -> None:
    tuner = tuner_of(tiny_build, tmp_path, kind, **options)
    assert tuner.executor.name == "fused", tuner.explain_execution()


class Watching(kts.RandomSearch):
    def on_trial_end(self, trial: Any) -> None:
        super().on_trial_end(trial)


class OwnTraining(kts.RandomSearch):
    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        return 0.0


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        (kts.BayesianOptimization, {}, "what is proposed follows from the results"),
        (kts.Hyperband, {"max_epochs": 4, "asynchronous": True}, "what is proposed follows from the results"),
        (kts.RandomSearch, {"max_trials": 2}, "too many kinds for each to be worth a program"),
        (kts.RandomSearch, {"pruner": "median"}, "pruned by how those before them have ended"),
        (kts.RandomSearch, {"patience": 3}, "patience may end the search"),
        (kts.RandomSearch, {"time_budget": 60}, "time_budget may end the search"),
        (Watching, {}, "Watching overrides on_trial_end"),
        (OwnTraining, {}, "OwnTraining overrides run_trial"),
        (kts.RandomSearch, {"fit": {"callbacks": [keras.callbacks.LambdaCallback()]}}, "LambdaCallback"),
        (kts.RandomSearch, {"fit": {"callbacks": list}}, "callbacks are made by a function"),
    ],
)
def test_it_trains_inline_where_that_could_be_noticed(
    tiny_build: Any, tmp_path: Path, kind: Any, options: dict[str, Any], reason: str
) -> None:
    tuner = tuner_of(tiny_build, tmp_path, kind, **options)
    assert tuner.executor.name == "inline"
    assert reason in tuner.explain_execution()


def of_depth(most: int, *, is_endless: bool = True) -> Any:
    def build(hp: Any) -> Any:
        if is_endless:
            hp.Float("rate", 0.0, 1.0)
        return compiled([layers.Dense(2) for _ in range(hp.Int("depth", 1, most))])

    return build


def test_it_counts_the_runs_that_will_share_a_program(tmp_path: Path) -> None:
    def estimate(build: Any, trials: int, **options: Any) -> float:
        return preview.runs_a_program(tuner_of(build, tmp_path / str(next(numbers)), max_trials=trials, **options))

    numbers = itertools.count()
    assert estimate(of_depth(1), 20) == 20
    assert estimate(of_depth(1), 20, executions_per_trial=2) == 40
    assert estimate(of_depth(3), 30) == pytest.approx(10, rel=0.3)
    assert estimate(of_depth(3, is_endless=False), 30) < 2  # there are but three points
    assert estimate(of_depth(40), 12) < 2
    assert estimate(of_depth(40), 400) > 4


def test_it_trains_inline_where_trials_are_of_too_many_kinds(tmp_path: Path) -> None:
    assert tuner_of(of_depth(40), tmp_path / "few", max_trials=12).executor.name == "inline"
    assert tuner_of(of_depth(40), tmp_path / "many", max_trials=1000).executor.name == "fused"


def test_it_trains_inline_where_each_model_has_work_enough(
    tiny_build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "_MOST_OPERATIONS", 10.0)
    assert "keeps the device busy" in tuner_of(tiny_build, tmp_path).explain_execution()


def test_it_trains_inline_where_data_take_much_memory(
    tiny_build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discretion, "total_memory", lambda: 1000)
    assert "a large part of the memory" in tuner_of(tiny_build, tmp_path).explain_execution()


def compiled(hidden: list[Any], optimizer: Any = "adam", loss: Any = "mse", metrics: Any = None) -> Any:
    model = keras.Sequential([keras.Input((4,)), *hidden, layers.Flatten(), layers.Dense(1)])
    model.compile(optimizer, loss, metrics=metrics)
    return model


def own(true: Any, predicted: Any) -> Any:
    return keras.ops.mean(keras.ops.square(true - predicted), -1)


@pytest.mark.parametrize(
    "model",
    [
        lambda: compiled([layers.Dense(3, "relu"), layers.Dense(3, keras.activations.gelu)]),
        lambda: compiled([], loss=keras.losses.Huber(), metrics=["mae", keras.metrics.MeanSquaredError()]),
        lambda: compiled([], loss=keras.losses.mean_squared_error, metrics=[keras.metrics.mean_absolute_error]),
        lambda: compiled([layers.Embedding(5, 2)], keras.optimizers.SGD(momentum=0.9)),
    ],
)
def test_what_is_keras_own_may_be_fused(model: Any) -> None:
    check_alike(model(), [])


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda: compiled([layers.Embedding(5, 2)]), "Adam steps on sparse gradients"),
        (lambda: compiled([layers.Dense(3, lambda x: x - keras.ops.mean(x))]), "<lambda> is a function of your own"),
        (lambda: compiled([], loss=own), "own is a function of your own"),
        (lambda: compiled([], metrics=[own]), "own is a function of your own"),
    ],
)
def test_what_could_come_out_otherwise_is_trained_inline(model: Any, reason: str) -> None:
    with pytest.raises(Unfusable, match=reason):
        check_alike(model(), [])
