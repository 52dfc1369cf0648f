"""Many trials are under way where that harms nobody, and no more than one can afford to lose."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import kt_suite as kts
from kt_suite.executors.fused.slots import FEW, MANY, TIMED, is_independent, num_slots

ORACLES = {
    "random": (lambda: kts.oracles.RandomSearchOracle(max_trials=1000), True, MANY),
    "grid": (lambda: kts.oracles.GridSearchOracle(max_trials=1000), True, MANY),
    "whole rungs": (lambda: kts.oracles.HyperbandOracle(max_epochs=9), True, MANY),
    "rungs under way": (lambda: kts.oracles.HyperbandOracle(max_epochs=9, asynchronous=True), False, MANY),
    "a model": (lambda: kts.oracles.BayesianOptimizationOracle(max_trials=1000), False, FEW),
    "few trials": (lambda: kts.oracles.RandomSearchOracle(max_trials=5), True, 5),
}


def runner(oracle: Any, rows: int = 100, time_budget: float | None = None) -> Any:
    return SimpleNamespace(
        oracle=oracle,
        run_plans=lambda: [None, None],
        _limits=SimpleNamespace(time_budget=time_budget),
        _fit_args=(np.zeros((rows, 2)),),
        _fit_kwargs={"epochs": 10},
    )


@pytest.mark.parametrize("name", ORACLES)
def test_slots_follow_from_whether_proposals_follow_from_results(name: str) -> None:
    make, independent, slots = ORACLES[name]
    oracle = make()
    assert is_independent(oracle) == independent
    assert num_slots(runner(oracle)) == slots


def test_trials_are_fewer_where_a_clock_or_a_kill_would_cost_many_long_ones() -> None:
    oracle = kts.oracles.RandomSearchOracle(max_trials=1000)
    assert num_slots(runner(oracle, time_budget=60.0)) == TIMED
    assert num_slots(runner(oracle), operations=1e3) == MANY
    # Two runs of ten epochs: a trial reads 2e6 rows, of 3e6 multiply-adds each: 600 s at 1e10 a second.
    assert num_slots(runner(oracle, rows=100_000), operations=1e6) == 2
    assert num_slots(runner(oracle, rows=5_000), operations=1e6) == 10
