"""Data sets for the command line: built-in ones by name, ``.npz`` and ``.csv`` files, split with a seed.

Nothing here imports TensorFlow; scikit-learn is imported when a set is built in or must be split.
"""

from __future__ import annotations

from kt_suite.data.data_set import DataSet
from kt_suite.data.load import load_data

__all__ = ["DataSet", "load_data"]
