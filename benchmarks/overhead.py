"""What a tuner adds to training: kt_suite, KerasTuner and plain `fit` over the same small trials.

Each round runs every arm once, in a process of its own and in turn, so that a machine that slows down does so for
all. Trials differ only in numbers that cost nothing (learning rate, dropout): all arms do the same training.
Seconds are those of building the tuner and searching; imports are shown apart. Where others use the machine as well,
processor seconds are the steadier figure.

    python benchmarks/overhead.py --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from typing import Any

ARMS = ("kt_suite", "keras_tuner", "fit")


def build(hp: Any) -> Any:
    """Returns an MLP of one size, whatever the values."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(32, "relu"),
            keras.layers.Dropout(hp.Float("dropout", 0.0, 0.5)),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def run_fit(num_trials: int, arguments: dict[str, Any], seed: int) -> None:
    """Trains as many models without any tuner."""
    import keras_tuner
    import numpy as np

    rng = np.random.default_rng(seed)
    for _ in range(num_trials):
        hp = keras_tuner.HyperParameters()
        hp.Fixed("dropout", float(rng.uniform(0.0, 0.5)))
        hp.Fixed("learning_rate", float(10 ** rng.uniform(-4, -1)))
        build(hp).fit(**arguments)


def run_search(arm: str, num_trials: int, arguments: dict[str, Any], seed: int) -> None:
    """Runs a random search of either framework, as it comes but for what the other does not have."""
    options: dict[str, Any] = {
        "objective": "val_accuracy",
        "max_trials": num_trials,
        "seed": seed,
        "directory": "projects",
    }
    if arm == "kt_suite":
        import kt_suite

        tuner = kt_suite.RandomSearch(build, executor="inline", tensorboard=None, **options)
    else:
        import keras_tuner

        tuner = keras_tuner.RandomSearch(build, **options)
    tuner.search(**arguments)
    finished = [trial for trial in tuner.oracle.trials.values() if trial.status == "COMPLETED"]
    assert len(finished) == num_trials


def run_arm(arm: str, num_trials: int, num_epochs: int, seed: int) -> None:
    """Times one arm in this process, and prints its seconds as JSON."""
    start = time.perf_counter()
    import keras_tuner  # noqa: F401 - every arm pays for the same imports
    import tensorflow as tf
    from sklearn.datasets import load_digits

    if arm == "kt_suite":
        import kt_suite

        _ = kt_suite.RandomSearch
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1)])  # wakes the devices
    ready, ready_cpu = time.perf_counter(), time.process_time()
    arguments = {
        "x": x[:512],
        "y": y[:512],
        "validation_data": (x[512:768], y[512:768]),
        "epochs": num_epochs,
        "verbose": 0,
    }
    if arm == "fit":
        run_fit(num_trials, arguments, seed)
    else:
        run_search(arm, num_trials, arguments, seed)
    seconds, cpu = time.perf_counter() - ready, time.process_time() - ready_cpu
    print(json.dumps({"imports": ready - start, "seconds": seconds, "cpu": cpu}))


def measure(arm: str, options: argparse.Namespace, seed: int) -> dict[str, float]:
    """Runs one arm in a fresh process and an empty directory; returns what it timed."""
    sizes = ["--trials", str(options.trials), "--epochs", str(options.epochs), "--seed", str(seed)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, os.path.abspath(__file__), "--arm", arm, *sizes]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measures all arms, and prints the medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        run_arm(options.arm, options.trials, options.epochs, options.seed)
        return

    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("tensorflow", "keras", "keras-tuner"))
    print(f"{os.cpu_count()} CPUs, {platform.platform()}, Python {platform.python_version()}, {versions}")
    load = os.getloadavg()[0]
    print(f"{options.trials} trials x {options.epochs} epochs, {options.rounds} rounds, load {load:.1f}")
    rounds = []
    for number in range(options.rounds):
        rounds.append({arm: measure(arm, options, options.seed + number) for arm in ARMS})
        print("  ".join(f"{arm} {timed['seconds']:.2f} s" for arm, timed in rounds[-1].items()), flush=True)
    report(rounds, options.trials)


def report(rounds: list[dict[str, dict[str, float]]], num_trials: int) -> None:
    """Prints the median of each arm, and the medians of the ratios within a round."""
    for arm in ARMS:
        seconds, cpu, imports = (
            statistics.median(timed[arm][figure] for timed in rounds) for figure in ("seconds", "cpu", "imports")
        )
        each = 1000 * seconds / num_trials
        print(f"{arm:12} {seconds:7.2f} s, {each:5.0f} ms a trial, processor {cpu:.2f} s, imports {imports:.2f} s")
    for one, other in (("kt_suite", "keras_tuner"), ("kt_suite", "fit"), ("keras_tuner", "fit")):
        seconds, cpu = (
            statistics.median(timed[one][figure] / timed[other][figure] for timed in rounds)
            for figure in ("seconds", "cpu")
        )
        print(f"{one} / {other}: {seconds:.3f}, processor {cpu:.3f} (medians of paired ratios)")


if __name__ == "__main__":
    main()
