"""As ``keras_tuner.engine.base_tuner``."""

from keras_tuner.engine.base_tuner import BaseTuner

__all__ = ["BaseTuner"]
