"""Runs per second of a search over five folds, beside a loop of ``fit`` over the same folds and values.

Both sides run in a process of their own, imports and compiling included. The loop does part of the runs (``--share``);
its time is scaled by the run, the imports apart. Scores of the runs that both sides did are compared too: means over
the same folds, of the same values, from other first weights.

    python benchmarks/folds.py
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from throughput import build_mlp, digits

TRIALS, FOLDS, EPOCHS = 32, 5, 20
RESULT = Path(__file__).parent / "results" / "folds.json"


def search() -> dict[str, Any]:
    """Returns the seconds of a fused search, and the values and the fold scores of its trials."""
    import kt_suite as kts

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        options = {"executor": "fused", "cross_validation": FOLDS, "score": "last", "tensorboard": None}
        tuner = kts.RandomSearch(build_mlp, "val_accuracy", max_trials=TRIALS, seed=0, directory=directory, **options)
        tuner.search(*digits(), epochs=EPOCHS, verbose=0)
        trials = [trial.record for trial in tuner.oracle.trials.values()]
    found = [{"values": trial.values, "scores": trial.fold_scores} for trial in trials]
    return {"trials": found, "searched": time.perf_counter() - began}


def loop(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the seconds of a loop of ``fit`` over trials, and their fold scores."""
    import keras
    from sklearn.model_selection import StratifiedKFold

    import kt_suite as kts

    x, y = digits()
    began, scores = time.perf_counter(), []
    for number, trial in enumerate(trials):
        scores.append([])
        for fold, (train, test) in enumerate(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, y)):
            keras.utils.clear_session()
            keras.utils.set_random_seed(FOLDS * number + fold)
            hp = kts.HyperParameters()
            hp.values.update(trial["values"])
            tested = (x[test], y[test])
            history = build_mlp(hp).fit(x[train], y[train], epochs=EPOCHS, validation_data=tested, verbose=0).history
            scores[-1].append(history["val_accuracy"][-1])
    return {"scores": scores, "searched": time.perf_counter() - began}


def measure(side: str, trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Runs one side in a new process."""
    began = time.perf_counter()
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, os.path.abspath(__file__), "--side", side]
    done = subprocess.run(command, env=environment, input=json.dumps(trials), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return {**json.loads(done.stdout.splitlines()[-1]), "wall": time.perf_counter() - began}


def main() -> None:
    """Measures both sides, prints and stores what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1 / 16, help="share of the trials that the loop runs")
    parser.add_argument("--side", choices=("search", "loop"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        trials = json.load(sys.stdin)
        print(json.dumps(search() if options.side == "search" else loop(trials)))
        return
    ours = measure("search", [])
    part = ours["trials"][: max(1, round(TRIALS * options.share))]
    theirs = measure("loop", part)
    runs, looped = TRIALS * FOLDS, len(part) * FOLDS
    imports = theirs["wall"] - theirs["searched"]
    scaled = imports + theirs["searched"] * runs / looped
    differences = [
        statistics.fmean(trial["scores"]) - statistics.fmean(scores)
        for trial, scores in zip(part, theirs["scores"], strict=True)
    ]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("tensorflow", "keras", "scikit-learn"))
    found = {
        "machine": f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}, {versions}",
        "load": os.getloadavg()[0],
        "runs": runs,
        "seconds": ours["wall"],
        "runs_a_second": runs / ours["wall"],
        "runs_of_the_loop": looped,
        "seconds_of_the_loop": theirs["wall"],
        "runs_a_second_of_the_loop": runs / scaled,
        "times": scaled / ours["wall"],
        "differences_of_mean_scores": differences,
    }
    print(json.dumps(found, indent=1))
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
