"""As ``keras_tuner.engine.hypermodel``."""

from kt_suite.hypermodel import HyperModel

__all__ = ["HyperModel"]
