"""Searches over several processes on this machine, as a cluster would run them: real strategies, real deaths."""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kt_suite.distribution.cluster import CHANNEL
from kt_suite.storage import Storage
from kt_suite.trial import TrialStatus

pytestmark = pytest.mark.slow

# Sums in another order, over a dozen steps of Adam in float32.
TOLERANCE = 5e-6
# Starting TensorFlow takes most of it on a busy machine.
PATIENCE = 400.0

SCRIPT = """
import os, sys, time
import keras
import numpy as np
import kt_suite

def build(hp):
    layers = [keras.Input((4,)), keras.layers.Dense(hp.Int("units", 4, 8), "relu"), keras.layers.Dropout(0.0)]
    model = keras.Sequential([*layers, keras.layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.Adam(0.03), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model

class Slow(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        print("epoch", flush=True)
        time.sleep(float(os.environ.get("NAP", "0")))

distribution, directory = sys.argv[1:]
generator = np.random.default_rng(0)
x, y = generator.normal(size=(37, 4)).astype("float32"), generator.integers(0, 3, 37)
tuner = kt_suite.RandomSearch(
    build,
    objective="val_loss",
    max_trials=2,
    seed=1,
    directory=directory,
    project_name="search",
    tensorboard=os.path.join(directory, "logs"),
    distribution=None if distribution == "none" else distribution,
)
log = keras.callbacks.CSVLogger(os.path.join(directory, "log.csv"))
tuner.search(
    x, y, batch_size=12, epochs=2, shuffle=False, validation_data=(x, y), callbacks=[Slow(), log], verbose=0
)
print("results of", len(tuner.results()), flush=True)
np.savez(os.path.join(directory, "best.npz"), *tuner.get_best_models()[0].get_weights())
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT))
    return path


@pytest.fixture
def alone(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the directory of the same search in one process."""
    directory = tmp_path / "alone"
    directory.mkdir()
    monkeypatch.setattr(sys, "argv", [str(script), "none", str(directory)])
    runpy.run_path(str(script), run_name="__main__")
    return directory


def free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [one.getsockname()[1] for one in sockets]


class Processes:
    """The processes of a cluster, with what they print."""

    def __init__(self, command: list[str], kinds: list[str], folder: Path, **environment: str) -> None:
        folder.mkdir(exist_ok=True)
        channel, *ports = free_ports(1 + len(kinds))
        addresses: dict[str, list[str]] = {}
        self.names = [f"{kind} {kinds[:index].count(kind)}" for index, kind in enumerate(kinds)]
        for kind, port in zip(kinds, ports, strict=True):
            addresses.setdefault(kind, []).append(f"127.0.0.1:{port}")
        self.logs = {name: folder / f"{name}.log" for name in self.names}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        for name in self.names:
            kind, index = name.split()
            config = {"cluster": addresses, "task": {"type": kind, "index": int(index)}}
            variables = {**os.environ, **environment, "TF_CONFIG": json.dumps(config), CHANNEL: f"127.0.0.1:{channel}"}
            with self.logs[name].open("wb") as log:
                self.running[name] = subprocess.Popen(
                    command, env=variables, cwd=folder, stdout=log, stderr=subprocess.STDOUT
                )

    def wait_for(self, name: str, text: str, number: int) -> None:
        """Waits until a process has printed a text so many times."""
        deadline = time.monotonic() + PATIENCE
        while self.text(name).count(text) < number:
            assert self.running[name].poll() is None, self.text(name)
            assert time.monotonic() < deadline, self.text(name)
            time.sleep(0.05)

    def text(self, name: str) -> str:
        return self.logs[name].read_text(errors="replace")

    def exit_codes(self, patience: float = PATIENCE) -> dict[str, int]:
        """Returns the exit codes of all, and fails where one does not end in time."""
        deadline = time.monotonic() + patience
        return {name: one.wait(max(0.1, deadline - time.monotonic())) for name, one in self.running.items()}


@contextlib.contextmanager
def cluster(
    script: Path, distribution: str, kinds: list[str], directory: Path, **environment: str
) -> Iterator[Processes]:
    command = [sys.executable, str(script), distribution, str(directory)]
    directory.mkdir(exist_ok=True)
    processes = Processes(command, kinds, directory.with_suffix(".output"), **environment)
    try:
        yield processes
    finally:
        for one in processes.running.values():
            one.kill()
            one.wait()


def stored(directory: Path) -> list[Any]:
    storage = Storage.open(directory / "search", read_only=True)
    try:
        return storage.trials()
    finally:
        storage.close()


def assert_same_search(directory: Path, alone: Path) -> None:
    ours, theirs = stored(directory), stored(alone)
    assert [trial.values for trial in ours] == [trial.values for trial in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one.status == TrialStatus.COMPLETED
        assert one.metrics == pytest.approx(other.metrics, abs=TOLERANCE)
    with np.load(directory / "best.npz") as best, np.load(alone / "best.npz") as expected:
        assert list(best) == list(expected)
        for name in best:
            np.testing.assert_allclose(best[name], expected[name], rtol=0, atol=TOLERANCE)


KINDS = {"multi_worker_mirrored": ["worker", "worker"], "parameter_server": ["chief", "worker", "ps"]}


@pytest.mark.parametrize("distribution", KINDS)
def test_a_cluster_searches_as_one_process_does(script: Path, tmp_path: Path, alone: Path, distribution: str) -> None:
    directory = tmp_path / "search"
    with cluster(script, distribution, KINDS[distribution], directory) as processes:
        codes = processes.exit_codes()
        shown = {name: processes.text(name) for name in processes.names}
    assert codes == dict.fromkeys(processes.names, 0), shown
    assert_same_search(directory, alone)
    # One process tells of results and logs: each epoch of the last trial is logged once.
    assert ["results of 2" in shown[name] for name in processes.names] == [True, *[False] * (len(codes) - 1)]
    assert (directory / "log.csv").read_text().count("\n") == 1 + 2
    events = list((directory / "logs").rglob("events.out.tfevents*"))
    assert len(events) == len({one.parent for one in events})


@pytest.mark.parametrize("distribution", KINDS)
def test_a_death_stops_all_and_the_search_goes_on_when_all_are_started_again(
    script: Path, tmp_path: Path, alone: Path, distribution: str
) -> None:
    directory = tmp_path / "search"
    first, victim = {"multi_worker_mirrored": ("worker 0", "worker 1"), "parameter_server": ("chief 0", "worker 0")}[
        distribution
    ]
    with cluster(script, distribution, KINDS[distribution], directory, NAP="1") as processes:
        processes.wait_for(first, "epoch", 3)  # in the second trial
        processes.running[victim].send_signal(signal.SIGKILL)
        codes = processes.exit_codes(60.0)
        shown = {name: processes.text(name) for name in processes.names}
    assert codes.pop(victim) == -signal.SIGKILL
    assert set(codes.values()) == {1}, shown
    assert f"The process {victim!r} of the cluster is gone." in shown[first]
    assert "start all again to resume" in shown[first]
    before = stored(directory)
    assert [trial.status == TrialStatus.COMPLETED for trial in before] == [True, False]

    with cluster(script, distribution, KINDS[distribution], directory) as processes:
        codes = processes.exit_codes()
        shown = {name: processes.text(name) for name in processes.names}
    assert set(codes.values()) == {0}, shown
    assert_same_search(directory, alone)
    after = stored(directory)
    assert [trial.attempt for trial in after] == [1, 2]
    assert after[0].ended == before[0].ended


def test_a_chief_that_dies_ends_the_others(script: Path, tmp_path: Path) -> None:
    directory = tmp_path / "search"
    with cluster(script, "multi_worker_mirrored", ["worker", "worker"], directory, NAP="1") as processes:
        processes.wait_for("worker 1", "epoch", 1)
        processes.running["worker 0"].send_signal(signal.SIGKILL)
        codes = processes.exit_codes(60.0)
        shown = processes.text("worker 1")
    assert codes["worker 1"] == 1, shown
    assert "The process 'worker 0' of the cluster is gone." in shown


def test_the_command_line_spreads_trials_over_virtual_devices(tmp_path: Path) -> None:
    scores = []
    for distribution in ("mirrored", "one_device:/cpu:1"):
        options = ["--distribution", distribution, "--virtual-devices", "2", "--project-name", distribution[:3]]
        small = ["--max-trials", "1", "--epochs", "2", "--tensorboard", "none", "--json"]
        command = [sys.executable, "-m", "kt_suite", "tune", "mlp", "--data", "digits", *options, *small]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=True)
        found = json.loads(done.stdout)
        assert (found["trials"], found["failed"]) == (1, 0)
        scores.append(found["test"]["accuracy"])
    assert min(scores) > 0.5
