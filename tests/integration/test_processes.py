"""Worker processes under fire: real signals, real deaths, real orphans looked for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

import kt_suite
from kt_suite.storage import Storage
from kt_suite.trial import TrialStatus

pytestmark = pytest.mark.slow


class Plain(kt_suite.RandomSearch):
    """Trials without Keras, so that what is tested is the workers: values say how each behaves."""

    def run_trial(self, trial, *args, **kwargs):
        behaviour = trial.hyperparameters.Choice("behaviour", ["good", "slow", "abort", "raise"])
        number = trial.hyperparameters.Int("number", 1, 100)
        if behaviour == "abort":
            os.abort()
        if behaviour == "raise":
            raise ValueError("as asked")
        if behaviour == "slow":
            time.sleep(3)
        return float(number)


def space(*behaviours: str):
    hyperparameters = kt_suite.HyperParameters()
    hyperparameters.Choice("behaviour", list(behaviours))
    hyperparameters.Int("number", 1, 100)
    return hyperparameters


def search(directory: Path, *behaviours: str, **arguments):
    settings = {"max_trials": 12, "seed": 1, "executor": "processes", "workers": 2, "tensorboard": None, **arguments}
    return Plain(directory=directory, project_name="search", hyperparameters=space(*behaviours), **settings)


def workers_of(pid: int) -> list[psutil.Process]:
    return [
        one
        for one in psutil.Process(pid).children(recursive=True)
        if "kt_suite.executors.worker" in " ".join(one.cmdline())
    ]


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE  # where nobody collects the orphans of a killed process
    except psutil.NoSuchProcess:
        return True


def test_a_build_that_aborts_costs_its_own_trial_and_no_other(tmp_path: Path) -> None:
    tuner = search(tmp_path, "good", "abort", max_consecutive_failed_trials=12, max_trials=6)
    tuner.search(verbose=0)
    statuses = {record.values["behaviour"]: record.status for record in tuner._records()}
    assert statuses == {"good": TrialStatus.COMPLETED, "abort": TrialStatus.FAILED}
    failed = [record for record in tuner._records() if record.status == TrialStatus.FAILED]
    assert all("signal 6" in (record.message or "") for record in failed)
    assert workers_of(os.getpid()) == []


def test_a_killed_worker_costs_one_attempt_and_the_search_goes_on(tmp_path: Path) -> None:
    tuner = search(tmp_path, "slow", max_trials=4)
    kills = []

    def kill_one(trial: object) -> None:
        if not kills and len(tuner.oracle.trials) == 2:
            kills.append(workers_of(os.getpid())[0].pid)
            threading.Timer(1.0, os.kill, (kills[0], signal.SIGKILL)).start()

    tuner.on_trial_begin = kill_one
    tuner.search(verbose=0)
    records = tuner._records()
    assert kills
    assert [record.status for record in records] == [TrialStatus.COMPLETED] * 4
    assert sorted(record.attempt for record in records) == [1, 1, 1, 2]


def test_a_trial_that_hangs_is_ended_by_its_timeout(tmp_path: Path) -> None:
    tuner = search(tmp_path, "good", "slow", max_trials=4, trial_timeout=1.5, max_consecutive_failed_trials=12)
    tuner.search(verbose=0)
    statuses = {record.values["behaviour"]: record.status for record in tuner._records()}
    assert statuses == {"good": TrialStatus.COMPLETED, "slow": TrialStatus.FAILED}


def test_proposals_and_results_are_those_of_the_inline_executor(tmp_path: Path) -> None:
    outcomes = []
    for name, arguments in {"inline": {"executor": "inline", "workers": None}, "processes": {}}.items():
        tuner = search(
            tmp_path / name, "good", "raise", deterministic=True, max_consecutive_failed_trials=12, **arguments
        )
        tuner.search(verbose=0)
        outcomes.append([(one.trial_id, one.status, one.values, one.score, one.seed) for one in tuner._records()])
    assert outcomes[0] == outcomes[1]


SCRIPT = """
import sys, time
import kt_suite

class Slow(kt_suite.RandomSearch):
    def run_trial(self, trial, *args, **kwargs):
        trial.hyperparameters.Int("number", 1, 100)
        time.sleep(60)
        return 1.0

if __name__ == "__main__":
    tuner = Slow(max_trials=4, directory=sys.argv[1], executor="processes", workers=2, tensorboard=None)
    tuner.on_trial_begin = lambda trial: print("begun", flush=True)
    tuner.search(verbose=0)
"""


def test_workers_are_gone_within_seconds_of_a_killed_driver(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "begun\n"
        workers = workers_of(driver.pid)
        assert workers
        driver.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while not all(map(is_gone, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [worker for worker in workers if not is_gone(worker)] == []
    storage = Storage.open(tmp_path / "untitled_project", read_only=True)
    assert {record.status for record in storage.trials()} == {TrialStatus.RUNNING}
    storage.close()


def test_memory_is_given_back_by_replacing_workers(tmp_path: Path) -> None:
    executor = kt_suite.executors.ProcessExecutor(1, trials_per_worker=1)
    tuner = search(tmp_path, "good", max_trials=3, executor=executor, workers=None)
    pids = set()
    tuner.on_trial_begin = lambda trial: pids.update(one.pid for one in workers_of(os.getpid()))
    tuner.search(verbose=0)
    assert len(pids) == 3


def test_the_driver_hardly_grows_over_three_hundred_trials(tmp_path: Path) -> None:
    class Small(kt_suite.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            rate = trial.hyperparameters.Float("rate", 0.0, 1.0)
            for epoch in range(3):
                self.report_epoch(trial, epoch, {"loss": rate / (epoch + 1), "val_loss": rate})
            return rate

    num_warm, num_trials = 50, 300
    tuner = Small(
        max_trials=num_warm + num_trials,
        seed=0,
        executor="processes",
        workers=2,
        directory=tmp_path,
        tensorboard=tmp_path / "logs",
    )
    driver, sizes = psutil.Process(), []
    tuner.on_trial_end = lambda trial: sizes.append(driver.memory_info().rss)
    tuner.search(verbose=0)
    assert len(sizes) == num_warm + num_trials
    assert (sizes[-1] - sizes[num_warm - 1]) / num_trials < 0.2e6
