from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.stats import qmc

import kt_suite as kts
from kt_suite.oracles import quasi_random
from kt_suite.oracles.quasi_random import QuasiRandomOracle, sobol
from kt_suite.testing import OracleContract, OracleSession


class TestContract(OracleContract):
    @pytest.fixture
    def make_oracle(self) -> Any:
        return QuasiRandomOracle
