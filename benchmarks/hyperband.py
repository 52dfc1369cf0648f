"""Epochs to a fixed validation accuracy on digits, and how busy slots are kept.

The first table trains a small network on scikit-learn's digits: random search gives every trial all epochs, the others
halve. An epoch counts once; promoted trials go on. The second puts Hyperband and ASHA on slots in virtual time, where
an epoch takes one trial up to eight times as long as another, through the real search and an executor that pretends.

    python benchmarks/hyperband.py --seeds 5
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
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.datasets import load_digits

import kt_suite as kts
from kt_suite.executors import Event, Executor, TrialSpec
from kt_suite.trial import Report, RunRecord

MAX_EPOCHS = 81
NUM_SLOTS = 4


# Epochs to an accuracy


def digits() -> dict[str, Any]:
    """Returns the arguments of ``search``: 1,200 digits to train on, 597 to validate on."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = (x[order] / 16).astype("float32"), y[order]
    return {"x": x[:1200], "y": y[:1200], "validation_data": (x[1200:], y[1200:]), "batch_size": 64}


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


class EpochCounter(keras.callbacks.Callback):  # type: ignore[misc]
    """Counts the epochs of a whole search, up to the first that reaches the target."""

    def __init__(self, target: float) -> None:
        super().__init__()
        self.target = target
        self.num_epochs = 0
        self.is_reached = False

    def __deepcopy__(self, memo: Any) -> EpochCounter:
        return self

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self.is_reached:
            self.num_epochs += 1
            self.is_reached = logs["val_accuracy"] >= self.target


def count_epochs(make: Callable[..., Any], seed: int, target: float, data: dict[str, Any]) -> float:
    """Returns the epochs that one search trains until the target; infinite if it never gets there."""
    counter = EpochCounter(target)
    with tempfile.TemporaryDirectory() as directory:
        tuner = make(
            build, "val_accuracy", seed=seed, target=target, directory=directory, tensorboard=None, keep_checkpoints=0
        )
        tuner.search(**data, epochs=MAX_EPOCHS, callbacks=[counter], verbose=0)
    return counter.num_epochs if counter.is_reached else math.inf


def show_epochs(num_seeds: int, target: float) -> None:
    """Prints the first table."""
    arms: dict[str, Callable[..., Any]] = {
        "random search": lambda *args, **options: kts.RandomSearch(*args, max_trials=200, **options),
        "Hyperband": lambda *args, **options: hyperband(*args, **options),
        "ASHA": lambda *args, **options: hyperband(*args, asynchronous=True, **options),
        "Hyperband, bayesian": lambda *args, **options: hyperband(*args, sampler="bayesian", **options),
        "ASHA, bayesian": lambda *args, **options: hyperband(*args, asynchronous=True, sampler="bayesian", **options),
    }
    data = digits()
    print(
        f"Epochs to a validation accuracy of {target} on digits, {num_seeds} seeds, {MAX_EPOCHS} epochs at most a trial"
    )
    print(f"{'':<22}{'median':>8}{'of random':>11}   each seed")
    reference = math.nan
    for name, make in arms.items():
        epochs = [count_epochs(make, seed, target, data) for seed in range(num_seeds)]
        median = statistics.median(epochs)
        reference = median if name == "random search" else reference
        print(f"{name:<22}{median:>8.0f}{median / reference:>11.2f}   {[f'{one:.0f}' for one in epochs]}", flush=True)


def hyperband(*args: Any, **options: Any) -> Any:
    """Returns a tuner that goes on until it has reached the target."""
    return kts.Hyperband(*args, max_epochs=MAX_EPOCHS, hyperband_iterations=None, **options)


# Idle slots


class SimulatedExecutor(Executor):
    """Slots in virtual time: an attempt takes as long as its epochs and the speed of its values say.

    Args:
        num_slots: Number of slots.
    """

    name = "simulated"

    def __init__(self, num_slots: int) -> None:
        self.num_slots = num_slots
        self.now = 0.0
        self.idle = 0.0
        self.idle_while_supplied = 0.0
        self.supplied_until = 0.0
        self._working: list[tuple[float, str, TrialSpec]] = []

    def explain(self) -> str:
        return f"{self.num_slots} slots in virtual time"

    def slots(self) -> list[str]:
        return [f"slot{number}" for number in range(self.num_slots)]

    def capacity(self) -> int:
        return self.num_slots - len(self._working)

    def submit(self, spec: TrialSpec) -> None:
        trial = spec.trial
        seconds = (trial.budget - trial.initial_epoch) * 8 ** trial.values["speed"]
        heapq.heappush(self._working, (self.now + seconds, spec.trial_id, spec))
        if trial.parent is None:
            self.supplied_until, self.idle_while_supplied = self.now, self.idle

    def stop(self, trial_id: str) -> None:
        """Does nothing: no limit ends these searches."""

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        until, _, spec = heapq.heappop(self._working)
        self.idle += (until - self.now) * (self.num_slots - len(self._working) - 1)
        self.now = until
        trial = spec.trial
        losses = [abs(trial.values["x"] - 0.3) + 1 / (epoch + 1) for epoch in range(trial.initial_epoch, trial.budget)]
        for epoch, loss in enumerate(losses, trial.initial_epoch):
            self._report(spec.trial_id, Report(0, epoch, {"val_loss": loss}, attempt=spec.attempt))
        run = RunRecord(0, 0, losses[-1], trial.budget - 1, {"val_loss": losses[-1]})
        yield Event("done", spec.trial_id, spec.attempt, runs=[run], used=dict(trial.values))


class Simulated(kts.Hyperband):
    """A tuner whose executor trains nothing."""

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        raise NotImplementedError("The executor pretends.")


def show_idle_slots(num_seeds: int) -> None:
    """Prints the second table."""
    print(f"\nIdle share of {NUM_SLOTS} slots, mean over {num_seeds} seeds, max_epochs={MAX_EPOCHS}")
    print(f"{'':<22}{'while there are new':>20}{'in all':>8}{'time':>8}{'epochs':>8}")
    print(f"{'':<22}{'configurations':>20}")
    for name, is_asynchronous in (("Hyperband", False), ("ASHA", True)):
        rows = [simulate(seed, is_asynchronous) for seed in range(num_seeds)]
        supplied, whole, seconds, epochs = (statistics.fmean(column) for column in zip(*rows, strict=True))
        print(f"{name:<22}{supplied:>20.1%}{whole:>8.1%}{seconds:>8.0f}{epochs:>8.0f}", flush=True)


def simulate(seed: int, is_asynchronous: bool) -> tuple[float, float, float, float]:
    """Returns idle shares while configurations start and in all, virtual seconds, and epochs of one search."""
    space = kts.HyperParameters()
    space.Float("x", 0.0, 1.0)
    space.Float("speed", 0.0, 1.0)
    executor = SimulatedExecutor(NUM_SLOTS)
    with tempfile.TemporaryDirectory() as directory:
        tuner = Simulated(
            objective="val_loss",
            max_epochs=MAX_EPOCHS,
            seed=seed,
            hyperparameters=space,
            asynchronous=is_asynchronous,
            executor=executor,
            directory=directory,
            tensorboard=None,
        )
        tuner.search(verbose=0)
        epochs = sum(trial.record.epochs for trial in tuner.oracle.trials.values())
    supplied = executor.idle_while_supplied / (executor.supplied_until * NUM_SLOTS)
    return supplied, executor.idle / (executor.now * NUM_SLOTS), executor.now, epochs


def main() -> None:
    """Prints both tables, and where they were made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--target", type=float, default=0.98)
    arguments = parser.parse_args()
    packages = ("tensorflow", "keras", "keras-tuner", "numpy", "scipy")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}\n")
    show_epochs(arguments.seeds, arguments.target)
    show_idle_slots(arguments.seeds)


if __name__ == "__main__":
    main()
