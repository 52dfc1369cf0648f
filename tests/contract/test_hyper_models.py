"""Every hypermodel of kt_suite keeps the contract."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from kt_suite.hypermodel import as_hypermodel
from kt_suite.testing import HyperModelContract, ToyHyperModel, registry

ROWS, IMAGES = "rows", "images"
DATA = {"MLP": ROWS, "CNN": IMAGES}


def test_every_hypermodel_is_under_contract() -> None:
    assert set(registry.hypermodels()) == set(DATA), "say which data the new hypermodel trains on"


class TestReadyHyperModels(HyperModelContract):
    num_points = 1

    @pytest.fixture(params=registry.hypermodels().items(), ids=lambda item: item[0])
    def named(self, request: Any) -> Any:
        return request.param

    @pytest.fixture
    def hypermodel(self, named: Any) -> Any:
        return named[1]()

    @pytest.fixture
    def data(self, named: Any, digits_rows: Any, digits_images: Any) -> Any:
        x, y = {ROWS: digits_rows, IMAGES: digits_images}[DATA[named[0]]]
        return x[:32], y[:32]


@pytest.mark.slow
class TestBuildFunctions(HyperModelContract):
    """A model without an input shape is built when it meets its data."""

    num_points = 1

    @pytest.fixture
    def hypermodel(self) -> Any:
        def build(hp: Any) -> Any:
            model = keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 4), "relu"), keras.layers.Dense(1)])
            model.compile(keras.optimizers.Adam(hp.Float("rate", 1e-3, 1e-1, sampling="log")), "mse")
            return model

        return as_hypermodel(build)

    @pytest.fixture
    def data(self) -> Any:
        return ToyHyperModel.data()
