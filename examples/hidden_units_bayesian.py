"""How many hidden units? Bayesian optimisation of one integer, fifty evaluations of five folds each.

python examples/hidden_units_bayesian.py
"""

from __future__ import annotations

from typing import Any

import keras
from sklearn.datasets import make_classification

import kt_suite as kts


def build(hp: Any) -> Any:
    """Returns a network of one hidden layer."""
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(hp.Int("units", 1, 100), "relu"), keras.layers.Dense(1, "sigmoid")]
    )
    model.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy", metrics=["accuracy"])
    return model


def data() -> tuple[Any, Any]:
    """Returns inputs of two features, and two classes."""
    return make_classification(n_samples=300, n_features=2, n_redundant=0, n_clusters_per_class=1, random_state=0)


def search(max_trials: int = 50, epochs: int = 30, directory: str = "searches") -> Any:
    """Returns the tuner after its search."""
    tuner = kts.BayesianOptimization(
        build,
        objective="val_accuracy",
        max_trials=max_trials,
        cross_validation=5,
        score="last",
        executor="fused",
        seed=0,
        directory=directory,
        project_name="hidden_units_bayesian",
    )
    tuner.search(*data(), epochs=epochs)
    return tuner


if __name__ == "__main__":
    search().results_summary()
