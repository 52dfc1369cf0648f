"""Acquisition: what to try next, given what is known.

Mathematics only, on arrays: nothing here knows of trials or TensorFlow.

- ``proposal``: the way in.
- ``domain``, ``evidence``: what may be proposed, and what is known.
- ``search_model``: the surrogates of loss, failure and cost.
- ``acquisition``, ``log_ei``: the utility of a point.
- ``maximization``, ``ascent``: where it is highest.
"""

from kt_suite.acquisition.domain import Domain
from kt_suite.acquisition.evidence import Evidence
from kt_suite.acquisition.proposal import propose
from kt_suite.acquisition.search_model import Settings

__all__ = ["Domain", "Evidence", "Settings", "propose"]
