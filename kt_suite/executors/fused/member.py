"""What a stack trains: its members, their data, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kt_suite.executors.fused.snapshot import Snapshot


@dataclass
class Member:
    """One run of a stack: a built and compiled Keras model, with the weights that training starts from.

    Attributes:
        model: The model. Its weights and optimizer are read when it joins a stack, and written by
            ``Stack.write_back`` alone.
        seed: Seed of the run's dropout, noise and (with ``shuffle="per_trial"``) order.
        rows: Indices of its rows of the shared training arrays, as for a fold; ``None`` for all.
        validation_rows: Indices of its rows of the shared validation arrays; ``None`` for all.
        class_weight: As in ``model.fit``.
        start: Where training starts from in place of the model, whose weights may not be made yet.
    """

    model: Any
    seed: int
    rows: np.ndarray | None = None
    validation_rows: np.ndarray | None = None
    class_weight: Mapping[int, float] | None = None
    start: Snapshot | None = None


@dataclass
class Data:
    """What all members of a stack train on.

    Attributes:
        x: Array, or list or dict of arrays, of inputs; or a stream of batches, which then holds targets and weights.
        y: Targets, in the structure of the model's outputs.
        sample_weight: Weights of the rows.
        validation: ``(x, y)`` or ``(x, y, sample_weight)``, or a stream of batches. Folds take their validation rows
            from the training arrays: give the same arrays here.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None
    validation: Any = None


@dataclass
class Options:
    """How a stack trains.

    Attributes:
        batch_size: Rows of a batch.
        shuffle: ``"shared"``, one new order each epoch for all members (members with the same ``rows``);
            ``"per_trial"``, each its own; ``None``, the order of the arrays.
        seed: Seed of the shared order.
        validation_batch_size: ``batch_size`` where ``None``.
        xla: Whether programs are compiled by XLA; ``None`` decides by what is measured.
        epochs: Number of epochs to come, as far as known: what compiling must pay off within.
        steps_per_epoch: Batches of an epoch, which goes on where the one before has ended; ``None`` for all rows.
        validation_steps: Batches that are validated on, from the first; ``None`` for all.
    """

    batch_size: int = 32
    shuffle: str | None = "shared"
    seed: int = 0
    validation_batch_size: int | None = None
    xla: bool | None = None
    epochs: int = 1
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
