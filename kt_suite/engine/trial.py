"""As ``keras_tuner.engine.trial``."""

from kt_suite.oracles.trial import Trial
from kt_suite.trial import TrialStatus

__all__ = ["Trial", "TrialStatus"]
