"""What the tests of rules train, and what layers make in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from kt_suite.executors.fused import backend
from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.stack import Stack


@pytest.fixture(autouse=True)
def _plain(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Double precision; and no tracing but where a test asks for it, for a few batches are over before."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    if "traced" not in request.fixturenames and keras.backend.backend() == "tensorflow":
        monkeypatch.setattr(backend.TensorFlowBackend, "compile", lambda self, function, xla: function)
        monkeypatch.setattr("kt_suite.executors.fused.program._programs", {})
    keras.utils.set_random_seed(7)
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


@pytest.fixture
def traced() -> None:
    """Has programs be compiled."""


@pytest.fixture
def compiled() -> Callable[..., Any]:
    """Returns a function that compiles a model of some layers, each time with another learning rate."""
    rates = iter([0.05, 0.01, 0.1, 0.02] * 9)

    def compiled(shape: tuple[int, ...], *layers: Any) -> Any:
        model = keras.Sequential([keras.Input(shape), *layers])
        model.compile(keras.optimizers.Adam(next(rates)), "mse", metrics=["mae"])
        return model

    return compiled


@pytest.fixture
def rows() -> Callable[..., np.ndarray]:
    """Returns a function that draws seven rows of a shape."""
    return lambda *shape: np.random.default_rng(3).normal(size=(7, *shape))


@pytest.fixture
def in_training() -> Callable[..., np.ndarray]:
    """Returns a function that gives models' outputs in training, ``(members, rows, ...)``, each by its own seed."""

    def in_training(models: list[Any], x: np.ndarray) -> np.ndarray:
        members = [Member(model, seed) for seed, model in enumerate(models)]
        y = np.zeros((len(x), *models[0].output_shape[1:]))
        stack = Stack(members, Data(x, y), Options(batch_size=len(x), shuffle=None, xla=False))
        made = []
        for shard in stack._shards:
            weights, steps = shard.state["weights"], shard.state["steps"]
            signals, _ = stack._program.forward.run(shard.constants, weights, [x[None]], None, steps=steps)
            made.append(np.asarray(signals[0].value))
        return np.concatenate(made)[: len(models)]

    return in_training
