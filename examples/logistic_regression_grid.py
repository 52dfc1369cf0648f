"""Logistic regression on iris as a Keras model and as scikit-learn's: a grid over C and the penalty, refit, test score.

python examples/logistic_regression_grid.py
"""

from __future__ import annotations

from typing import Any

import keras
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kt_suite as kts

NUM_TRAIN = 112


def values(hp: Any) -> tuple[float, str]:
    """Returns the inverse strength of the penalty, and its kind."""
    return hp.Choice("C", [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]), hp.Choice("penalty", ["l1", "l2"])


def keras_model(hp: Any) -> Any:
    """Returns one dense layer whose penalty is scikit-learn's, divided by the number of samples."""
    C, penalty = values(hp)
    strength = 1 / (C * NUM_TRAIN)
    regularizer = keras.regularizers.L1(strength) if penalty == "l1" else keras.regularizers.L2(strength / 2)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax", kernel_regularizer=regularizer)])
    model.compile(keras.optimizers.Adam(5e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def estimator(hp: Any) -> Any:
    """Returns scikit-learn's logistic regression."""
    C, penalty = values(hp)
    l1_ratio = 1.0 if penalty == "l1" else 0.0
    return LogisticRegression(C=C, l1_ratio=l1_ratio, solver="saga", max_iter=5000, random_state=0)


def data() -> Any:
    """Returns iris, standardised and split: ``x_train, x_test, y_train, y_test``."""
    x, y = load_iris(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, train_size=NUM_TRAIN, stratify=y, random_state=0)
    scaler = make_pipeline(StandardScaler()).fit(x_train)
    return scaler.transform(x_train), scaler.transform(x_test), y_train, y_test


def search(build: Any, directory: str = "searches", **fit: Any) -> Any:
    """Returns the tuner after its search."""
    x_train, _, y_train, _ = data()
    tuner = kts.GridSearch(
        build,
        objective="val_accuracy",
        max_trials=None,
        cross_validation=5,
        score="last",
        executor="fused",
        seed=0,
        directory=directory,
        project_name=f"logistic_regression_{build.__name__}",
    )
    tuner.search(x_train, y_train, **fit)
    return tuner


if __name__ == "__main__":
    _, x_test, _, y_test = data()
    network = search(keras_model, epochs=60, batch_size=16).get_best_models()[0]
    print("Keras, test:", network.evaluate(x_test, y_test, verbose=0, return_dict=True))
    print("scikit-learn, test:", search(estimator).get_best_models()[0].score(x_test, y_test))
