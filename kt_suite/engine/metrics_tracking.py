"""As ``keras_tuner.engine.metrics_tracking``."""

from keras_tuner.engine.metrics_tracking import infer_metric_direction

__all__ = ["infer_metric_direction"]
