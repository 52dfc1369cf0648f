"""A grid of random forests: a build that returns an estimator is tuned like any model, here in parallel processes.

python examples/forest_grid.py
"""

from __future__ import annotations

from typing import Any

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

import kt_suite as kts


def build(hp: Any) -> Any:
    """Returns a random forest."""
    return RandomForestClassifier(
        n_estimators=hp.Choice("n_estimators", [50, 100, 200]),
        max_depth=hp.Choice("max_depth", [None, 10, 20, 30]),
        min_samples_split=hp.Choice("min_samples_split", [2, 5, 10]),
        random_state=0,
    )


def search(max_trials: int | None = None, directory: str = "searches") -> Any:
    """Returns the tuner after its search."""
    x, y = load_breast_cancer(return_X_y=True)
    tuner = kts.GridSearch(
        build,
        objective="val_accuracy",
        max_trials=max_trials,
        cross_validation=5,
        executor="processes",
        seed=0,
        directory=directory,
        project_name="forest_grid",
    )
    tuner.search(x, y)
    return tuner


if __name__ == "__main__":
    search().results_summary()
