"""Tuners by name: a hypermodel, an oracle and the loop, in one call."""

from kt_suite.tuner import Tuner
from kt_suite.tuners.bayesian_optimization import BayesianOptimization
from kt_suite.tuners.grid_search import GridSearch
from kt_suite.tuners.hyperband import Hyperband
from kt_suite.tuners.quasi_random_search import QuasiRandomSearch
from kt_suite.tuners.random_search import RandomSearch
from kt_suite.tuners.sklearn_tuner import SklearnTuner
from kt_suite.tuners.tpe_search import TPESearch

__all__ = [
    "BayesianOptimization",
    "GridSearch",
    "Hyperband",
    "QuasiRandomSearch",
    "RandomSearch",
    "SklearnTuner",
    "TPESearch",
    "Tuner",
]
