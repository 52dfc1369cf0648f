"""Oracles: each proposes trials by one algorithm. Ours where kt_suite has its own, else KerasTuner's."""

from keras_tuner.oracles import BayesianOptimizationOracle

from kt_suite.oracles.base import Oracle
from kt_suite.oracles.grid import GridSearchOracle
from kt_suite.oracles.hyperband import HyperbandOracle
from kt_suite.oracles.observation import Observation
from kt_suite.oracles.random import RandomSearchOracle
from kt_suite.oracles.trial import Trial

__all__ = [
    "BayesianOptimizationOracle",
    "GridSearchOracle",
    "HyperbandOracle",
    "Observation",
    "Oracle",
    "RandomSearchOracle",
    "Trial",
]
