"""The trials of a search in the form of scikit-learn's ``cv_results_``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from kt_suite.trial import TrialRecord


def cv_results(records: Sequence[TrialRecord], direction: str) -> dict[str, Any]:
    """Returns arrays of one entry a trial, in the order of proposal.

    They are those of ``sklearn.model_selection.GridSearchCV``: ``params``, ``param_<name>`` (masked where a
    hyperparameter was not active), ``split<k>_test_score`` for each run, ``mean_test_score``, ``std_test_score``,
    ``rank_test_score`` and ``mean_fit_time``. Scores are the objective's own, also where less is better; NaN for
    trials that failed. ``status`` is an addition.

    Args:
        records: The trials.
        direction: ``"min"`` or ``"max"``.
    """
    num_runs = max((len(record.runs) for record in records), default=0)
    splits = np.full((num_runs, len(records)), np.nan)
    seconds = np.full((num_runs, len(records)), np.nan)
    for column, record in enumerate(records):
        for run in record.runs:
            splits[run.index, column] = np.nan if run.score is None else run.score
            seconds[run.index, column] = np.nan if run.seconds is None else run.seconds
    means = np.array([np.nan if record.score is None else record.score for record in records])
    results: dict[str, Any] = {"mean_fit_time": _mean(seconds)}
    for name in dict.fromkeys(name for record in records for name in record.values):
        results[f"param_{name}"] = _column(name, records)
    results["params"] = [dict(record.values) for record in records]
    results.update({f"split{index}_test_score": row for index, row in enumerate(splits)})
    results["mean_test_score"] = means
    results["std_test_score"] = _mean((splits - means) ** 2) ** 0.5
    results["rank_test_score"] = _ranks(means, direction)
    results["status"] = np.array([record.status for record in records])
    return results


def _mean(rows: np.ndarray) -> np.ndarray:
    counts = (~np.isnan(rows)).sum(axis=0)
    return np.where(counts > 0, np.nansum(rows, axis=0) / np.maximum(counts, 1), np.nan)


def _column(name: str, records: Sequence[TrialRecord]) -> np.ma.MaskedArray:
    column = np.ma.MaskedArray(np.empty(len(records), dtype=object), mask=True)
    for index, record in enumerate(records):
        if name in record.values:
            column[index] = record.values[name]
    return column


def _ranks(means: np.ndarray, direction: str) -> np.ndarray:
    losses = -means if direction == "max" else means
    return np.asarray(rankdata(np.where(np.isnan(losses), np.inf, losses), method="min"), dtype=np.int32)
