"""The names of ``keras_tuner.engine``: kt_suite's own classes where it has them, KerasTuner's where not."""

from kt_suite.engine import base_tuner, hypermodel, hyperparameters, metrics_tracking, oracle, trial, tuner

__all__ = ["base_tuner", "hypermodel", "hyperparameters", "metrics_tracking", "oracle", "trial", "tuner"]
