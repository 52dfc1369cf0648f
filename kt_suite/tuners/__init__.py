"""Tuners by name: a hypermodel, an oracle and the loop, in one call."""

from keras_tuner import BayesianOptimization, SklearnTuner

from kt_suite.tuner import Tuner
from kt_suite.tuners.grid_search import GridSearch
from kt_suite.tuners.hyperband import Hyperband
from kt_suite.tuners.random_search import RandomSearch

__all__ = ["BayesianOptimization", "GridSearch", "Hyperband", "RandomSearch", "SklearnTuner", "Tuner"]
