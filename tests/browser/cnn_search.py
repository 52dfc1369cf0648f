"""A search of 20 trials over a convolutional network, two of which fail and three of which are pruned.

Run: python cnn_search.py DIRECTORY LOGDIR; writes the rows of ``tuner.results()`` to ``DIRECTORY/results.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keras
from sklearn.datasets import load_digits

import kt_suite as kts

TOO_LARGE = 9  # a kernel that does not fit into images of 8 by 8
TOO_SLOW = 1e-6  # a learning rate with which nothing is learnt
FAILED, PRUNED = (4, 11), (6, 9, 16)
NUM_TRIALS = 20
OWN_RUNS = "callbacks"  # below the log directory: what the user's callback writes


class Net(kts.HyperModel):
    def build(self, hp: Any) -> Any:
        model = keras.Sequential([keras.Input((8, 8, 1))])
        model.add(
            keras.layers.Conv2D(hp.Int("filters", 8, 32, sampling="log"), hp.Choice("kernel size", [3, 5, TOO_LARGE]))
        )
        model.add(keras.layers.Activation("relu"))
        model.add(keras.layers.Flatten())
        for index in range(hp.Int("dense layers", 0, 2, default=2)):  # met in building only
            model.add(keras.layers.Dense(hp.Int(f"units_{index}", 16, 64, step=16), "relu"))
        model.add(keras.layers.Dense(10, "softmax"))
        rate = hp.Float("learning_rate", 1e-6, 1e-1, sampling="log")
        if hp.Choice("optimizer", ["adam", "sgd"], default="sgd") == "sgd":
            optimizer = keras.optimizers.SGD(rate, momentum=hp.Float("momentum", 0.0, 0.99))
        else:
            optimizer = keras.optimizers.Adam(rate)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model


def values_of(number: int) -> dict[str, Any]:
    """Returns the values of a trial."""
    values: dict[str, Any] = {
        "filters": 8 + number,
        "kernel size": TOO_LARGE if number in FAILED else (3, 5)[number % 2],
        "dense layers": number % 3,
        "learning_rate": TOO_SLOW if number in PRUNED else 10 ** (-3 + number / 20),
        "optimizer": ("adam", "sgd")[number // 2 % 2],
    }
    values |= {f"units_{index}": 16 + 16 * ((number + index) % 4) for index in range(number % 3)}
    if values["optimizer"] == "sgd":
        values |= {"momentum": 0.9, "learning_rate": values["learning_rate"] * (1 if number in PRUNED else 5)}
    return values


def main(directory: str, logdir: str) -> None:
    """Runs the search."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8, 1) / 16
    tuner = kts.RandomSearch(
        Net(),
        objective="val_accuracy",
        max_trials=NUM_TRIALS,
        seed=3,
        directory=directory,
        project_name="digits",
        tensorboard=logdir,
        pruner=kts.pruners.ThresholdPruner(lower=0.15, num_warmup_epochs=1),
        keep_checkpoints=1,
    )
    for number in range(NUM_TRIALS):
        tuner.enqueue(values_of(number))
    own = keras.callbacks.TensorBoard(str(Path(logdir) / OWN_RUNS), histogram_freq=1)
    tuner.search(
        images[:400],
        labels[:400],
        validation_data=(images[400:600], labels[400:600]),
        epochs=3,
        batch_size=32,
        callbacks=[own],
        verbose=0,
    )
    Path(directory, "results.json").write_text(json.dumps(tuner.results()), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
