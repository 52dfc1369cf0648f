"""Bayesian optimisation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from kt_suite.acquisition import Evidence, Settings
from kt_suite.acquisition.encoding import evidence_of, propose_values
from kt_suite.errors import InputError, rule
from kt_suite.oracles.base import Oracle
from kt_suite.oracles.observation import Observation
from kt_suite.oracles.quasi_random import draw_sobol
from kt_suite.oracles.untried import draw_untried
from kt_suite.oracles.warm_start import WarmStart
from kt_suite.space import Space
from kt_suite.trial import TrialStatus
