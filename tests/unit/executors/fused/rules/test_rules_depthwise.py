"""Depthwise, separable and transposed convolutions, side by side and alone."""

from __future__ import annotations

import functools
from typing import Any

import keras
import pytest

from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.stack import Stack
from kt_suite.executors.fused.unfusable import Unfusable
from kt_suite.testing import assert_trains_alike

layers = keras.layers
_slow = functools.partial(pytest.param, marks=pytest.mark.slow)
IMAGE, SEQUENCE = (5, 6, 2), (6, 2)


def _end() -> list[Any]:
    return [layers.Flatten(), layers.Dense(1)]


def test_one_of_each_kind(compiled: Any, rows: Any) -> None:
    def middle(width: int) -> list[Any]:
        return [
            layers.DepthwiseConv2D(2, padding="same", depth_multiplier=2, activation="sigmoid"),
            layers.SeparableConv2D(width, 2, depth_multiplier=2, activation="relu"),
            layers.Conv2DTranspose(width + 1, 3, strides=2, padding="same", activation="tanh"),
        ]

    models = [compiled(IMAGE, layers.Conv2D(width, 2), *middle(width + 1), *_end()) for width in (3, 2)]
    assert_trains_alike(models, rows(*IMAGE), rows(1))


@pytest.mark.parametrize(
    "middle",
    [
        _slow(lambda width: layers.DepthwiseConv2D((2, 3), strides=2)),
        pytest.param(
            lambda width: layers.DepthwiseConv2D(2, dilation_rate=2, padding="same", use_bias=False),
            marks=pytest.mark.slow,
        ),
        _slow(lambda width: layers.SeparableConv2D(width, 3, strides=2, padding="same")),
        _slow(lambda width: layers.Conv2DTranspose(width, (2, 4), strides=(3, 1))),
    ],
)
def test_images(compiled: Any, rows: Any, middle: Any) -> None:
    models = [compiled(IMAGE, layers.Conv2D(width, 2), middle(width + 1), *_end()) for width in (3, 2)]
    assert_trains_alike(models, rows(*IMAGE), rows(1))


@pytest.mark.parametrize(
    "middle",
    [
        _slow(lambda width: layers.DepthwiseConv1D(2, strides=2)),
        _slow(lambda width: layers.SeparableConv1D(width, 2, dilation_rate=2)),
        lambda width: layers.Conv1DTranspose(width, 2, strides=2),
    ],
)
def test_sequences(compiled: Any, rows: Any, middle: Any) -> None:
    models = [compiled(SEQUENCE, layers.Conv1D(width, 2), middle(width + 1), *_end()) for width in (3, 2)]
    assert_trains_alike(models, rows(*SEQUENCE), rows(1))


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("taps", [1, 2, 3, 4])
def test_all_strides_and_sizes_of_a_transposed_convolution(
    compiled: Any, rows: Any, taps: int, stride: int, padding: str
) -> None:
    models = [compiled(SEQUENCE, layers.Conv1DTranspose(width, taps, stride, padding), *_end()) for width in (3, 2)]
    assert_trains_alike(models, rows(*SEQUENCE), rows(1), epochs=1)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (lambda: layers.Conv1DTranspose(2, 3, strides=2, output_padding=1), "output_padding: leave it out"),
        (lambda: layers.Conv1DTranspose(2, 3, dilation_rate=2), "is dilated: use dilation_rate=1"),
    ],
)
def test_what_cannot_be_fused_says_why(compiled: Any, rows: Any, layer: Any, reason: str) -> None:
    model = compiled(SEQUENCE, layer(), *_end())
    with pytest.raises(Unfusable, match=reason):
        Stack([Member(model, 0)], Data(rows(*SEQUENCE), rows(1)), Options())
