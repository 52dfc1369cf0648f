"""Layers that compute in half precision train side by side as alone, but for what rounding in it changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.stack import Stack
from kt_suite.executors.fused.unfusable import Unfusable

pytestmark = pytest.mark.usefixtures("without_tracing")

# What one rounding changes at most, relatively.
EPSILON = {"mixed_bfloat16": 2.0**-8, "mixed_float16": 2.0**-11}


@pytest.fixture(autouse=True)
def _single_precision(_double_precision: None) -> Iterator[None]:
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def _again_double_precision(_single_precision: None) -> None:
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")


def classifier(hidden: list[Any], shape: tuple[int, ...], optimizer: Any) -> Any:
    output = layers.Dense(3, activation="softmax", dtype=keras.config.floatx())
    model = keras.Sequential([keras.Input(shape), *hidden, output])
    # Not accuracy: rounding may turn a class that is as good as another.
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["sparse_categorical_crossentropy"])
    return model


@pytest.mark.parametrize("policy", [pytest.param("mixed_bfloat16", marks=pytest.mark.slow), "mixed_float16"])
def test_layers_compute_as_alone_but_for_rounding(assert_equals_fit: Any, rows: Any, policy: str) -> None:
    x, y = rows[0].astype("float32"), rows[1]
    keras.config.set_dtype_policy(policy)

    def build(units: int) -> Any:
        hidden = [
            layers.Dense(units, activation="tanh"),
            layers.BatchNormalization(momentum=0.6),
            layers.Dense(units + 1, activation="gelu"),
            layers.LayerNormalization(),
        ]
        return classifier(hidden, (6,), keras.optimizers.SGD(0.01 * units))

    assert_equals_fit(build, (5, 3), x, y, validation=(x, y), tolerance=4 * EPSILON[policy])


@pytest.mark.slow
@pytest.mark.parametrize("policy", EPSILON)
def test_images_compute_as_alone_but_for_rounding(assert_equals_fit: Any, images: Any, policy: str) -> None:
    x, y = images[0].astype("float32"), images[1]
    keras.config.set_dtype_policy(policy)

    def build(filters: int) -> Any:
        hidden = [
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.AveragePooling2D(2, padding="same"),
            layers.SeparableConv2D(filters, 2),
            layers.Flatten(),
        ]
        return classifier(hidden, (6, 5, 2), keras.optimizers.SGD(0.05))

    assert_equals_fit(build, (5, 3), x, y, validation=(x, y), tolerance=4 * EPSILON[policy])


def test_a_layer_of_half_precision_rounds_as_alone(rows: Any) -> None:
    x, y = rows[0].astype("float32"), rows[1]
    hidden = [layers.Dense(5, activation="tanh", dtype="mixed_bfloat16")]
    model = classifier([*hidden, layers.Dense(4, activation="relu")], (6,), "sgd")
    stack = Stack([Member(model, 0)], Data(x, y, validation=(x, y)), Options(xla=False))
    found, wanted = stack.predict()[0], model.predict(x, verbose=0)
    assert np.isclose(found, wanted, rtol=1e-6).mean() > 0.5  # the few others lie next to where rounding turns
    np.testing.assert_allclose(found, wanted, rtol=EPSILON["mixed_bfloat16"])


@pytest.mark.usefixtures("_again_double_precision")
def test_scaled_losses_skip_steps_with_infinite_gradients(assert_equals_fit: Any, rows: Any) -> None:
    x, y = rows

    def build(spec: tuple[int, float, int]) -> Any:
        units, scale, growth = spec
        inner = keras.optimizers.Nadam(0.01 * units, clipnorm=0.1)
        optimizer = keras.optimizers.LossScaleOptimizer(inner, scale, growth)
        hidden = [layers.Dense(units, activation="tanh"), layers.BatchNormalization(momentum=0.6)]
        return classifier(hidden, (6,), optimizer)

    # The second's scale is soon infinite, which none of its gradients survives; the last one's comes down in time.
    specs = [(5, 1024.0, 2), (4, 2.0**126, 1), (3, 1.0, 2000)]
    assert_equals_fit(build, specs, x, y, batch_size=8, epochs=1)


def test_scales_come_down_for_each_member_alone(rows: Any) -> None:
    x, y = rows[0].astype("float32"), rows[1]
    keras.config.set_dtype_policy("mixed_float16")

    def build(scale: float) -> Any:
        keras.utils.set_random_seed(0)
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), scale)
        return classifier([layers.Dense(4, activation="tanh")], (6,), optimizer)

    scales = (2.0**15, 2.0**20)
    models, alone = [build(scale) for scale in scales], [build(scale) for scale in scales]
    stack = Stack([Member(one, 0) for one in models], Data(x, y), Options(batch_size=4, shuffle=None, xla=False))
    stack.train_epoch()
    skipped = []
    for position, (model, other) in enumerate(zip(models, alone, strict=True)):
        stack.write_back(position)
        other.run_eagerly = True
        other.fit(x, y, batch_size=4, shuffle=False, verbose=0)
        found, wanted = (
            [int(one.optimizer.iterations), float(one.optimizer.dynamic_scale), int(one.optimizer.step_counter)]
            for one in (model, other)
        )
        assert found == wanted
        skipped.append(6 - found[0])
    assert skipped[0] == 0 < skipped[1] < 6


def test_a_schedule_of_steps_that_may_be_skipped_is_refused() -> None:
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.9)
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(schedule))
    model = classifier([], (6,), optimizer)
    with pytest.raises(Unfusable, match="follows steps that loss scaling may skip"):
        Stack([Member(model, 0)], Data(np.ones((3, 6)), np.ones(3)), Options())
