"""Random small architectures: whatever is stacked, each member trains as ``model.fit`` trains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from keras import layers

pytestmark = pytest.mark.usefixtures("without_tracing")

ROWS = 13
SHAPES = {"rows": (6,), "images": (6, 5, 2), "times": (4, 3)}
ANY_SHAPE = ("dense", "batch_normalization", "layer_normalization", "activation", "prelu", "dropout", "unit")
BLOCKS = {
    "rows": (*ANY_SHAPE, "skip", "gate", "concatenate"),
    "images": (*ANY_SHAPE, "conv", "conv_same", "depthwise", "separable", "max", "average", "pad", "group"),
    "times": (*ANY_SHAPE, "conv_1d", "max_1d", "attention", "rnn", "skip"),
}
ENDS = {"rows": ("none",), "images": ("flatten", "mean", "max"), "times": ("flatten", "mean", "gru", "both_ways")}
ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", "softplus", "elu", "silu")
OPTIMIZERS = {
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.5, nesterov=True),
    "adam": keras.optimizers.Adam,
    "adamw": lambda rate: keras.optimizers.AdamW(rate, weight_decay=rate, global_clipnorm=0.1 + rate),
    "rmsprop": lambda rate: keras.optimizers.RMSprop(rate, epsilon=1e-4),
    "adagrad": keras.optimizers.Adagrad,
    "nadam": keras.optimizers.Nadam,
}
LOSSES = {
    "classes": ("sparse_categorical_crossentropy", "softmax", ["accuracy"]),
    "one_hot": ("categorical_crossentropy", "softmax", ["mae"]),
    "numbers": ("mse", None, ["mae"]),
    "bounded": ("huber", "tanh", []),
}


@dataclass
class Member:
    """What may differ: a width and an activation a block, learning rate and penalty."""

    widths: list[int]
    activations: list[str]
    rate: float
    penalty: float


@dataclass
class Case:
    """An architecture, and what its members make of it."""

    kind: str
    blocks: list[str]
    end: str
    optimizer: str
    loss: str
    weighting: str
    members: list[Member]


@st.composite
def cases(draw: Any, kinds: tuple[str, ...], most_blocks: int) -> Case:
    kind = draw(st.sampled_from(kinds))
    blocks = draw(st.lists(st.sampled_from(BLOCKS[kind]), min_size=1, max_size=most_blocks))
    count = len(blocks)
    member = st.builds(
        Member,
        widths=st.lists(st.integers(2, 5), min_size=count, max_size=count),
        activations=st.lists(st.sampled_from(ACTIVATIONS), min_size=count, max_size=count),
        rate=st.sampled_from([0.003, 0.01, 0.03]),
        penalty=st.sampled_from([0.0, 0.0, 0.01]),
    )
    return Case(
        kind,
        blocks,
        draw(st.sampled_from(ENDS[kind])),
        draw(st.sampled_from(sorted(OPTIMIZERS))),
        draw(st.sampled_from(sorted(LOSSES))),
        draw(st.sampled_from(["none", "none", "rows"])),
        draw(st.lists(member, min_size=2, max_size=3)),
    )


def block(name: str, x: Any, width: int, activation: str, penalty: Any) -> Any:
    """Returns what one block makes of ``x``."""
    options = {"activation": activation, "kernel_regularizer": penalty}
    simple = {
        "dense": lambda: layers.Dense(width, **options),
        "batch_normalization": lambda: layers.BatchNormalization(momentum=0.5 + width / 20),
        "layer_normalization": lambda: layers.LayerNormalization(epsilon=width / 100),
        "activation": lambda: layers.Activation(activation),
        "prelu": lambda: layers.PReLU("ones"),
        "dropout": lambda: layers.Dropout(0.0),
        "unit": lambda: layers.Rescaling(0.5, offset=0.25),
        "conv": lambda: layers.Conv2D(width, 2, **options),
        "conv_same": lambda: layers.Conv2D(width, 3, strides=(1, 2), padding="same", **options),
        "depthwise": lambda: layers.DepthwiseConv2D(2, padding="same", activation=activation),
        "separable": lambda: layers.SeparableConv2D(width, 2, padding="same", activation=activation),
        "max": lambda: layers.MaxPooling2D(2, strides=1, padding="same"),
        "average": lambda: layers.AveragePooling2D(2, strides=1, padding="same"),
        "pad": lambda: layers.ZeroPadding2D(1),
        "group": lambda: layers.GroupNormalization(1),
        "conv_1d": lambda: layers.Conv1D(width, 2, padding="causal", **options),
        "max_1d": lambda: layers.MaxPooling1D(2, strides=1, padding="same"),
        "rnn": lambda: layers.SimpleRNN(width, activation="tanh", return_sequences=True),
    }
    if name in simple:
        return simple[name]()(x)
    if name == "attention":
        return layers.MultiHeadAttention(2, 2)(x, x)
    left, right = layers.Dense(width, activation)(x), layers.Dense(width)(x)
    if name == "gate":
        return layers.Multiply()([left, layers.Dense(1, "sigmoid")(x)])
    return layers.Add()([left, right]) if name == "skip" else layers.Concatenate()([left, x, right])


def build(case: Case, member: Member) -> Any:
    inputs = keras.Input(SHAPES[case.kind])
    x = inputs
    penalty = keras.regularizers.L2(member.penalty) if member.penalty else None
    for name, width, activation in zip(case.blocks, member.widths, member.activations, strict=True):
        if case.kind == "images" and "conv" in name and x.shape[2] < 2:
            continue
        x = block(name, x, width, activation, penalty)
    ends = {
        "flatten": layers.Flatten,
        "mean": layers.GlobalAveragePooling1D if case.kind == "times" else layers.GlobalAveragePooling2D,
        "max": layers.GlobalMaxPooling2D,
        "gru": lambda: layers.GRU(member.widths[0]),
        "both_ways": lambda: layers.Bidirectional(layers.LSTM(member.widths[0])),
    }
    x = ends[case.end]()(x) if case.end != "none" else x
    loss, activation, metrics = LOSSES[case.loss]
    model = keras.Model(inputs, layers.Dense(3, activation=activation)(x))
    model.compile(OPTIMIZERS[case.optimizer](member.rate), loss, metrics=metrics)
    return model


def check(assert_equals_fit: Any, case: Case) -> None:
    rng = np.random.default_rng(len(case.blocks))
    x, classes = rng.normal(size=(ROWS, *SHAPES[case.kind])), rng.integers(0, 3, ROWS)
    numbers = rng.normal(size=(ROWS, 3))
    y = {"classes": classes, "one_hot": np.eye(3)[classes], "numbers": numbers, "bounded": numbers}[case.loss]
    weights = np.linspace(0.5, 2.0, ROWS) if case.weighting == "rows" else None
    assert_equals_fit(
        lambda member: build(case, member),
        case.members,
        x,
        y,
        sample_weight=weights,
        validation=(x[:7], y[:7]),
        batch_size=5,
    )


PLAN = settings(
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # cases are small as they are
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.slow
@settings(PLAN, max_examples=3)
@given(case=cases(("rows", "images"), 2))
def test_small_random_networks(assert_equals_fit: Any, case: Case) -> None:
    check(assert_equals_fit, case)


@pytest.mark.slow
@settings(PLAN, max_examples=12)
@given(case=cases(("rows", "images"), 4))
def test_random_networks(assert_equals_fit: Any, case: Case) -> None:
    check(assert_equals_fit, case)


@pytest.mark.slow
@settings(PLAN, max_examples=6)
@given(case=cases(("times",), 2))
def test_random_networks_over_times(assert_equals_fit: Any, case: Case) -> None:
    check(assert_equals_fit, case)
