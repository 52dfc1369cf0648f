from __future__ import annotations

import math

import numpy as np

from kt_suite.sklearn.cv_results import cv_results
from kt_suite.trial import RunRecord, TrialRecord, TrialStatus


def trial(number: int, scores: list[float], **values: object) -> TrialRecord:
    runs = [RunRecord(index, 0, score, fold=index, seconds=1.0) for index, score in enumerate(scores)]
    return TrialRecord(
        f"{number:04d}",
        number,
        TrialStatus.COMPLETED if scores else TrialStatus.FAILED,
        values=dict(values),
        score=float(np.mean(scores)) if scores else None,
        runs=runs,
    )


RECORDS = [trial(0, [0.5, 0.7], units=8), trial(1, [0.9, 0.9], units=16, rate=0.1), trial(2, [], units=32)]


def test_every_split_mean_and_deviation_is_there() -> None:
    results = cv_results(RECORDS, "max")
    np.testing.assert_allclose(results["split0_test_score"], [0.5, 0.9, math.nan])
    np.testing.assert_allclose(results["split1_test_score"], [0.7, 0.9, math.nan])
    np.testing.assert_allclose(results["mean_test_score"], [0.6, 0.9, math.nan])
    np.testing.assert_allclose(results["std_test_score"], [0.1, 0.0, math.nan], atol=1e-12)
    np.testing.assert_allclose(results["mean_fit_time"], [1.0, 1.0, math.nan])


def test_ranks_follow_the_direction_and_failures_come_last() -> None:
    assert cv_results(RECORDS, "max")["rank_test_score"].tolist() == [2, 1, 3]
    assert cv_results(RECORDS, "min")["rank_test_score"].tolist() == [1, 2, 3]


def test_a_hyperparameter_that_was_not_active_is_masked() -> None:
    column = cv_results(RECORDS, "max")["param_rate"]
    assert column.mask.tolist() == [True, False, True]
    assert column[1] == 0.1


def test_params_are_the_values_in_order_of_proposal() -> None:
    assert cv_results(RECORDS, "max")["params"] == [{"units": 8}, {"units": 16, "rate": 0.1}, {"units": 32}]
