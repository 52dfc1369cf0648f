"""Layers and operations without a rule: vectorised where that is the same, refused with a reason where it is not."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.rules import Rule, register_rule
from kt_suite.executors.fused.stack import Stack
from kt_suite.executors.fused.unfusable import Unfusable
from kt_suite.testing import assert_trains_alike

layers = keras.layers


class Quadratic(layers.Layer):  # type: ignore[misc, name-defined]
    """Squares what a layer inside makes, and scales it."""

    def __init__(self, power: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.power = power
        self.inside = layers.Dense(3)

    def build(self, shape: Any) -> None:
        self.inside.build(shape)
        self.scale = self.add_weight(shape=(3,), initializer="ones", name="scale")

    def call(self, x: Any) -> Any:
        return self.scale * ops.abs(self.inside(x)) ** self.power


class Centred(layers.Layer):  # type: ignore[misc, name-defined]
    """Lets rows meet."""

    def call(self, x: Any) -> Any:
        return x - ops.mean(x, axis=0, keepdims=True)


class Penalised(layers.Layer):  # type: ignore[misc, name-defined]
    """Adds a loss."""

    def call(self, x: Any) -> Any:
        self.add_loss(ops.mean(x))
        return x


class Noisy(layers.Layer):  # type: ignore[misc, name-defined]
    """Draws numbers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, x: Any) -> Any:
        return x + keras.random.normal(ops.shape(x), seed=self.seeds)


class Scaled(layers.Layer):  # type: ignore[misc, name-defined]
    """Scales by a number."""

    def __init__(self, factor: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x: Any) -> Any:
        return self.factor * x


@register_rule(Scaled)
class ScaledRule(Rule):
    """Each member's own factor."""

    lifted = ("factor",)

    def numbers(self, step: Any) -> dict[str, float]:
        return {"factor": step.layer.factor}

    def call(self, context: Any, step: Any, *inputs: Any) -> Any:
        return inputs[0].value * context.number("factor", inputs[0].value)


def test_a_layer_of_anyones_trains_as_alone(compiled: Any, rows: Any) -> None:
    models = [compiled((4,), layers.Dense(3), Quadratic(), layers.Dense(1)) for _ in range(2)]
    assert_trains_alike(models, rows(4), rows(1))


def test_operations_of_a_functional_graph(rows: Any) -> None:
    def build(rate: float) -> Any:
        inputs = keras.Input((4, 3))
        hidden = ops.mean(layers.Dense(2)(inputs), axis=1)
        model = keras.Model(inputs, layers.Dense(1)(ops.flip(hidden, axis=-1)))
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model

    assert_trains_alike([build(0.1), build(0.01)], rows(4, 3), rows(1))


def test_a_rule_of_anyones_lifts_numbers_and_widths(compiled: Any, rows: Any) -> None:
    models = [compiled((4,), layers.Dense(width), Scaled(width / 3), layers.Dense(1)) for width in (4, 2)]
    assert_trains_alike(models, rows(4), rows(1))


def test_a_rule_without_a_call_is_refused_where_it_is_registered() -> None:
    class Empty(Rule):
        pass

    with pytest.raises(TypeError, match="call"):
        register_rule(Quadratic)(Empty)


def test_what_a_layer_keeps_in_its_attributes_tells_groups_apart(compiled: Any, rows: Any) -> None:
    models = [compiled((4,), Quadratic(power), layers.Dense(1)) for power in (2.0, 3.0)]
    models[1].layers[0].get_config = models[0].layers[0].get_config
    with pytest.raises(Unfusable, match="differ"):
        Stack([Member(model, 0) for model in models], Data(rows(4), rows(1)), Options())


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (Centred, "its rows depend on one another"),
        (Penalised, "adds losses of its own"),
        (Noisy, "draws random numbers"),
    ],
)
def test_what_cannot_be_trusted_says_why(compiled: Any, rows: Any, layer: Any, reason: str) -> None:
    model = compiled((4,), layer(), layers.Dense(1))
    with pytest.raises(Unfusable, match=f"has no rule, and {reason}"):
        Stack([Member(model, 0)], Data(rows(4), rows(1)), Options())


class Unvectorised(layers.Layer):  # type: ignore[misc, name-defined]
    """Leaves what compiles."""

    def compute_output_shape(self, shape: Any) -> Any:
        return shape

    def call(self, x: Any) -> Any:
        return ops.convert_to_tensor(np.asarray(ops.convert_to_numpy(x))) if not isinstance(x, keras.KerasTensor) else x


def test_a_call_that_does_not_vectorise_says_so(rows: Any) -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(1)(Unvectorised()(inputs)))
    model.compile("sgd", "mse")
    with pytest.raises(Unfusable, match="does not vectorise"):
        Stack([Member(model, 0)], Data(rows(4), rows(1)), Options())
