from __future__ import annotations

import keras
import keras_tuner
import numpy as np
import pytest

from kt_suite.errors import InputError
from kt_suite.models import CNN

TINY = {"filters": (2, 4), "dense_units": (4, 8)}


def kinds(model):
    return [layer.__class__.__name__ for layer in model.layers]


def test_values_shape_the_network(values):
    hp = values(
        num_blocks=2, filters=32, convs_per_block=2, kernel_size=5, downsampling="average", batch_norm=True,
        reduction="global_average", dense_head=True, dense_units=64, dropout=0.25, augmentation=False,
    )  # fmt: skip
    model = CNN((16, 16, 3), 5, task="multiclass").build(hp)
    convolution = ["Conv2D", "BatchNormalization", "Activation"]
    block = [*convolution, *convolution, "AveragePooling2D"]
    head = ["GlobalAveragePooling2D", "Dense", "Dropout", "Dense"]
    assert kinds(model) == ["InputLayer", "Normalization", *block, *block, *head]
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in convolutions] == [32, 32, 64, 64]
    assert {layer.kernel_size for layer in convolutions} == {(5, 5)}
    assert model.layers[-4].input.shape == (None, 4, 4, 64)


def test_strides_halve_the_image_without_pooling(values):
    hp = values(num_blocks=2, downsampling="stride", convs_per_block=2, reduction="flatten", dense_head=False)
    model = CNN((8, 8), 2, task="multiclass", dropout=0.0, **TINY).build(hp)
    assert [layer.strides for layer in model.layers if isinstance(layer, keras.layers.Conv2D)] == [
        (1, 1),
        (2, 2),
    ] * 2
    assert "MaxPooling2D" not in kinds(model)
    assert kinds(model)[-2:] == ["Flatten", "Dense"]


@pytest.mark.parametrize(
    ("side", "given", "expected"),
    [
        (4, None, [1]), (8, None, [1, 2]), (28, None, [1, 2, 3]), (32, None, [1, 2, 3]),
        (64, None, [2, 3, 4]), (224, None, [4, 5, 6]), (8, (1, 5), [1, 2]), (8, (4, 5), [2]),
        (32, [1, 3, 9], [1, 3]), (32, 2, [2]),
    ],
)  # fmt: skip
def test_number_of_blocks_is_limited_by_the_image(side, given, expected):
    assert CNN((side, side + 3), 2, task="multiclass", num_blocks=given).depth_range().choices == expected


def test_filters_double_up_to_their_limit_or_are_tuned_one_by_one(space_of, values):
    def filters(model, hp):
        return [layer.filters for layer in model.build(hp).layers if isinstance(layer, keras.layers.Conv2D)]

    doubling = CNN((64, 64), 2, task="multiclass", max_filters=48, num_blocks=3, convs_per_block=1)
    assert filters(doubling, values(filters=16)) == [16, 32, 48]
    tuned = CNN((64, 64), 2, task="multiclass", doubling=False, num_blocks=(2, 3), convs_per_block=1)
    assert filters(tuned, values(num_blocks=3, filters_0=64, filters_1=16, filters_2=32)) == [64, 16, 32]
    conditions = {one.name: [c.values for c in one.conditions] for one in space_of(tuned).space}
    assert (conditions["filters_0"], conditions["filters_1"], conditions["filters_2"]) == ([], [], [[3]])
    assert "filters" not in conditions


def test_space_has_each_name_once_and_the_head_is_conditional(space_of):
    hp = space_of(CNN((28, 28), 10, task="multiclass"))
    names = [one.name for one in hp.space]
    assert len(names) == len(set(names))
    assert {one.name for one in hp.space if one.conditions} == {
        "dense_units", "learning_rate", "sgd_learning_rate", "momentum", "weight_decay", "warmup_share",
    }  # fmt: skip


def test_images_without_channels_and_with_are_normalised_by_channel(rng, values):
    for shape in ((8, 8), (8, 9, 3)):
        x, y = rng.integers(0, 255, size=(12, *shape)).astype("uint8"), np.arange(12) % 3
        hypermodel = CNN(num_blocks=1, **TINY)
        hypermodel.bind(x, y)
        hp = values()
        model = hypermodel.build(hp)
        model.run_eagerly = True
        hypermodel.fit(hp, model, x, y, epochs=1, verbose=0)
        channels = x.reshape(-1, 3 if len(shape) == 3 else 1)
        np.testing.assert_allclose(model.get_layer("input_scale").get_weights()[0], channels.mean(axis=0), rtol=1e-5)


def test_augmentation_changes_training_only_and_mirrors_only_when_asked(values, images):
    x, _ = images
    hp = values(augmentation=True)
    plain, mirrored = (
        CNN((8, 8), 4, task="multiclass", **TINY),
        CNN((8, 8), 4, task="multiclass", flip="horizontal", **TINY),
    )
    model = plain.build(hp)
    assert kinds(model)[3:6] == ["RandomTranslation", "RandomRotation", "RandomZoom"]
    assert "RandomFlip" in kinds(mirrored.build(values(augmentation=True)))
    assert not any(kind.startswith("Random") for kind in kinds(mirrored.build(values(augmentation=False))))
    upto = keras.Model(model.input, model.layers[5].output)
    np.testing.assert_allclose(upto(x, training=False)[..., 0], x, rtol=1e-6)
    assert not np.allclose(upto(x, training=True)[..., 0], x)


def test_saved_model_with_augmentation_loads_in_plain_keras(values, images, tmp_path):
    x, y = images
    hypermodel = CNN(augmentation=True, batch_norm=True, num_blocks=1, flip="vertical", **TINY)
    hypermodel.bind(x, y)
    hp = values()
    model = hypermodel.build(hp)
    hypermodel.fit(hp, model, x, y, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(x, training=False), model(x, training=False), rtol=1e-5)


def test_large_image_fits(values):
    hp = values()
    model = CNN((224, 224, 3), 10, task="multiclass").build(hp)
    assert model.output_shape == (None, 10)
    assert model.count_params() < 20_000_000


def test_a_block_can_be_replaced_alone(values):
    class Separable(CNN):
        def convolution(self, hp, x, filters, *, strides=1):
            return keras.layers.SeparableConv2D(filters, 3, strides=strides, padding="same", activation="relu")(x)

    model = Separable((8, 8), 2, task="multiclass", **TINY)
    hp = values()
    assert "SeparableConv2D" in kinds(model.build(hp))
    assert not {"kernel_size", "batch_norm"} & {one.name for one in hp.space}


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((64,), "x.reshape"),
        ((4, 8, 8, 1), "height, width"),
        ((3, 32, 32), "moveaxis"),
        ((2, 8), "at least 4 pixels"),
    ],
)
def test_what_is_no_image_is_refused(shape, message):
    with pytest.raises(InputError, match=message):
        CNN(shape)
    with pytest.raises(InputError, match=message):
        CNN().bind(np.zeros((6, *shape)), np.arange(6) % 3)


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_blocks": 0},
        {"filters": "many"},
        {"downsampling": "none"},
        {"reduction": []},
        {"flip": "sideways"},
        {"shift": 1.5},
        {"max_filters": 0},
    ],
)
def test_bad_arguments_are_refused_by_name(arguments):
    with pytest.raises(InputError, match=f"^{next(iter(arguments))} "):
        CNN(**arguments)


def test_default_values_are_a_network_worth_training():
    model = CNN((8, 8), 10, task="multiclass").build(keras_tuner.HyperParameters())
    assert "BatchNormalization" in kinds(model)
    assert not any(kind.startswith("Random") for kind in kinds(model))
