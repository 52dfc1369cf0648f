"""Moved to ``kt_suite.tuners.hyperband``."""

from kt_suite.tuners.hyperband import Hyperband as Hyperband
