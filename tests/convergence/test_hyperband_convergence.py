"""Hyperband, ASHA and its model find good values in fewer epochs than random search."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pytest

from kt_suite import HyperParameters
from kt_suite.oracles import RandomSearchOracle
from kt_suite.oracles.hyperband import HyperbandOracle
from tests.unit.oracles.slots import Slots

pytestmark = pytest.mark.slow

MAX_EPOCHS = 27
GOAL = 0.05
LIMIT = 1500
OPTIMUM = np.array([0.3, 0.6, 0.2, 0.7])


def space() -> HyperParameters:
    hp = HyperParameters()
    for name in "abcd":
        hp.Float(name, 0.0, 1.0)
    return hp


def learning_curve(values: dict[str, Any], epoch: int) -> float:
    """A loss that falls at a speed of its own to the distance from the optimum, rippled so that curves cross."""
    x = np.array([values[name] for name in "abcd"])
    speed = 0.15 + 0.5 * values["a"]
    return float(
        np.sum((x - OPTIMUM) ** 2) + 1.5 * math.exp(-speed * (epoch + 1)) + 0.02 * math.sin(37 * x.sum() + epoch)
    )


class FullBudgetSearch(RandomSearchOracle):
    """Random search that trains every trial to the end."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        return {**super().populate_space(trial_id), "budget": MAX_EPOCHS}


def epochs_to_goal(oracle: Any) -> int:
    slots = Slots(oracle, curve=learning_curve)
    while slots.num_epochs < LIMIT:
        slots.run(max_trials=len(slots.ended) + 1)
        if oracle.trials[slots.ended[-1]].score <= GOAL:
            return slots.num_epochs
    return LIMIT


def median_epochs(**options: Any) -> float:
    def make(seed: int) -> Any:
        common = {"objective": "val_loss", "seed": seed, "hyperparameters": space()}
        if options.get("sampler") == "none":
            return FullBudgetSearch(max_trials=None, **common)
        return HyperbandOracle(max_epochs=MAX_EPOCHS, hyperband_iterations=None, **common, **options)

    return statistics.median(epochs_to_goal(make(seed)) for seed in range(7))


@pytest.fixture(scope="module")
def random_search() -> float:
    return median_epochs(sampler="none")


@pytest.mark.parametrize("options", [{}, {"asynchronous": True}], ids=["hyperband", "asha"])
def test_halving_takes_at_most_half_the_epochs_of_random_search(options: dict[str, Any], random_search: float) -> None:
    assert median_epochs(**options) <= random_search / 2


@pytest.mark.parametrize("options", [{}, {"asynchronous": True}], ids=["hyperband", "asha"])
def test_a_model_takes_at_most_half_the_epochs_of_random_proposals(options: dict[str, Any]) -> None:
    assert median_epochs(sampler="bayesian", **options) <= median_epochs(**options) / 2
