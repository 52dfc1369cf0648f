"""Executors are interchangeable: the same trials and the same best wherever they train, and none lost under fire."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil
import pytest

import kt_suite
from kt_suite.trial import TrialStatus
from tests.outside import PATIENCE, OutsideSearch, is_gone, wait_for

pytestmark = pytest.mark.slow

WORKERS = ["processes", pytest.param("ray", marks=pytest.mark.ray)]


def build(hp: Any) -> Any:
    layers = [keras.Input((3,)), keras.layers.Dense(hp.Int("units", 2, 9), "relu"), keras.layers.Dropout(0.2)]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")), "mse")
    return model


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return outcome(tmp_path_factory.mktemp("inline"), "inline", None)


def outcome(directory: Path, executor: str, workers: int | None) -> Any:
    x = np.random.default_rng(0).normal(size=(48, 3)).astype("float32")
    y = x[:, :1] - x[:, 1:2] * x[:, 2:]
    settings: dict[str, Any] = {"max_trials": 8, "num_initial_points": 3, "seed": 5, "deterministic": True}
    tuner = kt_suite.BayesianOptimization(
        build, "val_loss", executor=executor, workers=workers, directory=directory, tensorboard=None, **settings
    )
    tuner.search(x[:32], y[:32], validation_data=(x[32:], y[32:]), epochs=3, verbose=0)
    trials = [(one.trial_id, one.status, one.values, one.score, one.seed, one.best_epoch) for one in tuner._records()]
    weights = [weight.tolist() for weight in tuner.get_best_models()[0].get_weights()]
    return trials, tuner.oracle.get_best_trials()[0].trial_id, weights


@pytest.mark.parametrize("executor", WORKERS)
def test_one_seed_gives_the_same_trials_and_the_same_best_as_one_after_the_other(
    tmp_path: Path, expected: Any, executor: str
) -> None:
    if executor == "ray":
        pytest.importorskip("ray", reason="needs the extra `ray`")
    assert outcome(tmp_path, executor, 2) == expected


UNDER_FIRE = """
import os, sys, time

import kt_suite

directory, name = sys.argv[1:]


class Plain(kt_suite.RandomSearch):
    def run_trial(self, trial, *args, **kwargs):
        behaviour = trial.hyperparameters.Choice("behaviour", ["slow", "raises", "aborts"])
        number = trial.hyperparameters.Int("number", 1, 100)
        with open(directory + "/notes.txt", "a") as file:
            file.write(f"{behaviour} {number} {os.getpid()}\\n")
        if behaviour == "aborts":
            os.abort()
        if behaviour == "raises":
            raise ValueError("as asked")
        time.sleep(2)
        return float(number)


if __name__ == "__main__":
    space = kt_suite.HyperParameters()
    space.Choice("behaviour", ["slow", "raises", "aborts"])
    space.Int("number", 1, 100)
    place = {"directory": directory, "project_name": "search", "tensorboard": None}
    tuner = Plain(max_trials=12, hyperparameters=space, seed=1, executor=name, workers=2, **place)
    for number in range(1, 13):
        behaviour = {4: "aborts", 7: "raises"}.get(number, "slow")
        tuner.enqueue({"behaviour": behaviour, "number": number})
    tuner.search(verbose=0)
"""


@pytest.mark.parametrize("executor", WORKERS)
def test_twelve_trials_with_a_killed_worker_and_one_that_aborts_end_as_they_should(
    tmp_path: Path, executor: str
) -> None:
    if executor == "ray":
        pytest.importorskip("ray", reason="needs the extra `ray`")
    search = OutsideSearch(tmp_path, UNDER_FIRE, executor)
    with search.start() as driver:
        try:
            wait_for(lambda: len(search.notes()) >= 3, search.log)
            behaviour, killed, pid = search.notes()[2]
            assert behaviour == "slow"
            os.kill(int(pid), signal.SIGKILL)
            everyone = {one.pid for one in psutil.Process(driver.pid).children(recursive=True)}
            assert driver.wait(PATIENCE) == 0, search.log()
        finally:
            driver.kill()
    trials = {one.values["number"]: one for one in search.trials()}
    statuses = {number: one.status for number, one in trials.items()}
    failed = {4: TrialStatus.FAILED, 7: TrialStatus.FAILED}
    assert statuses == {**dict.fromkeys(range(1, 13), TrialStatus.COMPLETED), **failed}
    attempts = {number: one.attempt for number, one in trials.items()}
    assert attempts == {**dict.fromkeys(range(1, 13), 1), int(killed): 2, 4: 3}
    everyone |= {int(pid) for _, _, pid in search.notes()}
    wait_for(lambda: all(map(is_gone, everyone)), lambda: f"all processes end: {everyone}")
