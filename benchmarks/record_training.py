"""Trains every network of a grid on scikit-learn's data, and stores what came out.

`regret.py` looks results up there: each is that of a training with Keras, none is interpolated. The grid is dense (936
networks), so that the space is searched as if it were trained anew, at none of the cost.

    python benchmarks/record_training.py
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

TABLES = Path(__file__).resolve().parent / "results" / "training"

NUM_RATES, NUM_WIDTHS, NUM_MOMENTA = 13, 4, 5
ACTIVATIONS = ("relu", "tanh", "sigmoid")
EPOCHS = {"digits": 6, "breast_cancer": 10}

Values = Mapping[str, Any]


def declare_mlp(hp: Any) -> None:
    """Declares the space; levels count steps, on a logarithmic scale for the learning rate and the width."""
    hp.Int("rate", 0, NUM_RATES - 1)
    hp.Int("width", 0, NUM_WIDTHS - 1)
    hp.Choice("activation", list(ACTIVATIONS))
    hp.Choice("optimizer", ["adam", "sgd"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Int("momentum", 0, NUM_MOMENTA - 1)


def row_name(values: Values) -> str:
    """Returns the key of values in a table."""
    names = ("activation", "optimizer", "width", "rate", *(["momentum"] if values["optimizer"] == "sgd" else []))
    return " ".join(str(values[name]) for name in names)


def load_table(dataset: str) -> dict[str, float]:
    """Returns validation losses by name of row."""
    return json.loads((TABLES / f"{dataset}.json").read_text(encoding="utf-8"))["losses"]  # type: ignore[no-any-return]


def grid() -> Iterator[tuple[Values, list[Values]]]:
    """Yields networks, and what they are trained with."""
    for activation, kind, width in itertools.product(ACTIVATIONS, ("adam", "sgd"), range(NUM_WIDTHS)):
        momenta = range(NUM_MOMENTA) if kind == "sgd" else (0,)
        yield (
            {"activation": activation, "optimizer": kind, "width": width},
            [{"rate": rate, "momentum": one} for rate, one in itertools.product(range(NUM_RATES), momenta)],
        )


def split(dataset: str) -> tuple[np.ndarray, ...]:
    """Returns inputs and labels to train and to validate on, standardised."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    x, y = getattr(datasets, f"load_{dataset}")(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.4, random_state=0, stratify=y)
    scaler = StandardScaler().fit(x_train)
    return scaler.transform(x_train).astype("float32"), y_train, scaler.transform(x_val).astype("float32"), y_val


def record(dataset: str) -> dict[str, float]:
    """Trains the grid, and stores the least validation loss of each network's epochs; goes on where it was interrupted.

    A network is built once and goes back to its first weights for each training, which saves compiling it again.
    """
    import keras

    x, y, x_val, y_val = split(dataset)
    losses = load_table(dataset) if (TABLES / f"{dataset}.json").exists() else {}
    for network, recipes in grid():
        if all(row_name({**network, **recipe}) in losses for recipe in recipes):
            continue
        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input(x.shape[1:]),
                keras.layers.Dense(8 * 2 ** network["width"], network["activation"]),
                keras.layers.Dense(int(y.max()) + 1, "softmax"),
            ]
        )
        is_adam = network["optimizer"] == "adam"
        # Momentum is a number inside the compiled step of Keras' SGD.
        for momentum in dict.fromkeys(recipe["momentum"] for recipe in recipes):
            optimizer = keras.optimizers.Adam(0.1) if is_adam else keras.optimizers.SGD(0.1, 0.245 * momentum)
            model.compile(optimizer, "sparse_categorical_crossentropy")
            optimizer.build(model.trainable_variables)
            weights, state = model.get_weights(), [np.array(one) for one in optimizer.variables]
            for recipe in recipes:
                if recipe["momentum"] != momentum:
                    continue
                model.set_weights(weights)
                for variable, value in zip(optimizer.variables, state, strict=True):
                    variable.assign(value)
                optimizer.learning_rate = 10.0 ** (recipe["rate"] / 3.0 - 4.0)
                losses[row_name({**network, **recipe})] = train(model, x, y, x_val, y_val, EPOCHS[dataset])
            model.set_weights(weights)
        store(dataset, losses)
    return losses


def store(dataset: str, losses: dict[str, float]) -> None:
    """Writes a table, with the versions that made it."""
    versions = {name: metadata.version(name) for name in ("tensorflow", "keras", "scikit-learn")}
    TABLES.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"versions": versions, "losses": losses}, indent=0)
    (TABLES / f"{dataset}.json").write_text(content + "\n", encoding="utf-8")


def train(model: Any, x: np.ndarray, y: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, num_epochs: int) -> float:
    """Returns the least validation loss of the epochs; that of guessing where training diverges."""
    rng, losses = np.random.default_rng(0), [math.log(int(y.max()) + 1)]
    for _ in range(num_epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x), 128):
            model.train_on_batch(x[order[start : start + 128]], y[order[start : start + 128]])
        model.reset_metrics()  # the next line's loss would be a mean with those of training
        loss = float(model.test_on_batch(x_val, y_val))
        losses.append(loss if math.isfinite(loss) else math.inf)
    return float(f"{min(losses):.6g}")


def main() -> None:
    """Records every data set."""
    for dataset in EPOCHS:
        losses = record(dataset)
        print(dataset, len(losses), min(losses.values()), max(losses.values()))


if __name__ == "__main__":
    main()
