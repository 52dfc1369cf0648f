"""Every oracle of kt_suite keeps the contract; KerasTuner's do but for what is stated here."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import keras_tuner
import pytest

from kt_suite.testing import OracleContract, registry

# Where KerasTuner 1.4.8 breaks a clause: file and line of the cause.
COMMON = {
    "test_zero_is_a_seed": "`seed or random.randint` draws a seed when it is given 0 (oracle.py:351)",
    "test_a_score_that_is_no_number_fails_its_trial[inf]": "only NaN is invalid (oracle.py:577)",
    "test_a_score_that_is_no_number_fails_its_trial[-inf]": "only NaN is invalid (oracle.py:577)",
    "test_a_trial_can_be_ended_by_keyword": "synchronized() looks at args[1] (oracle.py:94)",
}


def makes(kind: Any, **options: Any) -> Any:
    """Returns a function that makes an oracle, and drops the arguments that this kind does not take."""
    known = inspect.signature(kind).parameters

    def make(**settings: Any) -> Any:
        return kind(**{name: value for name, value in {**settings, **options}.items() if name in known})

    return make


class TestOurOracles(OracleContract):
    @pytest.fixture(params=registry.oracles().values(), ids=registry.oracles().keys())
    def make_oracle(self, request: Any) -> Any:
        return makes(request.param)


class TestKerasTunersRandomSearch(OracleContract):
    exceptions = COMMON

    @pytest.fixture
    def make_oracle(self) -> Any:
        return makes(keras_tuner.oracles.RandomSearchOracle)


class TestKerasTunersGridSearch(OracleContract):
    exceptions: ClassVar = {
        **COMMON,
        "test_failed_trials_survive_and_are_never_best": "its own walk of the grid does not get past failures",
        "test_a_stored_search_goes_on_as_if_never_interrupted": "its queue is not saved (gridsearch.py:151)",
        "test_it_runs_in_a_plain_keras_tuner": "its queue is not saved (gridsearch.py:151)",
    }

    @pytest.fixture
    def make_oracle(self) -> Any:
        return makes(keras_tuner.oracles.GridSearchOracle)


class TestKerasTunersBayesianOptimization(OracleContract):
    exceptions = COMMON

    @pytest.fixture
    def make_oracle(self) -> Any:
        return makes(keras_tuner.oracles.BayesianOptimizationOracle)


class TestKerasTunersHyperband(OracleContract):
    exceptions = COMMON

    @pytest.fixture
    def make_oracle(self) -> Any:
        return makes(keras_tuner.oracles.HyperbandOracle, max_epochs=9)
