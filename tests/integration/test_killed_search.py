"""A search that is killed again and again ends as if nothing had happened."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from kt_suite.storage import Storage

pytestmark = pytest.mark.slow

SCRIPT = """
import os, sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np

import kt_suite


def build(hp):
    layers = [keras.Input((8,)), keras.layers.Dense(hp.Int("units", 2, 64), "relu")]
    if hp.Boolean("dropout"):
        layers.append(keras.layers.Dropout(hp.Float("rate", 0.1, 0.5)))
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")), "mse")
    return model


rng = np.random.default_rng(0)
x = rng.normal(size=(256, 8)).astype("float32")
y = x[:, :1] * 2 - x[:, 1:2]
tuner = kt_suite.{tuner}(build, "val_loss", max_trials=12, seed=7, directory=sys.argv[1], tensorboard=None)
print("ready", flush=True)
tuner.search(x[:192], y[:192], validation_data=(x[192:], y[192:]), epochs=4, verbose=0)
"""
KILLS = 10


def table(directory: Path) -> list[tuple[object, ...]]:
    storage = Storage.open(directory / "untitled_project", read_only=True)
    rows = [(one.trial_id, one.status, one.values, one.score, one.best_epoch, one.seed) for one in storage.trials()]
    storage.close()
    return rows


def start(script: Path, directory: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, str(script), str(directory)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("tuner", ["RandomSearch", "BayesianOptimization"])
def test_ten_kills_change_nothing_in_the_final_table(tmp_path: Path, tuner: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tuner=tuner))
    began = time.monotonic()
    with start(script, tmp_path / "whole") as process:
        took = time.monotonic() - began
        searching = time.monotonic()
        assert process.wait() == 0
        per_trial = (time.monotonic() - searching) / 12
    instants = random.Random(5)
    kills = 0
    for _ in range(KILLS):
        with start(script, tmp_path / "killed") as process:
            time.sleep(instants.uniform(0.1, 2.2) * per_trial)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
    with start(script, tmp_path / "killed") as process:
        assert process.wait() == 0
    assert kills >= KILLS // 2, f"the search was over too soon to be killed; start-up took {took:.0f} s"
    assert table(tmp_path / "killed") == table(tmp_path / "whole")
    storage = Storage.open(tmp_path / "killed" / "untitled_project", read_only=True)
    ends = Counter(event["trial_id"] for event in storage.events() if event["kind"] == "end")
    storage.close()
    assert set(ends.values()) == {1}, "a trial that had ended was run again"
