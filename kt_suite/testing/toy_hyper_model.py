"""A hypermodel that trains in no time, and fails when it is told to."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kt_suite.hypermodel import HyperModel


class ToyHyperModel(HyperModel):
    """A linear model of two inputs. Its values say how many epochs it trains, and whether building it fails.

    Example:
        >>> from kt_suite.testing import ToyHyperModel
        >>> x, y = ToyHyperModel.data()
        >>> x.shape, y.shape
        ((16, 2), (16, 1))
    """

    @staticmethod
    def data() -> tuple[np.ndarray, np.ndarray]:
        """Returns 16 inputs of shape ``(16, 2)`` and their sums of shape ``(16, 1)``."""
        x = np.random.default_rng(0).normal(size=(16, 2)).astype("float32")
        return x, x.sum(axis=1, keepdims=True)

    def build(self, hp: Any) -> Any:
        """Builds a linear model, or raises ``ValueError`` where the value of ``fails`` says so."""
        hp.Int("epochs", 1, 10)
        rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
        if hp.Boolean("fails"):
            raise ValueError("failed on purpose")
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model

    def fit_options(self, hp: Any) -> dict[str, Any]:
        return {"epochs": hp.Int("epochs", 1, 10), "batch_size": 8}
