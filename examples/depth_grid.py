"""One to three hidden layers of a hundred units, their penalty and learning rate: a grid of five folds each.

python examples/depth_grid.py
"""

from __future__ import annotations

from typing import Any

import keras
from sklearn.datasets import make_classification

import kt_suite as kts


def build(hp: Any) -> Any:
    """Returns a network of one to three hidden layers."""
    penalty = keras.regularizers.L2(hp.Choice("alpha", [1e-4, 1e-3, 1e-2]))
    model = keras.Sequential([keras.Input((20,))])
    for _ in range(hp.Int("hidden_layers", 1, 3)):
        model.add(keras.layers.Dense(100, "relu", kernel_regularizer=penalty))
    model.add(keras.layers.Dense(1, "sigmoid"))
    optimizer = keras.optimizers.Adam(hp.Choice("learning_rate", [1e-3, 1e-2]))
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return model


def data() -> tuple[Any, Any]:
    """Returns inputs of twenty features, of which two tell the class."""
    return make_classification(n_samples=1000, n_features=20, n_informative=2, n_redundant=10, random_state=0)


def search(epochs: int = 20, directory: str = "searches") -> Any:
    """Returns the tuner after its search."""
    tuner = kts.GridSearch(
        build,
        objective="val_accuracy",
        max_trials=None,
        cross_validation=5,
        score="last",
        executor="fused",
        seed=0,
        directory=directory,
        project_name="depth_grid",
    )
    tuner.search(*data(), epochs=epochs, batch_size=64)
    return tuner


if __name__ == "__main__":
    search().results_summary()
