"""Learning-rate schedules that leave no trace in the saved model."""

from __future__ import annotations

import math
from typing import Any

import keras


class LearningRateSchedule(keras.callbacks.Callback):  # type: ignore[misc]
    """Warms the learning rate up linearly and lets it fall along half a cosine (Loshchilov and Hutter 2017,
    without restarts).

    The schedule spans the epochs 0 to ``epochs`` that ``model.fit`` is given and is read at the middle of
    each batch, so that neither end has the rate 0; at the middle of each epoch where Keras does not know the
    number of batches. Training that goes on at an ``initial_epoch`` enters it there. After training the
    optimizer has its peak rate back, so that a saved model can be trained further.

    Args:
        peak: The highest learning rate.
        warmup: Share of the training that the warm-up takes, in [0, 1).
    """

    def __init__(self, peak: float, warmup: float = 0.0) -> None:
        super().__init__()
        self.peak = peak
        self.warmup = warmup
        self._epoch = 0

    def learning_rate(self, progress: float) -> float:
        """Returns the rate after the share ``progress`` of the training, in [0, 1]."""
        if progress < self.warmup:
            return self.peak * progress / self.warmup
        return self.peak * 0.5 * (1.0 + math.cos(math.pi * (progress - self.warmup) / (1.0 - self.warmup)))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Sets the rate of an epoch whose number of batches is unknown."""
        self._epoch = epoch
        if self.params["steps"] is None:
            self._set(epoch + 0.5)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Sets the rate of a batch."""
        if self.params["steps"] is not None:
            self._set(self._epoch + (batch + 0.5) / self.params["steps"])

    def on_train_end(self, logs: Any = None) -> None:
        """Gives the optimizer its peak rate back."""
        self.model.optimizer.learning_rate = self.peak

    def _set(self, num_epochs_done: float) -> None:
        progress = min(1.0, num_epochs_done / self.params["epochs"])
        self.model.optimizer.learning_rate = self.learning_rate(progress)
