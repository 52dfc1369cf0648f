"""Whether a stack trains as ``model.fit`` does, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import pytest

from kt_suite.executors.fused import backend
from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.stack import Stack

IS_JAX = keras.backend.backend() == "jax"
# On JAX, Keras takes means of double precision in single precision.
TOLERANCE = 1e-6 if IS_JAX else 1e-8


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")  # it is kept from the first layer of the process on
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


@pytest.fixture
def without_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few batches are trained faster than a program for them is traced; not so on JAX, which compiles anyway."""
    monkeypatch.setattr(backend.TensorFlowBackend, "compile", lambda self, function, xla: function)
    monkeypatch.setattr("kt_suite.executors.fused.program._programs", {})


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Returns inputs, ``(22, 6)``, and classes."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(22, 6)), rng.integers(0, 3, 22)


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    """Returns inputs, ``(14, 6, 5, 2)``, and classes."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(14, 6, 5, 2)), rng.integers(0, 3, 14)


@pytest.fixture
def assert_equals_fit() -> Callable[..., None]:
    """Returns a function that trains models side by side and alone, and compares logs, weights and optimizers."""

    def assert_equals_fit(
        build: Callable[[Any], Any],
        specs: Sequence[Any],
        x: Any,
        y: Any,
        *,
        validation: Any = None,
        sample_weight: Any = None,
        class_weights: Sequence[Any] | None = None,
        folds: Sequence[tuple[np.ndarray, np.ndarray]] | None = None,
        epochs: int = 2,
        batch_size: int = 12,
        xla: bool = False,
        tolerance: float = TOLERANCE,
    ) -> None:
        keras.utils.set_random_seed(0)
        models = [build(spec) for spec in specs]
        class_weights = class_weights or [None] * len(models)
        everyone = [(slice(None), None)] * len(models) if folds is None else folds
        members = [
            Member(model, seed, None if folds is None else folds[seed][0], everyone[seed][1], own)
            for seed, (model, own) in enumerate(zip(models, class_weights, strict=True))
        ]
        options = Options(batch_size=batch_size, shuffle=None, xla=xla, epochs=epochs)
        stack = Stack(members, Data(x, y, sample_weight, validation), options)
        last = epochs - 1 if validation is not None else None
        logs = [stack.train_epoch(validate=epoch == last) for epoch in range(epochs)]
        weights = [stack.weights(position) for position in range(len(models))]
        for position, (model, own) in enumerate(zip(models, class_weights, strict=True)):
            model.run_eagerly = not IS_JAX
            trained, tested = everyone[position]
            history = model.fit(
                keras.tree.map_structure(lambda array: array[trained], x),  # noqa: B023 - called at once
                keras.tree.map_structure(lambda array: array[trained], y),  # noqa: B023
                sample_weight=None if sample_weight is None else sample_weight[trained],
                class_weight=own,
                validation_data=validation if tested is None else tuple(part[tested] for part in validation),
                validation_freq=epochs,
                epochs=epochs,
                batch_size=batch_size,
                shuffle=False,
                verbose=0,
            ).history
            for name, wanted in history.items():
                found = [epoch[position][name] for epoch in logs if name in epoch[position]]
                np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, err_msg=name)
            for found, wanted in zip(weights[position], model.get_weights(), strict=True):
                np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
            expected = [backend.to_numpy(variable) for variable in model.optimizer.variables]
            stack.write_back(position)
            for variable, wanted in zip(model.optimizer.variables, expected, strict=True):
                found = backend.to_numpy(variable)
                np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, err_msg=variable.path)

    return assert_equals_fit
