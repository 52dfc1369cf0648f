"""Hyperband with each trial mirrored over two devices, logged for TensorBoard.

Without two GPUs, the processor is taken for two devices.

    python examples/hyperband_mirrored.py
    tensorboard --logdir tensorboard_logs
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("KT_SUITE_VIRTUAL_DEVICES", "2")

from sklearn.datasets import load_digits

import kt_suite as kts


def search(max_epochs: int = 9, directory: str = "searches", tensorboard: str = "tensorboard_logs") -> Any:
    """Returns the tuner after its search."""
    x, y = load_digits(return_X_y=True)
    tuner = kts.Hyperband(
        kts.models.MLP(),
        objective="val_accuracy",
        max_epochs=max_epochs,
        distribution="mirrored",
        seed=0,
        directory=directory,
        project_name="hyperband_mirrored",
        tensorboard=tensorboard,
    )
    tuner.search(x / 16, y, validation_split=0.2)
    return tuner


if __name__ == "__main__":
    search().results_summary()
