"""Contracts, as tests: what an oracle, an executor, a storage or a hypermodel of anyone's must keep to.

Each contract is a class of pytest tests. A subclass in a test module supplies the fixture that its docstring names, and
has every test run on what the fixture returns. Needs pytest (the extra ``test``).

Example:
    >>> import pytest
    >>> from kt_suite.oracles import RandomSearchOracle
    >>> from kt_suite.testing import OracleContract
    >>> class TestMyOracle(OracleContract):
    ...     @pytest.fixture
    ...     def make_oracle(self):
    ...         return RandomSearchOracle
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kt_suite.testing.executor_contract import ExecutorContract
    from kt_suite.testing.hyper_model_contract import HyperModelContract
    from kt_suite.testing.oracle_contract import OracleContract
    from kt_suite.testing.oracle_session import OracleSession
    from kt_suite.testing.storage_contract import StorageContract
    from kt_suite.testing.toy_hyper_model import ToyHyperModel
    from kt_suite.testing.trains_alike import assert_trains_alike

_HOMES = {
    "ExecutorContract": "executor_contract",
    "HyperModelContract": "hyper_model_contract",
    "OracleContract": "oracle_contract",
    "OracleSession": "oracle_session",
    "StorageContract": "storage_contract",
    "ToyHyperModel": "toy_hyper_model",
    "assert_trains_alike": "trains_alike",
}

__all__ = [
    "ExecutorContract",
    "HyperModelContract",
    "OracleContract",
    "OracleSession",
    "StorageContract",
    "ToyHyperModel",
    "assert_trains_alike",
]

# A failed clause then shows the values that broke it, as in any test module.
pytest.register_assert_rewrite(*(f"{__name__}.{home}" for home in _HOMES.values()))


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
