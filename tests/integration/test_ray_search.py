"""Trials on a Ray cluster under fire: machines that are lost, cut off and added; a driver that is killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kt_suite.trial import TrialStatus
from tests.outside import PATIENCE, OutsideSearch, is_gone, wait_for

pytest.importorskip("ray", reason="needs the extra `ray`")

pytestmark = [pytest.mark.slow, pytest.mark.ray]

NUM_EPOCHS = 8

MODEL = """
import os, sys, time

import keras
import numpy as np
import ray

import kt_suite
from kt_suite.executors.ray import RayExecutor

directory, address = sys.argv[1:]


class Slow(keras.callbacks.Callback):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def on_epoch_begin(self, epoch, logs=None):
        with open(directory + "/notes.txt", "a") as file:
            file.write(f"{self.number} {epoch} {os.getpid()}\\n")
        time.sleep(0.5)
        while epoch == 4 and os.path.exists(directory + "/hold"):
            time.sleep(0.1)


class Model(kt_suite.HyperModel):
    def build(self, hp):
        dense = keras.layers.Dense(hp.Int("number", 2, 99))
        model = keras.Sequential([keras.Input((3,)), dense, keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(0.01), "mse")
        return model

    def callbacks(self, hp):
        return [Slow(hp.get("number"))]


x = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
y = x[:, :1] - x[:, 1:2]


def tune(name, executor, max_trials, data=(x, y)):
    tuner = kt_suite.RandomSearch(
        Model(), "val_loss", max_trials=max_trials, seed=3, directory=directory, project_name=name,
        executor=executor, tensorboard=None,
    )
    tuner.search(*data, validation_data=(x, y), epochs=8, verbose=0)
    best = tuner.oracle.get_best_trials()[0]
    loss = tuner.get_best_models()[0].evaluate(x, y, verbose=0)
    assert abs(loss - best.score) < 1e-5, (loss, best.score)
"""

LONG_SEARCH = (
    MODEL
    + """
tune("search", RayExecutor(address=address, checkpoint_interval=0), 8)
"""
)


def patiently(start: Callable[[], Any]) -> Any:
    """Starts what Ray gives 30 seconds to start, which is too short on a loaded machine."""
    for _ in range(4):
        try:
            return start()
        except Exception as error:  # Ray raises a bare one
            if "timed out during startup" not in str(error):
                raise
    return start()


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without cores, to which tests add machines; everything is taken down, whatever happens."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
    try:
        yield cluster
    finally:
        cluster.shutdown()


def test_machines_are_lost_cut_off_and_added_and_the_driver_is_killed_and_no_trial_is_lost_or_run_again(
    tmp_path: Path, cluster: Any
) -> None:
    nodes = [patiently(lambda: cluster.add_node(num_cpus=1)) for _ in range(2)]
    search = OutsideSearch(tmp_path, LONG_SEARCH, cluster.address)
    hold = tmp_path / "hold"  # as long as it is there, trials stop in the middle
    hold.touch()
    with search.start() as driver:
        try:
            lost = lose(search, cluster, lambda: cluster.remove_node(nodes[0], allow_graceful=False))
            raylet = nodes[1].all_processes["raylet"][0].process
            cut_off = lose(search, cluster, lambda: os.kill(raylet.pid, signal.SIGKILL))
            hold.unlink()
            wait_for(lambda: sum(one.is_finished for one in search.trials()) >= 4, search.log)
        finally:
            driver.kill()
    wait_for(lambda: all(is_gone(int(pid)) for _, _, pid in search.notes()), lambda: "workers leave a killed driver")
    finished = {one.trial_id: one.attempt for one in search.trials() if one.is_finished}
    with search.start() as driver:
        try:
            assert driver.wait(PATIENCE) == 0, search.log()
        finally:
            driver.kill()
    trials = search.trials()
    assert [one.status for one in trials] == [TrialStatus.COMPLETED] * 8
    assert {one.trial_id: one.attempt for one in trials if one.trial_id in finished} == finished
    ends = Counter(event["trial_id"] for event in search.events("end") if event["status"] == TrialStatus.COMPLETED)
    assert set(ends.values()) == {1}
    for trial in trials:
        reports = search.read(lambda storage, trial=trial: storage.reports(trial.trial_id))
        assert [one.epoch for one in reports] == list(range(NUM_EPOCHS))
    for trial_id in (lost, cut_off):
        check_retry(search, trial_id)


def lose(search: OutsideSearch, cluster: Any, accident: Callable[[], None]) -> str:
    """Has a machine come to grief in mid-trial, and another one join; returns the trial that begins again there."""
    wait_for(lambda: num_in_the_middle(search) == 2, search.log)
    num_lost = len(losses(search))
    accident()
    lost = wait_for(lambda: losses(search)[num_lost:], search.log)
    patiently(lambda: cluster.add_node(num_cpus=1))
    wait_for(lambda: num_in_the_middle(search) == 2, search.log)
    assert losses(search)[num_lost:] == lost
    (trial_id,) = lost
    return str(trial_id)


def losses(search: OutsideSearch) -> list[str]:
    return [event["trial_id"] for event in search.events("end") if event["status"] == TrialStatus.INVALID]


def num_in_the_middle(search: OutsideSearch) -> int:
    """Returns the number of running trials that have come as far as they may while they are held."""
    trials = [one for one in search.trials() if one.status == TrialStatus.RUNNING]
    return sum(len(search.read(lambda storage, one=one: storage.reports(one.trial_id))) == 4 for one in trials)


def check_retry(search: OutsideSearch, trial_id: str) -> None:
    """Nothing that a given-up attempt said later counts, and its retry went on from where it had been."""
    begun = {one["attempt"]: one["time"] for one in search.events("begin") if one["trial_id"] == trial_id}
    for attempt, time_begun in list(begun.items())[1:]:
        old = search.read(lambda storage, attempt=attempt - 1: storage.reports(trial_id, attempt=attempt))
        assert all(report.time < time_begun for report in old)
    number = next(str(one.values["number"]) for one in search.trials() if one.trial_id == trial_id)
    first: dict[str, int] = {}
    for name, epoch, pid in search.notes():
        if name == number:
            first.setdefault(pid, int(epoch))
    begin, *later = first.values()
    assert begin == 0
    assert min(later) > 0, "a retry began at the beginning"


OPTIONS = (
    MODEL
    + """
import signal, threading

import tensorflow as tf

from kt_suite.errors import WorkerError

ray.init(address=address, log_to_driver=False, logging_level="ERROR")


# A worker that does not see the project directory, and is killed: what it had written was here.
notes = directory + "/notes.txt"


def kill_one():
    while True:
        time.sleep(0.1)
        rows = [line.split() for line in open(notes)] if os.path.exists(notes) else []
        if rows and int(rows[-1][1]) == 4:
            os.kill(int(rows[-1][2]), signal.SIGKILL)
            return


threading.Thread(target=kill_one, daemon=True).start()
data = (tf.data.Dataset.from_tensor_slices((x, y)).batch(16),)
tune("apart", RayExecutor(1, shared_directory=False, checkpoint_interval=0), 1, data)
rows = [line.split() for line in open(notes)]
assert [int(epoch) for _, epoch, _ in rows] in ([*range(5), 4, *range(5, 8)], [*range(8)]), rows
assert len({pid for _, _, pid in rows}) == 2, rows


# Resources that depend on values, a trial that hangs, one that fits nowhere.
class Where(kt_suite.RandomSearch):
    def run_trial(self, trial, *args, **kwargs):
        kind = trial.hyperparameters.get("kind")
        if kind == "hangs":
            time.sleep(600)
        return float((ray.get_runtime_context().get_assigned_resources().get("large", 0) > 0) == (kind == "large"))


def where(name, executor, kinds):
    hp = kt_suite.HyperParameters()
    hp.Choice("kind", kinds)
    place = {"directory": directory, "project_name": name, "tensorboard": None}
    limits = {"max_trials": len(kinds), "max_consecutive_failed_trials": 9}
    objective = kt_suite.Objective("fits", "max")
    tuner = Where(objective=objective, seed=0, hyperparameters=hp, executor=executor, **limits, **place)
    tuner.search(verbose=0)
    return {one.values["kind"]: (one.status, one.score) for one in tuner._records()}


needs = {"small": {"CPU": 1}, "large": {"CPU": 1, "large": 1}, "hangs": {"CPU": 1}, "nowhere": {"CPU": 64}}
executor = RayExecutor(resources=lambda values: needs[values["kind"]], patience=1.0, trial_timeout=3.0)
found = where("needs", executor, list(needs))
fits, fails = ("COMPLETED", 1.0), ("FAILED", None)
assert found == {"small": fits, "large": fits, "hangs": fails, "nowhere": fails}, found

try:
    where("nowhere", RayExecutor(resources={"CPU": 64}, patience=1.0), ["small"])
    raise AssertionError("no error")
except WorkerError as error:
    assert "fit a machine" in str(error)

assert ray.is_initialized(), "a connection that was there before must stay"
ray.shutdown()
"""
)


def test_files_that_travel_resources_by_values_timeouts_and_machines_that_do_not_exist(
    tmp_path: Path, cluster: Any
) -> None:
    patiently(lambda: cluster.add_node(num_cpus=1))
    patiently(lambda: cluster.add_node(num_cpus=1, resources={"large": 1}))
    search = OutsideSearch(tmp_path, OPTIONS, cluster.address)
    with search.start() as driver:
        try:
            assert driver.wait(3 * PATIENCE) == 0, search.log()
        finally:
            driver.kill()
    assert list(tmp_path.rglob("progress_*")) == []
    assert list(tmp_path.rglob("search.token")) == []
