from __future__ import annotations

import keras
import numpy as np
import pytest

from kt_suite.models.normalization import Moments, num_columns, set_moments


def test_moments_over_batches_equal_those_of_all_rows(rng):
    x = rng.normal(size=(50, 3)) * [1, 1e-3, 1e4] + [0, 10, -3]
    moments = Moments(3)
    for batch in np.split(x, [7, 8, 30]):
        moments.add(batch)
    mean, variance = moments.result()
    np.testing.assert_allclose(mean, x.mean(axis=0))
    np.testing.assert_allclose(variance, x.var(axis=0), rtol=1e-9)
    assert moments.count == 50


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 + 0.1, -7])
def test_constant_column_becomes_zeros_and_other_rows_stay_finite(value):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Normalization()])
    moments = Moments(1)
    moments.add(np.full((9, 1), value))
    set_moments(model, model.layers[0], *moments.result())
    out = model.predict(np.array([[value], [value + 1]]), verbose=0)
    np.testing.assert_allclose(out, [[0], [1]], atol=0.07)


def test_setting_moments_reaches_a_model_that_has_predicted_before():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Normalization()])
    x = np.array([[3.0, 3.0]])
    assert model.predict(x, verbose=0).tolist() == [[3, 3]]
    set_moments(model, model.layers[0], [1.0, 3.0], [4.0, 1.0])
    assert model.predict(x, verbose=0).tolist() == [[1, 0]]


def test_columns_of_flat_rows_and_channels_of_images_are_counted():
    rows, images = keras.layers.Normalization(), keras.layers.Normalization()
    rows.build((None, 5))
    images.build((None, 8, 8, 3))
    assert (num_columns(rows), num_columns(images)) == (5, 3)
