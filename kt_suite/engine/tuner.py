"""As ``keras_tuner.engine.tuner``."""

from keras_tuner.engine.tuner import maybe_distribute

from kt_suite.tuner import Tuner

__all__ = ["Tuner", "maybe_distribute"]
