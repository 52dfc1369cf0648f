"""As ``keras_tuner.engine.oracle``."""

from kt_suite.objective import Objective
from kt_suite.oracles import Oracle

__all__ = ["Objective", "Oracle"]
