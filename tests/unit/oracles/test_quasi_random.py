from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.stats import qmc

import kt_suite as kts
from kt_suite.oracles.quasi_random import QuasiRandomOracle, sobol
from kt_suite.space import Space
from kt_suite.trial import TrialStatus
from tests.unit.oracles.led_search import LedSearch, is_in, mixed_space


def cube(num_dimensions: int) -> kts.HyperParameters:
    hp = kts.HyperParameters()
    for number in range(num_dimensions):
        hp.Float(f"x{number}", 0.0, 1.0)
    return hp


def oracle(space: kts.HyperParameters, **options: Any) -> QuasiRandomOracle:
    settings = {"max_trials": None, "seed": 0, "max_consecutive_failed_trials": 1000, **options}
    return QuasiRandomOracle(kts.Objective("loss", "min"), hyperparameters=space, **settings)


def sum_of(values: Any) -> dict[str, float]:
    return {"loss": float(sum(map(float, values.values())))}


def first(num_points: int, num_dimensions: int, **options: Any) -> np.ndarray:
    return np.array(list(itertools.islice(sobol(num_dimensions, **{"seed": 0, **options}), num_points)))


def test_a_power_of_two_of_trials_fills_all_parts_of_each_axis_alike() -> None:
    proposals = LedSearch(oracle(cube(5)), sum_of).run(64)
    x = np.array([list(values.values()) for values in proposals])
    counts = [np.histogram(column, bins=64, range=(0, 1))[0].tolist() for column in x.T]
    assert counts == [[1] * 64] * 5


def test_trial_k_takes_point_k() -> None:
    space = cube(3)
    search = LedSearch(oracle(space), sum_of)
    assert search.run(9) == [Space(space).from_unit(point) for point in first(9, 3)]


def test_an_enqueued_trial_takes_the_place_of_a_point() -> None:
    plain = LedSearch(oracle(cube(2)), sum_of).run(6)
    other = oracle(cube(2))
    other.enqueue({"x0": 0.5})
    assert LedSearch(other, sum_of).run(6) == [{"x0": 0.5, "x1": 0.0}, *plain[1:]]


def test_the_sequence_is_more_even_than_random_points() -> None:
    even = qmc.discrepancy(first(128, 6))
    assert even < 0.2 * np.median([qmc.discrepancy(np.random.default_rng(i).random((128, 6))) for i in range(9)])


def test_a_space_that_grows_goes_on_along_the_same_sequence() -> None:
    small, large = first(40, 3), first(40, 16)
    assert np.array_equal(small, large[:, :3])
    grown = oracle(cube(3))
    search = LedSearch(grown, sum_of)
    search.run(7)
    grown.update_space(cube(5))
    assert search.run(12)[7:] == [Space(cube(5)).from_unit(point) for point in first(12, 5)[7:]]


def test_a_space_that_outgrows_a_power_of_two_goes_on_all_the_same() -> None:
    grown = oracle(cube(16))
    search = LedSearch(grown, sum_of)
    search.run(7)
    grown.update_space(cube(17))
    proposals = search.run(12)
    assert proposals[7:] == [Space(cube(17)).from_unit(point) for point in first(12, 17)[7:]]
    assert search.resumed(oracle(cube(17))).run(20) == search.run(20)


def test_dimensions_beyond_those_of_scipy_are_uniform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmc.Sobol, "MAXDIM", 8)
    x = first(256, 20)
    assert x.shape == (256, 20)
    assert np.array_equal(x[5:], first(251, 20, first=5))
    counts = np.array([np.histogram(column, bins=4, range=(0, 1))[0] for column in x.T])
    assert (counts[:8] == 64).all()
    assert (np.abs(counts - 64) < 40).all()


@pytest.mark.parametrize("num_dimensions", [0, 1, 16, 17])
def test_points_have_as_many_coordinates_as_the_space_has_axes(num_dimensions: int) -> None:
    assert first(2, num_dimensions).shape == (2, num_dimensions)


def test_all_kinds_of_values_are_legal_and_differ() -> None:
    space = mixed_space()
    proposals = LedSearch(oracle(space)).run(60)
    assert all(is_in(space, values) for values in proposals)
    assert len({Space.key(values) for values in proposals}) == 60


def test_a_finite_space_is_walked_to_its_end() -> None:
    hp = kts.HyperParameters()
    hp.Int("a", 0, 6)
    hp.Choice("b", ["x", "y", "z"])
    search = LedSearch(oracle(hp), lambda values: {"loss": float(values["a"])})
    assert len({Space.key(values) for values in search.run(100)}) == len(search.proposals) == 21
    assert search.oracle.create_trial("slot").status == TrialStatus.STOPPED


def test_seeds_give_different_sequences() -> None:
    assert not np.array_equal(first(4, 3), first(4, 3, seed=1))
