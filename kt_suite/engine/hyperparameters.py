"""As ``keras_tuner.engine.hyperparameters``."""

from keras_tuner.engine.hyperparameters import HyperParameter, serialize

from kt_suite.hyperparameters import Boolean, Choice, Fixed, Float, HyperParameters, Int
from kt_suite.hyperparameters import revive as deserialize

__all__ = [
    "Boolean",
    "Choice",
    "Fixed",
    "Float",
    "HyperParameter",
    "HyperParameters",
    "Int",
    "deserialize",
    "serialize",
]
