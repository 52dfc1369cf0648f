"""Trials per second: fused trials beside KerasTuner, over the same spaces, data, epochs and validation.

Each search runs in a process of its own, imports and compiling included, in turn, so that a machine that slows down
does so for both. KerasTuner may run a fraction of the trials (``--share``): its time is then scaled by the trial, the
imports apart, and the table says so. Its Hyperband cannot be cut short, and runs once whatever ``--rounds`` says. The
two draw other values from the same space; so the scores of all trials are compared (Mann-Whitney), over all seeds. All
cases, as below, take a quarter of an hour on two cores. Run it where no extra is installed, as most users have it:
TensorFlow imports JAX where it finds it, which takes a second in both arms.

    python benchmarks/throughput.py --rounds 3 --share 0.0625
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
from pathlib import Path
from typing import Any

TARGETS = {"learning_rate": 30, "depth": 15, "cnn": 5, "hyperband": 10}
TRIALS = {"learning_rate": 64, "depth": 64, "cnn": 32, "hyperband": 0}
EPOCHS = 20
MAX_EPOCHS = 27
NUM_TRAINING = 1347
PHASES = ("import", "build", "stack", "trace and compile", "run", "store", "checkpoints", "rest")


def build_mlp(hp: Any) -> Any:
    """Returns an MLP of one size, whose learning rate and dropout are tuned."""
    import keras

    dropout = hp.Float("dropout", 0.0, 0.5)
    layers = [keras.layers.Dense(128, "relu"), keras.layers.Dropout(dropout), keras.layers.Dense(128, "relu")]
    return _compiled(keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10, "softmax")]), hp)


def build_depth(hp: Any) -> Any:
    """Returns an MLP of tuned depth, widths, activation, dropout and learning rate."""
    import keras

    model = keras.Sequential([keras.Input((64,))])
    activation, dropout = hp.Choice("activation", ["relu", "tanh", "gelu"]), hp.Float("dropout", 0.0, 0.5)
    for index in range(hp.Int("depth", 1, 3)):
        model.add(keras.layers.Dense(hp.Int(f"units_{index}", 16, 256, step=16), activation))
        model.add(keras.layers.Dropout(dropout))
    model.add(keras.layers.Dense(10, "softmax"))
    return _compiled(model, hp)


def build_cnn(hp: Any) -> Any:
    """Returns two blocks of convolutions, whose filters, dropout and learning rate are tuned."""
    import keras

    model = keras.Sequential([keras.Input((64,)), keras.layers.Reshape((8, 8, 1))])
    for index in range(2):
        filters = hp.Int(f"filters_{index}", 8, 32, step=8)
        model.add(keras.layers.Conv2D(filters, 3, padding="same", activation="relu"))
        model.add(keras.layers.MaxPooling2D())
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dropout(hp.Float("dropout", 0.0, 0.5)))
    model.add(keras.layers.Dense(10, "softmax"))
    return _compiled(model, hp)


def _compiled(model: Any, hp: Any) -> Any:
    import keras

    rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


BUILDS = {"learning_rate": build_mlp, "depth": build_depth, "cnn": build_cnn, "hyperband": build_mlp}


def digits() -> tuple[Any, Any]:
    """Returns scikit-learn's digits, and their labels."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return (x / 16).astype("float32"), y


def run_arm(case: str, arm: str, num_trials: int, seed: int) -> None:
    """Runs one search in this process, and prints what it took and came to as JSON."""
    began = time.perf_counter()
    # The tuners first, in both arms: they bring Keras, with kt_suite a second sooner, as the garbage collector rests.
    if arm == "kt_suite":
        import kt_suite as tuners

        options: dict[str, Any] = {"executor": "fused", "tensorboard": None}
    else:
        import keras_tuner as tuners

        options = {}
    _ = tuners.RandomSearch
    import keras

    _ = keras.Sequential
    x, y = digits()
    imported = time.perf_counter()
    common = {"objective": "val_accuracy", "seed": seed, "directory": "projects", **options}
    if case == "hyperband":
        tuner = tuners.Hyperband(BUILDS[case], max_epochs=MAX_EPOCHS, factor=3, **common)
    else:
        tuner = tuners.RandomSearch(BUILDS[case], max_trials=num_trials, **common)
    phases = _Phases(arm)
    epochs = MAX_EPOCHS if case == "hyperband" else EPOCHS
    tuner.search(
        x[:NUM_TRAINING],
        y[:NUM_TRAINING],
        validation_data=(x[NUM_TRAINING:], y[NUM_TRAINING:]),
        epochs=epochs,
        verbose=0,
    )
    ended = time.perf_counter()
    phase_seconds = phases.seconds(imported - began, ended - began)
    trials = [trial for trial in tuner.oracle.trials.values() if trial.status == "COMPLETED"]
    computed = time.process_time()
    bound = arithmetic(case, trials, len(x)) if arm == "kt_suite" else {}
    found = {
        "imports": imported - began,
        "seconds": ended - began,
        "cpu": computed,
        "trials": len(trials),
        "scores": [trial.score for trial in trials],
        "phases": phase_seconds,
        "explained": tuner.explain_execution() if arm == "kt_suite" else "",
        "bound": bound,
        "aside": time.perf_counter() - ended,
    }
    print(json.dumps(found))


def arithmetic(case: str, trials: list[Any], num_rows: int) -> dict[str, float]:
    """Returns the operations that the trials' layers need, unpadded, and how many a second the machine does."""
    import tensorflow as tf

    from kt_suite.executors.fused.view import view_of
    from kt_suite.executors.fused.widths import operations

    needed = 0.0
    for trial in trials:
        epochs = trial.record.epochs if case == "hyperband" else EPOCHS
        # Forward, and backward to weights and to inputs; validation goes forward only.
        passes = 3 * NUM_TRAINING + (num_rows - NUM_TRAINING)
        needed += 2.0 * operations(view_of(BUILDS[case](trial.hyperparameters))) * passes * epochs
    square = tf.random.normal((2048, 2048))
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        tf.matmul(square, square).numpy()
        seconds.append(time.perf_counter() - began)
    return {"gflop": needed / 1e9, "gflop_a_second": 2 * 2048**3 / min(seconds) / 1e9}


class _Phases:
    """Times the parts of a fused search, by wrapping what does them."""

    def __init__(self, arm: str) -> None:
        self._seconds: dict[str, float] = {}
        self._depth: list[str] = []
        if arm != "kt_suite":
            return
        from kt_suite.executors.fused import checkpoints, lane, preparation, stack
        from kt_suite.storage import Storage

        self._wrap(preparation.Preparation, "prepare", "build")
        self._wrap(lane.Lane, "__init__", "stack")
        self._wrap(lane.Lane, "take_in", "stack")
        self._wrap(lane.Lane, "remove", "stack")
        self._wrap(stack.Stack, "warm_up", "trace and compile")
        self._wrap(stack.Stack, "train_epoch", "run")
        self._wrap(checkpoints.Keeper, "write", "checkpoints")
        self._wrap(checkpoints.Keeper, "finish", "checkpoints")
        self._wrap(checkpoints.Keeper, "note_epoch", "checkpoints")
        for name in ("write_attempt", "update_facts", "add_report"):
            self._wrap(Storage, name, "store")

    def _wrap(self, owner: Any, name: str, phase: str) -> None:
        original = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            is_first = phase == "run" and getattr(args[0], "epoch", 1) == 0
            try:
                return original(*args, **kwargs)
            finally:
                kind = "trace and compile" if is_first else phase
                self._seconds[kind] = self._seconds.get(kind, 0.0) + time.perf_counter() - began

        setattr(owner, name, timed)

    def seconds(self, imports: float, total: float) -> dict[str, float]:
        """Returns the seconds of each phase; the first epoch of a program counts as tracing and compiling."""
        if not self._seconds:
            return {}
        known = {"import": imports, **self._seconds}
        return {**known, "rest": total - sum(known.values())}


def measure(case: str, arm: str, num_trials: int, seed: int) -> dict[str, Any]:
    """Runs one arm in a fresh process and an empty directory; returns what it printed."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--cases", case, "--arm", arm, "--trials", str(num_trials), "--seed", str(seed)]
        command = [sys.executable, os.path.abspath(__file__), *arguments]
        began = time.perf_counter()
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        wall = time.perf_counter() - began
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    found = json.loads(done.stdout.splitlines()[-1])
    return {**found, "wall": wall - found["aside"]}  # without what the benchmark computes for itself


def compare(case: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measures both arms of a case over the seeds; returns the row of the table."""
    trials = options.trials or TRIALS[case]
    is_whole = case == "hyperband"
    pairs = []
    for number in range(1 if is_whole else options.rounds):
        seed = options.seed + number
        mine = measure(case, "kt_suite", trials, seed)
        theirs = measure(case, "keras_tuner", max(1, round(trials * (1.0 if is_whole else options.share))), seed)
        pairs.append((mine, theirs))
        print(f"{case}, seed {seed}: {_line(mine)}; KerasTuner {_line(theirs)}", flush=True)
    own = statistics.median(mine["wall"] / mine["trials"] for mine, _ in pairs)
    other = statistics.median(_per_trial(theirs, trials or theirs["trials"]) for _, theirs in pairs)
    cpu = statistics.median(
        (theirs["cpu"] / theirs["trials"]) / (mine["cpu"] / mine["trials"]) for mine, theirs in pairs
    )
    return {
        "case": case,
        "trials": pairs[0][0]["trials"],
        "keras_tuner_trials": pairs[0][1]["trials"],
        "ms_a_trial": 1000 * own,
        "keras_tuner_ms_a_trial": 1000 * other,
        "times": other / own,
        "times_by_processor_seconds": cpu,
        "target": TARGETS[case],
        "times_without_imports": statistics.median(
            _after_imports(theirs) / _after_imports(mine) for mine, theirs in pairs
        ),
        "scores": compare_scores([mine["scores"] for mine, _ in pairs], [theirs["scores"] for _, theirs in pairs]),
        "phases": pairs[-1][0]["phases"],
        "bound": pairs[-1][0]["bound"],
        "explained": pairs[-1][0]["explained"].splitlines(),
    }


def _per_trial(found: dict[str, Any], trials: int) -> float:
    """Returns the seconds a trial of a search of ``trials``, whose imports are paid once."""
    imports = found["imports"] + found["wall"] - found["seconds"]
    return float(imports / trials + (found["wall"] - imports) / found["trials"])


def _after_imports(found: dict[str, Any]) -> float:
    """Returns the seconds of the search itself, a trial."""
    return float((found["seconds"] - found["imports"]) / found["trials"])


def _line(found: dict[str, Any]) -> str:
    took = f"{found['wall']:.1f} s (processor {found['cpu']:.1f})"
    return f"{found['trials']} trials in {took}, best {max(found['scores']):.4f}"


def compare_scores(mine: list[list[float]], theirs: list[list[float]]) -> dict[str, Any]:
    """Compares the scores of trials, those of all seeds together.

    Args:
        mine: Scores of each seed's trials.
        theirs: The same of KerasTuner.

    Returns:
        The best of each seed; how often a trial of ours is better than one of theirs (ties count half); and how likely
        a share as far from a half is by chance (Mann-Whitney, two-sided).
    """
    from scipy import stats

    own, other = [score for scores in mine for score in scores], [score for scores in theirs for score in scores]
    tested = stats.mannwhitneyu(own, other)
    share = float(tested.statistic) / (len(own) * len(other))
    best = {"best": list(map(max, mine)), "keras_tuner_best": list(map(max, theirs))}
    return {**best, "counts": [len(own), len(other)], "share_better": share, "p": float(tested.pvalue)}


def main() -> None:
    """Measures the cases, prints a table and stores it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.0625, help="share of the trials that KerasTuner runs")
    parser.add_argument("--trials", type=int, default=0, help="trials of a random search, in place of the case's own")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "throughput.json")
    parser.add_argument("--arm", choices=("kt_suite", "keras_tuner"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        run_arm(options.cases[0], options.arm, options.trials, options.seed)
        return
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("tensorflow", "keras", "keras-tuner"))
    machine = f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}, {versions}"
    print(f"{machine}; load {os.getloadavg()[0]:.1f}; imports and compiling included")
    rows = []
    for case in options.cases:
        rows.append({**compare(case, options), "load": os.getloadavg()[0]})
        report(rows[-1])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    stored = json.loads(options.out.read_text()) if options.out.exists() else {"cases": {}}
    stored["machine"] = machine
    stored["cases"].update({row["case"]: row for row in rows})
    options.out.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")


def report(row: dict[str, Any]) -> None:
    """Prints one row of the table, and what bounds it."""
    print(
        f"{row['case']:14} {row['ms_a_trial']:7.0f} ms a trial, KerasTuner {row['keras_tuner_ms_a_trial']:7.0f} ms "
        f"({row['keras_tuner_trials']} of {row['trials']} trials run): {row['times']:.1f} times "
        f"({row['times_by_processor_seconds']:.1f} by processor seconds, not scaled), target {row['target']}"
    )
    print(f"  {row['times_without_imports']:.1f} times without imports")
    scores = row["scores"]
    print(
        "  scores: best {}, KerasTuner's {}; of {} and {} trials, ours is the better of a pair in {:.0%}; by "
        "chance with probability {:.2f}".format(
            *(", ".join(f"{score:.3f}" for score in scores[name]) for name in ("best", "keras_tuner_best")),
            *scores["counts"],
            scores["share_better"],
            scores["p"],
        )
    )
    total = sum(row["phases"].values())
    parts = [f"{name} {row['phases'].get(name, 0.0):.2f} s" for name in PHASES]
    print(f"  {total:.1f} s: " + ", ".join(parts))
    bound = row["bound"]
    least = bound["gflop"] / bound["gflop_a_second"]
    shares = f"{least / row['phases']['run']:.0%} of the run, {least / total:.0%} of all"
    print(
        f"  layers need {bound['gflop']:.0f} GFLOP: {least:.2f} s at {bound['gflop_a_second']:.0f} GFLOP/s, which a "
        f"product of 2048 x 2048 reaches here; {shares}"
    )


if __name__ == "__main__":
    main()
