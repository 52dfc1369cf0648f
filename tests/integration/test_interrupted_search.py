"""Ctrl-C ends a search in order, and the same script goes on with it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kt_suite.storage import Storage
from kt_suite.trial import TrialStatus

SCRIPT = """
import sys, time
import kt_suite


class Slow(kt_suite.RandomSearch):
    def run_trial(self, trial, *args, **kwargs):
        number = trial.hyperparameters.Int("number", 1, 100)
        time.sleep(float(sys.argv[2]))
        return float(number)


tuner = Slow(max_trials=4, seed=1, directory=sys.argv[1], tensorboard=None)
tuner.search()
"""


FUSED = """
import sys
import keras
import numpy as np
import kt_suite


def build(hp):
    hidden = keras.layers.Dense(hp.Int("units", 2, 9), "relu")
    model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


x = np.random.default_rng(0).normal(size=(int(sys.argv[2]), 4))
tuner = kt_suite.RandomSearch(build, "val_loss", max_trials=4, seed=1, directory=sys.argv[1], tensorboard=None)
tuner.search(x, x[:, :1], validation_split=0.5, epochs=1000 if sys.argv[2] == "20000" else 2)
"""


@pytest.mark.slow
def test_an_interrupted_script_says_how_to_resume_and_goes_on_when_run_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(tmp_path)]
    project = tmp_path / "untitled_project"
    interrupted([*command, "2"], project, lambda: finished(project) == 1, timeout=30)
    assert statuses(project) == [TrialStatus.COMPLETED, TrialStatus.IDLE]
    output = subprocess.run([*command, "0"], check=True, capture_output=True, text=True).stdout
    assert "trial 0000" not in output.split("ended")[0].replace("1 trial kept", "")
    assert statuses(project) == [TrialStatus.COMPLETED] * 4


@pytest.mark.slow
def test_fused_trials_are_interrupted_together_and_start_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(FUSED)
    command = [sys.executable, str(script), str(tmp_path)]
    project = tmp_path / "untitled_project"
    output = interrupted([*command, "20000"], project, lambda: reports(project) > 0, timeout=120)
    assert "executor   fused" in output
    assert statuses(project) == [TrialStatus.IDLE] * 4
    subprocess.run([*command, "200"], check=True, capture_output=True)
    assert statuses(project) == [TrialStatus.COMPLETED] * 4


def interrupted(command: list[str], project: Path, is_time: Callable[[], bool], *, timeout: float) -> str:
    """Returns what a script prints that gets Ctrl-C when it is time, and says how to resume."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        while not (Storage.exists(project) and is_time()):
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=timeout)
    # Python leaves by the signal itself, which a shell shows as 130.
    assert process.returncode == -signal.SIGINT
    assert "run the same script again to resume" in output
    return output


def reports(project: Path) -> int:
    with contextlib.closing(Storage.open(project, read_only=True)) as storage:
        return sum(len(storage.reports(record.trial_id)) for record in storage.trials())


def statuses(project: Path) -> list[str]:
    with contextlib.closing(Storage.open(project, read_only=True)) as storage:
        return [record.status for record in storage.trials()]


def finished(project: Path) -> int:
    return statuses(project).count(TrialStatus.COMPLETED)
