"""Tiny data and helpers for the tests of the models."""

from __future__ import annotations

import keras_tuner
import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def rows(rng):
    """Forty rows of three columns in unlike units, and three classes that depend on them."""
    x = rng.normal(size=(40, 3)) * [1.0, 100.0, 1e-3] + [0.0, 5000.0, 1.0]
    return x, np.arange(40) % 3


@pytest.fixture
def images(rng):
    return rng.integers(0, 17, size=(24, 8, 8)), np.arange(24) % 4


@pytest.fixture
def space_of():
    """Returns the whole space of a hypermodel: hyperparameter names to their configs, all scopes visited."""

    def space_of(hypermodel):
        oracle = keras_tuner.oracles.RandomSearchOracle(objective="val_loss", max_trials=1)
        hp = oracle.get_space()
        waiting, tried = [[]], []
        while waiting:
            hp.values.update({condition.name: condition.values[0] for condition in waiting.pop()})
            hp.ensure_active_values()
            hypermodel.build(hp)
            oracle.update_space(hp)
            new = [scope for scope in hp.inactive_scopes if scope not in tried]
            tried += new
            waiting += new
            hp = oracle.get_space()
        return oracle.get_space()

    return space_of


@pytest.fixture
def values():
    """Returns hyperparameters with some values set beforehand."""

    def values(**given):
        hp = keras_tuner.HyperParameters()
        hp.values.update(given)
        return hp

    return values
