"""A grid of networks on iris: width, activation, penalty and schedule, each scored by five folds.

What `GridSearchCV(MLPClassifier(...))` does, with Keras: all folds of all trials train side by side.

    python examples/iris_mlp_grid.py
"""

from __future__ import annotations

from typing import Any

import keras
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

import kt_suite as kts


class Net(kts.HyperModel):
    """One hidden layer."""

    def build(self, hp: Any) -> Any:
        penalty = keras.regularizers.L2(hp.Choice("alpha", [1e-4, 1e-3, 1e-2]))
        units, activation = hp.Choice("units", [50, 100, 150]), hp.Choice("activation", ["tanh", "relu"])
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(units, activation, kernel_regularizer=penalty),
                keras.layers.Dense(3, "softmax", kernel_regularizer=penalty),
            ]
        )
        model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def callbacks(self, hp: Any) -> list[Any]:
        if hp.Choice("learning_rate", ["constant", "adaptive"]) == "constant":
            return []
        return [keras.callbacks.ReduceLROnPlateau("loss", factor=0.2, patience=5)]


def search(epochs: int = 60, directory: str = "searches") -> Any:
    """Returns the tuner after its search."""
    x, y = load_iris(return_X_y=True)
    tuner = kts.GridSearch(
        Net(),
        objective="val_accuracy",
        max_trials=None,
        cross_validation=5,
        score="last",
        executor="fused",
        seed=0,
        directory=directory,
        project_name="iris_mlp_grid",
    )
    tuner.search(StandardScaler().fit_transform(x), y, epochs=epochs, batch_size=32)
    return tuner


if __name__ == "__main__":
    search().results_summary()
