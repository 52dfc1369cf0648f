"""Oracles: each proposes trials by one algorithm."""

from kt_suite.oracles.base import Oracle
from kt_suite.oracles.bayesian import BayesianOptimizationOracle
from kt_suite.oracles.grid import GridSearchOracle
from kt_suite.oracles.hyperband import HyperbandOracle
from kt_suite.oracles.observation import Observation
from kt_suite.oracles.optuna import OptunaOracle
from kt_suite.oracles.pareto import ParetoOracle
from kt_suite.oracles.quasi_random import QuasiRandomOracle
from kt_suite.oracles.random import RandomSearchOracle
from kt_suite.oracles.trial import Trial

__all__ = [
    "BayesianOptimizationOracle",
    "GridSearchOracle",
    "HyperbandOracle",
    "Observation",
    "OptunaOracle",
    "Oracle",
    "ParetoOracle",
    "QuasiRandomOracle",
    "RandomSearchOracle",
    "Trial",
]
