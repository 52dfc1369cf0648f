"""A search that is killed again and again ends as if nothing had happened."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
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
options = dict(max_trials=12, seed=7, directory=sys.argv[1], tensorboard=None)
tuner = kt_suite.{tuner}(build, "val_loss", executor="{executor}", **options)
print("ready", flush=True)
tuner.search(x[:192], y[:192], validation_data=(x[192:], y[192:]), epochs={epochs}, callbacks={callbacks}, verbose=0)
print(tuner.executor.name, flush=True)
"""
KILLS = 10


def table(directory: Path) -> list[tuple[Any, ...]]:
    storage = Storage.open(directory / "untitled_project", read_only=True)
    rows = [(one.trial_id, one.status, one.values, one.seed, one.best_epoch, one.score) for one in storage.trials()]
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
    script.write_text(SCRIPT.format(tuner=tuner, executor="inline", epochs=4, callbacks=[]))
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


def test_a_search_killed_between_the_ends_of_fused_trials_comes_to_the_same_up_to_rounding(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    stopping = '[keras.callbacks.EarlyStopping("val_loss", patience=2)]'
    script.write_text(SCRIPT.format(tuner="RandomSearch", executor="auto", epochs=200, callbacks=stopping))
    with start(script, tmp_path / "whole") as process:
        assert process.communicate()[0] == "fused\n"
    with start(script, tmp_path / "killed") as process:
        while process.poll() is None and "COMPLETED" not in statuses(tmp_path / "killed"):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert set(statuses(tmp_path / "killed")) > {"COMPLETED"}, "the search was over too soon to be killed"
    with start(script, tmp_path / "killed") as process:
        assert process.communicate()[0] == "fused\n"
    whole, resumed = table(tmp_path / "whole"), table(tmp_path / "killed")
    assert [row[:5] for row in resumed] == [row[:5] for row in whole]
    np.testing.assert_allclose([row[5] for row in resumed], [row[5] for row in whole], rtol=1e-4)


def statuses(directory: Path) -> list[str]:
    exists = Storage.exists(directory / "untitled_project")
    return [row[1] for row in table(directory)] if exists else []
