"""Augmentation: each member's own draws, distributed as Keras' are."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

layers = keras.layers
IMAGE = np.random.default_rng(0).uniform(size=(1, 4, 5, 3))
BATCH = np.repeat(IMAGE, 300, axis=0).astype("float32")

KINDS = {
    "flip": lambda: layers.RandomFlip(),
    "rotation": lambda: layers.RandomRotation(0.2),
    "translation": lambda: layers.RandomTranslation(0.3, 0.2),
    "zoom": lambda: layers.RandomZoom(0.3),
    "shear": lambda: layers.RandomShear(0.4, 0.3),
    "perspective": lambda: layers.RandomPerspective(0.8, 0.5),
    "erasing": lambda: layers.RandomErasing((0.9, 1.0), scale=(0.4, 0.8), value_range=(0, 1)),
    "contrast": lambda: layers.RandomContrast(0.5, value_range=(0, 1)),
    "brightness": lambda: layers.RandomBrightness(0.4, value_range=(0, 1)),
    "color_degeneration": lambda: layers.RandomColorDegeneration(0.7, value_range=(0, 1)),
    "grayscale": lambda: layers.RandomGrayscale(0.5),
    "hue": lambda: layers.RandomHue(0.5, value_range=(0, 1)),
    "invert": lambda: layers.RandomInvert(0.7, value_range=(0, 1)),
    "saturation": lambda: layers.RandomSaturation(0.4, value_range=(0, 1)),
    "sharpness": lambda: layers.RandomSharpness(0.6, value_range=(0, 1)),
}


@pytest.fixture(autouse=True)
def _single_precision(_plain: None) -> None:
    """Keras turns images in single precision alone."""
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def _model(layer: Any) -> Any:
    # The identity after the layer gives the model something to train.
    last = layers.Conv2D(3, 1, use_bias=False)
    model = keras.Sequential([keras.Input(IMAGE.shape[1:]), layer, last])
    last.set_weights([np.eye(3)[None, None]])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in ("flip", "rotation") else pytest.mark.slow) for kind in KINDS]
)
def test_images_have_the_mean_and_spread_of_keras(in_training: Any, kind: str) -> None:
    model = _model(KINDS[kind]())
    first, second = in_training([model, model], BATCH)
    wanted = np.asarray(model(BATCH, training=True))
    assert not np.array_equal(first, second)
    assert len(np.unique(first.reshape(len(BATCH), -1), axis=0)) > 1
    for found in (first, second):
        np.testing.assert_allclose(found.mean(0), wanted.mean(0), atol=7 * (wanted.std(0).max() + 0.01) / 300**0.5)
        np.testing.assert_allclose(found.std(0), wanted.std(0), atol=0.3 * wanted.std(0).max() + 0.01)


def test_each_member_has_a_strength_of_its_own(in_training: Any) -> None:
    models = [_model(layers.RandomBrightness(strength, value_range=(-9, 9))) for strength in (0.01, 0.1)]
    weak, strong = in_training(models, BATCH)
    np.testing.assert_allclose((weak - BATCH).std() * 10, (strong - BATCH).std(), rtol=0.15)


def test_images_stay_as_they_are_out_of_training() -> None:
    from kt_suite.executors.fused.member import Data, Member, Options
    from kt_suite.executors.fused.stack import Stack

    model, x = _model(layers.RandomFlip()), BATCH[:5]
    stack = Stack([Member(model, 0)], Data(x, x, validation=(x, x)), Options(batch_size=4, xla=False))
    np.testing.assert_allclose(stack.predict()[0], x, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
def test_a_program_with_augmentation_compiles_but_not_by_xla() -> None:
    from kt_suite.executors.fused.member import Data, Member, Options
    from kt_suite.executors.fused.stack import Stack

    model, x = _model(layers.RandomRotation(0.1)), BATCH[:5]
    stack = Stack([Member(model, 0), Member(model, 1)], Data(x, x), Options(batch_size=4, epochs=10**9))
    assert not stack._program.xla
    assert all(np.isfinite(logs["loss"]) for logs in stack.train_epoch())
