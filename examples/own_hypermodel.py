"""A hypermodel of one's own, with all that belongs to a training recipe, and a search with it.

python examples/own_hypermodel.py
"""

from __future__ import annotations

from typing import Any

import keras
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

import kt_suite as kts


class WineNet(kts.HyperModel):
    """A small network: what is built, how its preprocessing learns, and which part of the training is tuned."""

    def build(self, hp: Any) -> Any:
        model = keras.Sequential([keras.Input((13,)), keras.layers.Normalization(name="scale")])
        for index in range(hp.Int("layers", 1, 2)):
            model.add(keras.layers.Dense(hp.Int(f"units_{index}", 8, 64, sampling="log"), "relu"))
        if hp.Boolean("dropout"):
            model.add(keras.layers.Dropout(hp.Float("rate", 0.1, 0.5)))
        model.add(keras.layers.Dense(3, "softmax"))
        optimizer = keras.optimizers.Adam(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log"))
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def adapt(self, model: Any, x: Any, y: Any = None) -> None:
        model.get_layer("scale").adapt(x)

    def fit_options(self, hp: Any) -> dict[str, Any]:
        return {"batch_size": hp.Choice("batch_size", [8, 16, 32])}

    def callbacks(self, hp: Any) -> list[Any]:
        return [keras.callbacks.EarlyStopping("val_loss", patience=5)]


def search(max_trials: int = 10, epochs: int = 20, directory: str = "searches") -> tuple[Any, float]:
    """Returns the tuner after its search, and the accuracy of the best model on samples that it never saw."""
    x, y = load_wine(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, stratify=y, random_state=0)
    tuner = kts.RandomSearch(
        WineNet(),
        objective="val_accuracy",
        max_trials=max_trials,
        seed=0,
        directory=directory,
        project_name="own_hypermodel",
    )
    tuner.search(x_train, y_train, validation_split=0.25, epochs=epochs)
    model = tuner.get_best_models()[0]
    return tuner, model.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]


if __name__ == "__main__":
    tuner, accuracy = search()
    tuner.results_summary()
    print(f"Accuracy on the test samples: {accuracy:.3f}")
