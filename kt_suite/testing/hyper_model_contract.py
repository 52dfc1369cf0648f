# ruff: noqa: S101 - these are tests
"""The contract of hypermodels."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kt_suite.discovery import discover
from kt_suite.executors.training import CHECKPOINT, fresh_keras, load_weights, save_weights
from kt_suite.hypermodel import fit_options
from kt_suite.hyperparameters import HyperParameters, describe
from kt_suite.oracles import RandomSearchOracle
from kt_suite.space import Space
from kt_suite.testing.contract import Contract

Data = tuple[Any, Any]


class HyperModelContract(Contract):
    """What a ``HyperModel`` must keep to: any point of its space is a compiled model that trains and can be stored.

    A subclass supplies the fixtures ``hypermodel``, a ``keras_tuner.HyperModel``, and ``data``: inputs and targets that
    it can be trained on, few of them.

    Attributes:
        num_points: Random points of the space that are tried.
    """

    num_points = 3

    @pytest.fixture
    def bound(self, hypermodel: Any, data: Data) -> Any:
        """The hypermodel, once it has seen the data."""
        if hasattr(hypermodel, "bind"):
            hypermodel.bind(*data)
        return hypermodel

    @pytest.fixture
    def points(self, bound: Any) -> list[dict[str, Any]]:
        """Random points of the space, preceded by that of the defaults."""
        space = _space(bound)
        rng = np.random.default_rng(0)
        return [space.defaults(), *(space.sample(rng) for _ in range(self.num_points))]

    def test_it_has_a_space(self, bound: Any) -> None:
        """Building asks for at least one hyperparameter that can be tuned."""
        assert len(_space(bound)) >= 1

    def test_building_twice_declares_the_same_space(self, bound: Any) -> None:
        """The space is the same whenever it is asked for."""
        first, second = ([describe(hp) for hp in _space(bound).hyperparameters] for _ in range(2))
        assert first == second

    def test_every_point_is_a_compiled_model_that_trains(
        self, bound: Any, data: Data, points: list[dict[str, Any]]
    ) -> None:
        """Every point builds a compiled model, and an epoch of training gives finite metrics."""
        for values in points:
            hp, model = _build(bound, values)
            assert isinstance(model, keras.Model)
            assert model.compiled
            metrics = _train(bound, hp, model, data)
            assert metrics, values
            assert all(map(math.isfinite, metrics.values())), values

    def test_the_options_of_fit_are_known_to_fit(self, bound: Any, points: list[dict[str, Any]]) -> None:
        """What ``fit_options`` returns are arguments of ``keras.Model.fit``."""
        known = set(inspect.signature(keras.Model.fit).parameters)
        for values in points:
            hp, _ = _build(bound, values)
            assert set(fit_options(bound, hp)) <= known

    def test_one_seed_gives_one_training(self, bound: Any, data: Data, points: list[dict[str, Any]]) -> None:
        """The same point and seed give the same metrics."""
        first, second = (_train(bound, *_build(bound, points[1]), data) for _ in range(2))
        assert first == pytest.approx(second, rel=1e-5)

    def test_weights_of_one_build_load_into_another(
        self, bound: Any, data: Data, points: list[dict[str, Any]], tmp_path: Path
    ) -> None:
        """Weights that one build has saved give another build of the same point the same predictions."""
        hp, model = _build(bound, points[-1])
        _train(bound, hp, model, data)
        save_weights(model, None, tmp_path)
        _, again = _build(bound, points[-1], seed=1)
        if not again.built:
            again.build_from_config(model.get_build_config())
        load_weights(again, tmp_path / CHECKPOINT)
        expected = model.predict(data[0], verbose=0)
        np.testing.assert_allclose(again.predict(data[0], verbose=0), expected, rtol=1e-5, atol=1e-6)


def _space(hypermodel: Any) -> Space:
    oracle = RandomSearchOracle(objective="loss", seed=0)
    discover(oracle, hypermodel.build)
    return oracle.space()


def _build(hypermodel: Any, values: dict[str, Any], seed: int = 0) -> tuple[HyperParameters, Any]:
    """Returns the hyperparameters at ``values``, and the model built from them."""
    fresh_keras(seed)
    hp = HyperParameters()
    hp.values = dict(values)
    return hp, hypermodel.build(hp)


def _train(hypermodel: Any, hp: Any, model: Any, data: Data) -> dict[str, float]:
    """Trains for an epoch; returns the metrics of its end."""
    history = hypermodel.fit(hp, model, *data, epochs=1, verbose=0)
    return {name: float(values[-1]) for name, values in history.history.items()}
