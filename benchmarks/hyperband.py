"""Epochs to a fixed validation accuracy on digits, and how busy slots are kept.

Learning curves of a small network on scikit-learn's digits are recorded once, for random values of a space in which
most train badly. Then searches are replayed on them, through the real search and an executor that pretends to train:
random search gives every trial all epochs, Hyperband and ASHA halve, and a promoted trial goes on where it was. The
second table puts Hyperband and ASHA on several slots in virtual time, where an epoch takes one trial up to eight
times as long as another.

    python benchmarks/hyperband.py --curves curves.npz
"""

from __future__ import annotations

import argparse
import heapq
import math
import os
import platform
import statistics
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.datasets import load_digits

import kt_suite as kts
from kt_suite.executors import Event, Executor, TrialSpec
from kt_suite.storage import Storage
from kt_suite.trial import Report, RunRecord

NUM_SLOTS = 4

Curve = Callable[[dict[str, Any], int], float]

# Learning curves


def digits() -> dict[str, Any]:
    """Returns the arguments of ``search``: 1,200 digits to train on, 597 to validate on."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = (x[order] / 16).astype("float32"), y[order]
    return {
        "x": x[:1200],
        "y": y[:1200],
        "validation_data": (x[1200:], y[1200:]),
        "batch_size": 128,
        "validation_batch_size": 597,
    }


def build(hp: Any) -> Any:
    """Returns a network; most values of this space train badly."""
    model = keras.Sequential([keras.Input((64,))])
    for _ in range(hp.Int("layers", 1, 3)):
        model.add(
            keras.layers.Dense(hp.Int("units", 4, 128, sampling="log"), hp.Choice("activation", ["relu", "tanh"]))
        )
        model.add(keras.layers.Dropout(hp.Float("dropout", 0.0, 0.7)))
    model.add(keras.layers.Dense(10, "softmax"))
    rate = hp.Float("learning_rate", 1e-5, 1.0, sampling="log")
    kind = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[hp.Choice("optimizer", ["sgd", "adam"])]
    model.compile(kind(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def record_curves(num_curves: int, num_epochs: int) -> np.ndarray:
    """Trains random networks, side by side; returns their validation accuracies, ``(num_curves, num_epochs)``."""
    with tempfile.TemporaryDirectory() as directory:
        options = {"executor": "fused", "tensorboard": None, "directory": directory}
        tuner = kts.RandomSearch(build, "val_accuracy", max_trials=num_curves, seed=0, **options)
        tuner.search(**digits(), epochs=num_epochs, verbose=0)
        storage = Storage.open(tuner.project_dir, read_only=True)
        curves = [[report.metrics["val_accuracy"] for report in storage.reports(one)] for one in tuner.oracle.trials]
        storage.close()
    return np.array([curve + curve[-1:] * (num_epochs - len(curve)) for curve in curves])  # longer where one diverged


# Searches that are replayed


class SimulatedExecutor(Executor):
    """Slots in virtual time, where attempts follow given curves.

    Args:
        num_slots: Number of slots.
        curve: From values and epoch (from 0) to the metric.
        max_epochs: Epochs of a trial without a budget.
        seconds: From values to the time of an epoch.
        is_good: Whether a metric is what is sought.
    """

    name = "simulated"

    def __init__(
        self,
        num_slots: int,
        curve: Curve,
        max_epochs: int,
        *,
        seconds: Callable[[dict[str, Any]], float] = lambda values: 1.0,
        is_good: Callable[[float], bool] = lambda value: False,
    ) -> None:
        self.num_slots = num_slots
        self.num_epochs = 0
        self.num_epochs_to_goal = math.inf
        self.now = 0.0
        self.idle = 0.0
        self.idle_while_supplied = 0.0
        self.supplied_until = 0.0
        self._curve, self._max_epochs, self._seconds, self._is_good = curve, max_epochs, seconds, is_good
        self._working: list[tuple[float, str, TrialSpec]] = []

    def explain(self) -> str:
        return f"{self.num_slots} slots in virtual time"

    def slots(self) -> list[str]:
        return [f"slot{number}" for number in range(self.num_slots)]

    def capacity(self) -> int:
        return self.num_slots - len(self._working)

    def submit(self, spec: TrialSpec) -> None:
        seconds = len(self._epochs(spec)) * self._seconds(spec.trial.values)
        heapq.heappush(self._working, (self.now + seconds, spec.trial_id, spec))
        if spec.trial.parent is None:
            self.supplied_until, self.idle_while_supplied = self.now, self.idle

    def _epochs(self, spec: TrialSpec) -> range:
        return range(spec.trial.initial_epoch, spec.trial.budget or self._max_epochs)

    def stop(self, trial_id: str) -> None:
        """Does nothing: attempts end at once."""

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        if not self._working:
            return
        until, _, spec = heapq.heappop(self._working)
        self.idle += (until - self.now) * (self.num_slots - len(self._working) - 1)
        self.now = until
        name = self._runner.oracle.objective.name
        metrics = [{name: self._curve(spec.trial.values, epoch)} for epoch in self._epochs(spec)]
        for epoch, one in zip(self._epochs(spec), metrics, strict=True):
            self.num_epochs += 1
            if self._is_good(one[name]):
                self.num_epochs_to_goal = min(self.num_epochs, self.num_epochs_to_goal)
            self._report(spec.trial_id, Report(0, epoch, one, attempt=spec.attempt))
        direction = max if self._runner.oracle.objective.direction == "max" else min
        best = direction(range(len(metrics)), key=lambda index: metrics[index][name])
        run = RunRecord(0, 0, metrics[best][name], self._epochs(spec)[best], metrics[best])
        yield Event("done", spec.trial_id, spec.attempt, runs=[run], used=dict(spec.trial.values))


def replay(tuner: Callable[..., Any], executor: SimulatedExecutor, **options: Any) -> None:
    """Runs a search on simulated slots."""

    class Simulated(tuner):  # type: ignore[misc]
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            raise RuntimeError("The executor pretends.")

    with tempfile.TemporaryDirectory() as directory:
        Simulated(executor=executor, directory=directory, tensorboard=None, **options).search(verbose=0)


def show_epochs(curves: np.ndarray, num_seeds: int, target: float) -> None:
    """Prints the first table."""
    num_curves, max_epochs = curves.shape
    share = float(np.mean(curves.max(axis=1) >= target))
    print(f"Epochs to a validation accuracy of {target} on digits, {max_epochs} epochs at most a trial")
    print(f"{num_curves} curves, of which {share:.1%} get there; {num_seeds} seeds")
    print(f"{'':<16}{'median':>8}{'quartiles':>14}{'median of random':>18}")
    space = kts.HyperParameters()
    space.Int("row", 0, num_curves - 1)
    arms: dict[str, tuple[Any, dict[str, Any]]] = {
        "random search": (kts.RandomSearch, {"max_trials": None}),
        "Hyperband": (kts.Hyperband, {"max_epochs": max_epochs, "hyperband_iterations": None}),
        "ASHA": (kts.Hyperband, {"max_epochs": max_epochs, "hyperband_iterations": None, "asynchronous": True}),
    }
    reference = math.nan
    for name, (tuner, options) in arms.items():
        counts = []
        for seed in range(num_seeds):
            executor = SimulatedExecutor(
                1,
                lambda values, epoch: float(curves[values["row"], epoch]),
                max_epochs,
                is_good=lambda value: value >= target,
            )
            settings = {"objective": "val_accuracy", "hyperparameters": space, "seed": seed, "target": target}
            replay(tuner, executor, **settings, **options)
            counts.append(executor.num_epochs_to_goal)
        low, median, high = np.quantile(counts, [0.25, 0.5, 0.75])
        reference = median if name == "random search" else reference
        print(f"{name:<16}{median:>8.0f}{f'{low:.0f} - {high:.0f}':>14}{median / reference:>18.2f}", flush=True)


def show_idle_slots(max_epochs: int, num_seeds: int) -> None:
    """Prints the second table."""
    print(f"\nIdle share of {NUM_SLOTS} slots, mean over {num_seeds} seeds, max_epochs={max_epochs}")
    print(f"{'':<16}{'while new configurations start':>32}{'in all':>8}{'time':>8}{'epochs':>8}")
    for name, is_asynchronous in (("Hyperband", False), ("ASHA", True)):
        rows = [measure_idle_slots(max_epochs, seed, is_asynchronous) for seed in range(num_seeds)]
        supplied, whole, seconds, epochs = (statistics.fmean(column) for column in zip(*rows, strict=True))
        print(f"{name:<16}{supplied:>32.1%}{whole:>8.1%}{seconds:>8.0f}{epochs:>8.0f}", flush=True)


def measure_idle_slots(max_epochs: int, seed: int, is_asynchronous: bool) -> tuple[float, float, float, float]:
    """Returns idle shares while configurations start and in all, virtual seconds, and epochs of one search."""
    space = kts.HyperParameters()
    space.Float("x", 0.0, 1.0)
    space.Float("speed", 0.0, 1.0)
    executor = SimulatedExecutor(
        NUM_SLOTS,
        lambda values, epoch: abs(values["x"] - 0.3) + 1 / (epoch + 1),
        max_epochs,
        seconds=lambda values: float(8 ** values["speed"]),
    )
    options = {"objective": "val_loss", "max_epochs": max_epochs, "seed": seed, "hyperparameters": space}
    replay(kts.Hyperband, executor, asynchronous=is_asynchronous, **options)
    supplied = executor.idle_while_supplied / (executor.supplied_until * NUM_SLOTS)
    return supplied, executor.idle / (executor.now * NUM_SLOTS), executor.now, executor.num_epochs


def main() -> None:
    """Prints both tables, and where they were made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--target", type=float, default=0.98)
    parser.add_argument("--max-epochs", type=int, default=81)
    parser.add_argument("--num-curves", type=int, default=150)
    parser.add_argument("--curves", type=Path, help="where the curves are kept from one call to the next")
    arguments = parser.parse_args()
    packages = ("tensorflow", "keras", "keras-tuner", "numpy", "scipy")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}\n")
    if arguments.curves is not None and arguments.curves.exists():
        curves = np.load(arguments.curves)["curves"]
    else:
        curves = record_curves(arguments.num_curves, arguments.max_epochs)
    if arguments.curves is not None:
        np.savez(arguments.curves, curves=curves)
    show_epochs(curves, arguments.seeds, arguments.target)
    show_idle_slots(arguments.max_epochs, min(arguments.seeds, 5))


if __name__ == "__main__":
    main()
