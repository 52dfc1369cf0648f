"""Whether models trained side by side come out as ``model.fit`` trains each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def assert_trains_alike(
    models: Sequence[Any],
    x: Any,
    y: Any,
    *,
    epochs: int = 2,
    batch_size: int = 4,
    tolerance: float = 1e-8,
    xla: bool = False,
) -> None:
    """Trains models in one stack, and each by ``model.fit``; their logs, weights and predictions must be equal.

    What is random in training must be off. Double precision, ``keras.config.set_floatx("float64")``, tells an error
    from rounding.

    Args:
        models: Built and compiled, of one group.
        x: Inputs, for training and for validation.
        y: Targets.
        epochs: How long to train.
        batch_size: Rows of a batch; let it not divide their number, to have a partial batch too.
        tolerance: Largest relative difference.
        xla: Whether XLA compiles the stack's program.

    Raises:
        AssertionError: They differ.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from kt_suite.testing import assert_trains_alike
        >>> def build(units):
        ...     model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, "relu"), keras.layers.Dense(1)])
        ...     model.compile("adam", "mse")
        ...     return model
        >>> x = np.random.default_rng(0).normal(size=(10, 3))
        >>> assert_trains_alike([build(4), build(6)], x, x[:, :1], tolerance=1e-4)
    """
    import keras

    from kt_suite.executors.fused.member import Data, Member, Options
    from kt_suite.executors.fused.stack import Stack

    members = [Member(model, seed) for seed, model in enumerate(models)]
    options = Options(batch_size=batch_size, shuffle=None, xla=xla, epochs=epochs)
    stack = Stack(members, Data(x, y, validation=(x, y)), options)
    logs = [stack.train_epoch(validate=epoch + 1 == epochs) for epoch in range(epochs)]
    weights = [stack.weights(position) for position in range(len(models))]
    predictions = stack.predict()
    for position, model in enumerate(models):
        # On TensorFlow, three epochs of a few rows are over before a function were traced.
        model.run_eagerly = keras.backend.backend() == "tensorflow"
        arguments = {"epochs": epochs, "batch_size": batch_size, "validation_data": (x, y), "validation_freq": epochs}
        history = model.fit(x, y, shuffle=False, verbose=0, **arguments).history
        for name, values in history.items():
            found = [epoch[position][name] for epoch in logs if name in epoch[position]]
            _assert_close(found, values, tolerance, f"{name} of model {position}")
        for variable, own, wanted in zip(model.weights, weights[position], model.get_weights(), strict=True):
            _assert_close(own, wanted, tolerance, f"{variable.path} of model {position}")
        predicted = model.predict(x, batch_size=batch_size, verbose=0)
        _assert_close(predictions[position], predicted, tolerance, f"prediction of model {position}")


def _assert_close(found: Any, wanted: Any, tolerance: float, what: str) -> None:
    if isinstance(wanted, list | tuple) and any(isinstance(part, np.ndarray) for part in wanted):
        for one, other in zip(found, wanted, strict=True):
            _assert_close(one, other, tolerance, what)
        return
    found, wanted = np.asarray(found, "float64"), np.asarray(wanted, "float64")
    np.testing.assert_allclose(
        found, wanted, rtol=tolerance, atol=tolerance * max(1.0, float(np.abs(wanted).max(initial=0.0))), err_msg=what
    )
