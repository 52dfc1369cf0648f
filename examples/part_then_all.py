"""Many trials on a tenth of the data, then the best few on all of it.

python examples/part_then_all.py
"""

from __future__ import annotations

from typing import Any

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import kt_suite as kts


def search(max_trials: int = 20, num_best: int = 3, epochs: int = 15, directory: str = "searches") -> tuple[Any, Any]:
    """Returns the tuners of the part and of all data, after their searches."""
    x, y = load_digits(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(x / 16, y, stratify=y, random_state=0)
    settings = {"objective": "val_accuracy", "seed": 0, "directory": directory}
    held_out = (x_val, y_val)

    part = kts.RandomSearch(kts.models.MLP(), max_trials=max_trials, project_name="part", **settings)
    tenth = len(x_train) // 10
    part.search(x_train[:tenth], y_train[:tenth], validation_data=held_out, epochs=epochs)

    full = kts.RandomSearch(kts.models.MLP(), max_trials=num_best, project_name="all", **settings)
    for values in part.get_best_hyperparameters(num_best):
        full.enqueue(values.values)
    full.search(x_train, y_train, validation_data=held_out, epochs=epochs)
    return part, full


if __name__ == "__main__":
    for tuner in search():
        tuner.results_summary()
