from __future__ import annotations

import keras
import keras_tuner
import numpy as np
import pytest

from kt_suite.errors import InputError
from kt_suite.models import MLP


def test_values_shape_the_network(values):
    hp = values(num_layers=2, units_0=64, units_1=32, activation="tanh", batch_norm=True, dropout=0.25, l2=1e-3)
    layers = MLP((3,), 5, task="multiclass").build(hp).layers
    assert [layer.__class__.__name__ for layer in layers] == [
        "InputLayer", "Normalization",
        "Dense", "BatchNormalization", "Activation", "Dropout",
        "Dense", "BatchNormalization", "Activation", "Dropout",
        "Dense",
    ]  # fmt: skip
    first, last = layers[2], layers[-1]
    assert (first.units, first.use_bias, last.units) == (64, False, 5)
    assert float(first.kernel_regularizer.l2) == pytest.approx(1e-3)
    assert layers[4].activation is keras.activations.tanh
    assert layers[5].rate == 0.25


def test_what_is_switched_off_is_not_in_the_network(values):
    layers = MLP((3,), 1, task="regression", num_layers=1, batch_norm=False, dropout=0.0, l2=0.0).build(values()).layers
    kinds = {layer.__class__.__name__ for layer in layers}
    assert not kinds & {"BatchNormalization", "Dropout"}
    assert layers[2].kernel_regularizer is None
    assert layers[2].use_bias


def test_images_are_flattened(rng):
    x, y = rng.random((8, 4, 5)), np.arange(8) % 2
    hypermodel = MLP()
    hypermodel.bind(x, y)
    hp = keras_tuner.HyperParameters()
    model = hypermodel.build(hp)
    hypermodel.fit(hp, model, x, y, epochs=1, verbose=0)
    means = model.get_layer("input_scale").get_weights()[0]
    np.testing.assert_allclose(means, x.reshape(8, -1).mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [{"num_layers": 0}, {"units": (0, 8)}, {"dropout": 1.0}, {"l2": (0.0, 1.0)}, {"activation": "reluu"}],
)
def test_bad_ranges_are_refused_by_name(arguments):
    with pytest.raises(InputError, match=f"^{next(iter(arguments))} "):
        MLP(**arguments)
