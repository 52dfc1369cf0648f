"""Bayesian optimisation finds better values than random search does in many more trials."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import pytest

from kt_suite import HyperParameters, Objective
from kt_suite.oracles import RandomSearchOracle
from kt_suite.oracles.bayesian import BayesianOptimizationOracle
from kt_suite.trial import TrialStatus

pytestmark = pytest.mark.slow

NUM_TRIALS = 25
SEEDS = range(5)
Values = dict[str, Any]
Loss = Callable[[Values], float | None]


def plane() -> HyperParameters:
    hp = HyperParameters()
    hp.Float("x", -5.0, 10.0)
    hp.Float("y", 0.0, 15.0)
    return hp


def branin(values: Values) -> float:
    """Branin's function above its minimum."""
    x, y = values["x"], values["y"]
    bend = y - 5.1 / (4.0 * math.pi**2) * x**2 + 5.0 / math.pi * x - 6.0
    return bend**2 + 10.0 * (1.0 - 1.0 / (8.0 * math.pi)) * math.cos(x) + 9.602113


def network() -> HyperParameters:
    hp = HyperParameters()
    hp.Float("rate", 1e-5, 1e-1, sampling="log")
    hp.Int("units", 8, 512, sampling="log")
    hp.Choice("activation", ["relu", "tanh", "gelu"])
    with hp.conditional_scope("activation", ["gelu"]):
        hp.Float("dropout", 0.0, 0.8)
    return hp


def valley(values: Values) -> float:
    """A loss that is least for gelu, with a rate that depends on the width."""
    loss = (math.log10(values["rate"]) + 2.0 + 0.3 * math.log2(values["units"] / 8)) ** 2
    loss += 0.05 * math.log2(values["units"] / 96) ** 2
    return loss + (2.0 * (values["dropout"] - 0.3) ** 2 if values["activation"] == "gelu" else 0.3)


def best(kind: Any, seed: int, num_trials: int, space: HyperParameters, loss: Loss) -> float:
    """Returns the least loss that a search finds; losses of ``None`` fail."""
    options = {"max_trials": num_trials, "seed": seed, "max_consecutive_failed_trials": 1000}
    oracle = kind(Objective("loss", "min"), hyperparameters=space, **options)
    oracle.verbose = 0
    while (trial := oracle.create_trial("slot")).status == TrialStatus.RUNNING:
        trial.score = loss(trial.values)
        trial.status = TrialStatus.FAILED if trial.score is None else TrialStatus.COMPLETED
        oracle.end_trial(trial)
    return float(min(one.score for one in oracle.trials.values() if one.score is not None))


@pytest.mark.parametrize(("space", "loss"), [(plane, branin), (network, valley)], ids=["branin", "network"])
def test_it_beats_random_search_of_four_times_the_trials(space: Callable[[], HyperParameters], loss: Loss) -> None:
    ours = [best(BayesianOptimizationOracle, seed, NUM_TRIALS, space(), loss) for seed in SEEDS]
    random = [best(RandomSearchOracle, seed, 4 * NUM_TRIALS, space(), loss) for seed in SEEDS]
    assert statistics.median(ours) < 0.2 * statistics.median(random)
    assert max(ours) < statistics.median(random)


def test_failures_do_not_lead_it_astray() -> None:
    def loss(values: Values) -> float | None:
        return None if values["y"] > 12.0 or values["x"] < -2.0 else branin(values)

    ours = [best(BayesianOptimizationOracle, seed, NUM_TRIALS, plane(), loss) for seed in SEEDS]
    assert statistics.median(ours) < 0.1
