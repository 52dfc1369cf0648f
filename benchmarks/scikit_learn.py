"""The examples beside what scikit-learn and scikit-optimize give on the same work: scores and wall-clock time.

Each side runs in a process of its own, imports included, with both cores; the peers use `n_jobs=-1`.

    python benchmarks/scikit_learn.py [--only NAME ...] [--store FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ("iris_mlp_grid", "forest_grid", "hidden_units_bayesian", "depth_grid", "logistic_regression_grid")


# Ours


def run_example(name: str) -> dict[str, float]:
    """Runs an example; returns the best mean over folds and its standard error."""
    import importlib

    module = importlib.import_module(f"examples.{name}")
    with tempfile.TemporaryDirectory() as directory:
        if name == "logistic_regression_grid":
            tuner = module.search(module.keras_model, directory, epochs=60, batch_size=16)
        else:
            tuner = module.search(directory=directory)
        best = tuner.oracle.get_best_trials(1)[0].record
    return {"score": best.score, "error": best.score_std / len(best.runs) ** 0.5, "runs": 5 * len(tuner.results())}


# The peers


def grid(estimator: Any, space: dict[str, list[Any]], x: Any, y: Any) -> dict[str, float]:
    """Returns what `GridSearchCV` finds."""
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    found = GridSearchCV(estimator, space, cv=folds, n_jobs=-1, refit=False).fit(x, y)
    scores, best = found.cv_results_, found.best_index_
    error = scores["std_test_score"][best] / 4**0.5  # a standard error, from the deviation without Bessel's correction
    return {"score": found.best_score_, "error": error, "runs": 5 * len(scores["params"])}


def peer_iris_mlp_grid() -> dict[str, float]:
    from sklearn.datasets import load_iris
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    x, y = load_iris(return_X_y=True)
    space = {
        "hidden_layer_sizes": [(50,), (100,), (150,)],
        "activation": ["tanh", "relu"],
        "alpha": [1e-4, 1e-3, 1e-2],
        "learning_rate": ["constant", "adaptive"],
    }
    return grid(MLPClassifier(max_iter=1000, random_state=0), space, StandardScaler().fit_transform(x), y)


def peer_forest_grid() -> dict[str, float]:
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier

    space = {"n_estimators": [50, 100, 200], "max_depth": [None, 10, 20, 30], "min_samples_split": [2, 5, 10]}
    return grid(RandomForestClassifier(random_state=0), space, *load_breast_cancer(return_X_y=True))


def peer_hidden_units_bayesian() -> dict[str, float]:
    """Fifty evaluations by scikit-optimize's Gaussian process."""
    import numpy as np
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.neural_network import MLPClassifier
    from skopt import gp_minimize

    from examples.hidden_units_bayesian import data

    x, y = data()
    folds, scores = StratifiedKFold(5, shuffle=True, random_state=0), {}

    def loss(point: list[int]) -> float:
        model = MLPClassifier((int(point[0]),), learning_rate_init=1e-2, max_iter=1000, random_state=0)
        scores[int(point[0])] = cross_val_score(model, x, y, cv=folds, n_jobs=-1)
        return -float(np.mean(scores[int(point[0])]))

    found = gp_minimize(loss, [(1, 100)], n_calls=50, random_state=0)
    best = scores[int(found.x[0])]
    return {"score": float(best.mean()), "error": float(best.std(ddof=1) / 5**0.5), "runs": 250}


def peer_depth_grid() -> dict[str, float]:
    from sklearn.neural_network import MLPClassifier

    from examples.depth_grid import data

    space = {
        "hidden_layer_sizes": [(100,), (100, 100), (100, 100, 100)],
        "alpha": [1e-4, 1e-3, 1e-2],
        "learning_rate_init": [1e-3, 1e-2],
    }
    return grid(MLPClassifier(max_iter=1000, random_state=0), space, *data())


def peer_logistic_regression_grid() -> dict[str, float]:
    from sklearn.linear_model import LogisticRegression

    from examples.logistic_regression_grid import data

    x_train, _, y_train, _ = data()
    space = {"C": [0.001, 0.01, 0.1, 1.0, 10.0, 100.0], "l1_ratio": [1.0, 0.0]}
    return grid(LogisticRegression(solver="saga", max_iter=5000, random_state=0), space, x_train, y_train)


PEERS: dict[str, Callable[[], dict[str, float]]] = {
    name.removeprefix("peer_"): function for name, function in globals().items() if name.startswith("peer_")
}


# The table


def measure(side: str, name: str) -> dict[str, float]:
    """Runs one side in a new process; returns what it found, and its seconds."""
    began = time.monotonic()
    command = [sys.executable, "-W", "ignore", __file__, "--run", side, name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return {**json.loads(done.stdout.splitlines()[-1]), "seconds": time.monotonic() - began}


def table(names: list[str]) -> list[str]:
    """Returns the lines of the table."""
    packages = ("tensorflow", "keras", "scikit-learn", "scikit-optimize")
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    lines = [
        f"{os.cpu_count()} cores; Python {sys.version.split()[0]}, {versions}",
        "",
        "| example | runs | kt_suite | scikit-learn | within one standard error | seconds | theirs | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for name in names:
        ours, theirs = measure("ours", name), measure("peer", name)
        is_close = ours["score"] >= theirs["score"] - max(ours["error"], theirs["error"])
        cells = [
            name,
            f"{ours['runs']:.0f}",
            *(f"{one['score']:.4f} ± {one['error']:.4f}" for one in (ours, theirs)),
            "yes" if is_close else "no",
            f"{ours['seconds']:.1f}",
            f"{theirs['seconds']:.1f}",
            f"{ours['seconds'] / theirs['seconds']:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=EXAMPLES, default=list(EXAMPLES))
    parser.add_argument("--store", type=Path, help="file to write the table to")
    parser.add_argument("--run", nargs=2, metavar=("SIDE", "NAME"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        side, name = arguments.run
        print(json.dumps(run_example(name) if side == "ours" else PEERS[name]()))
        return
    lines = table(arguments.only)
    if arguments.store:
        arguments.store.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
