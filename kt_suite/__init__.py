"""kt_suite: a Keras-native tuning framework on TensorFlow and KerasTuner.

A script written for KerasTuner runs when its import becomes ``import kt_suite as kt``. Names are fetched when first
asked
for, so that importing the package takes no time: TensorFlow is loaded with the first tuner or hypermodel.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kt_suite._version import __version__
from kt_suite.collector import settling

if TYPE_CHECKING:
    from kt_suite import applications, distribution, engine, errors, executors, models, oracles, sklearn, tuners
    from kt_suite.hypermodel import HyperModel
    from kt_suite.hyperparameters import HyperParameters
    from kt_suite.nested import nested_cross_validate
    from kt_suite.objective import Objective
    from kt_suite.oracles import Oracle
    from kt_suite.oracles.synchronized import synchronized
    from kt_suite.tuner import Tuner
    from kt_suite.tuners import (
        BayesianOptimization,
        GridSearch,
        Hyperband,
        QuasiRandomSearch,
        RandomSearch,
        SklearnTuner,
        TPESearch,
    )

_HOMES = {
    "HyperModel": "kt_suite.hypermodel",
    "HyperParameters": "kt_suite.hyperparameters",
    "Objective": "kt_suite.objective",
    "Oracle": "kt_suite.oracles",
    "synchronized": "kt_suite.oracles.synchronized",
    "Tuner": "kt_suite.tuner",
    "RandomSearch": "kt_suite.tuners",
    "GridSearch": "kt_suite.tuners",
    "BayesianOptimization": "kt_suite.tuners",
    "Hyperband": "kt_suite.tuners",
    "QuasiRandomSearch": "kt_suite.tuners",
    "TPESearch": "kt_suite.tuners",
    "SklearnTuner": "kt_suite.tuners",
    "nested_cross_validate": "kt_suite.nested",
}
_MODULES = ("applications", "distribution", "engine", "errors", "executors", "models", "oracles", "sklearn", "tuners")

__all__ = [  # noqa: RUF022 - grouped by what they are
    "__version__",
    "HyperModel",
    "HyperParameters",
    "Objective",
    "Oracle",
    "synchronized",
    "Tuner",
    "RandomSearch",
    "GridSearch",
    "BayesianOptimization",
    "Hyperband",
    "QuasiRandomSearch",
    "TPESearch",
    "SklearnTuner",
    "nested_cross_validate",
    "applications",
    "distribution",
    "engine",
    "errors",
    "executors",
    "models",
    "oracles",
    "sklearn",
    "tuners",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES and name not in _HOMES:
        raise AttributeError(f"module 'kt_suite' has no attribute {name!r}")
    with settling():
        module = importlib.import_module(_HOMES.get(name, f"kt_suite.{name}"))
    if name in _MODULES:
        return module
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
