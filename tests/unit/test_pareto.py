"""Dominance, ranks, crowding and hypervolume, each against its definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kt_suite import pareto
from kt_suite.errors import InputError


def points(seed: int, num_points: int, num_objectives: int) -> np.ndarray:
    """Returns points on a coarse lattice, so that ties and duplicates are among them."""
    return np.random.default_rng(seed).integers(0, 6, (num_points, num_objectives)).astype(float)


def sphere(seed: int, num_points: int, num_objectives: int) -> np.ndarray:
    """Returns points of a concave front, none of which dominates another."""
    x = np.abs(np.random.default_rng(seed).normal(size=(num_points, num_objectives)))
    return 1 - x / np.linalg.norm(x, axis=1, keepdims=True)


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


def ranks_by_definition(losses: np.ndarray) -> list[int]:
    rank, left, front = [-1] * len(losses), set(range(len(losses))), 0
    while left:
        best = {i for i in left if not any(dominates(losses[j], losses[i]) for j in left)}
        for i in best:
            rank[i] = front
        left, front = left - best, front + 1
    return rank


def volume_by_inclusion_and_exclusion(losses: np.ndarray, reference: np.ndarray) -> float:
    volume = 0.0
    for size in range(1, len(losses) + 1):
        for subset in itertools.combinations(losses, size):
            volume -= (-1) ** size * np.prod(np.maximum(reference - np.max(subset, axis=0), 0.0))
    return volume


@pytest.mark.parametrize("num_objectives", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_ranks_are_those_of_the_definition(seed: int, num_objectives: int) -> None:
    losses = points(seed, 40, num_objectives)
    expected = ranks_by_definition(losses)
    assert pareto.ranks(losses).tolist() == expected
    assert pareto.non_dominated(losses).tolist() == [rank == 0 for rank in expected]


def test_equal_points_are_on_the_front_together_or_not_at_all() -> None:
    assert pareto.non_dominated([[1, 1], [1, 1], [2, 2], [2, 2]]).tolist() == [True, True, False, False]


def test_infinite_losses_are_dominated_but_compare() -> None:
    losses = [[np.inf, 0.0], [1.0, 1.0], [np.inf, 2.0]]
    assert pareto.ranks(losses).tolist() == [0, 0, 1]


@pytest.mark.parametrize("num_objectives", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(3))
def test_hypervolume_is_that_of_inclusion_and_exclusion(seed: int, num_objectives: int) -> None:
    losses, reference = points(seed, 9, num_objectives), np.full(num_objectives, 4.5)
    expected = volume_by_inclusion_and_exclusion(losses, reference)
    assert pareto.hypervolume(losses, reference) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("num_objectives", [2, 3, 4])
def test_hypervolume_of_a_large_front_is_that_of_monte_carlo(num_objectives: int) -> None:
    losses, reference = sphere(0, 60, num_objectives), np.full(num_objectives, 1.1)
    darts = 1.1 * np.random.default_rng(1).random((50_000, num_objectives))
    is_hit = (losses[None, :, :] <= darts[:, None, :]).all(axis=2).any(axis=1)
    expected = is_hit.mean() * 1.1**num_objectives
    error = 1.1**num_objectives * np.sqrt(is_hit.var() / len(darts))
    assert abs(pareto.hypervolume(losses, reference) - expected) < 4 * error


def test_hypervolume_does_not_depend_on_order_duplicates_or_dominated_points() -> None:
    losses, reference = sphere(2, 12, 3), np.ones(3)
    volume = pareto.hypervolume(losses, reference)
    assert pareto.hypervolume(losses[::-1], reference) == pytest.approx(volume)
    assert pareto.hypervolume(np.vstack([losses, losses[:3]]), reference) == pytest.approx(volume)
    assert pareto.hypervolume(np.vstack([losses, losses[:3] + 0.01]), reference) == pytest.approx(volume)


def test_a_better_point_raises_the_hypervolume() -> None:
    losses, reference = sphere(3, 12, 3), np.ones(3)
    better = np.vstack([losses, losses[:1] - 0.05])
    assert pareto.hypervolume(better, reference) > pareto.hypervolume(losses, reference)


@pytest.mark.parametrize("num_objectives", [1, 2, 3, 4])
def test_points_beyond_the_reference_add_nothing(num_objectives: int) -> None:
    reference = np.ones(num_objectives)
    assert pareto.hypervolume(np.empty((0, num_objectives)), reference) == 0.0
    assert pareto.hypervolume(np.full((2, num_objectives), 1.0), reference) == 0.0
    beyond = np.zeros((1, num_objectives))
    beyond[0, 0] = 2.0
    assert pareto.hypervolume(beyond, reference) == 0.0


def test_crowding_is_the_size_of_the_box_between_neighbours() -> None:
    losses = [[0.0, 10.0], [1.0, 6.0], [4.0, 5.0], [10.0, 0.0]]
    assert pareto.crowding(losses).tolist() == [np.inf, 0.4 + 0.5, 0.9 + 0.6, np.inf]


def test_crowding_of_an_objective_without_extent_is_left_out() -> None:
    assert pareto.crowding([[1.0, 0.0], [1.0, 1.0], [1.0, 4.0]]).tolist() == [np.inf, 1.0, np.inf]
    assert pareto.crowding([[1.0, 1.0]]).tolist() == [0.0]
    assert pareto.crowding(np.empty((0, 2))).tolist() == []


def test_the_front_goes_first_and_its_ends_before_its_middle() -> None:
    losses = [[5.0, 5.0], [1.0, 3.0], [0.0, 4.0], [3.0, 0.0], [0.1, 3.9]]
    assert pareto.best_first(losses).tolist() == [2, 3, 1, 4, 0]
    assert pareto.best_first(np.empty((0, 2))).tolist() == []


def test_the_reference_point_is_dominated_by_all_of_the_front() -> None:
    losses = np.vstack([sphere(4, 20, 3), [[50.0, 50.0, 50.0]]])
    reference = pareto.reference_point(losses)
    assert (losses[:-1] < reference).all()
    assert (reference < 2.0).all()


@pytest.mark.parametrize("losses", [[[0.0, 0.0]], [[3.0, -2.0]], [[1.0, 2.0], [1.0, 2.0]], [[1.0, 1.0], [2.0, 2.0]]])
def test_a_front_of_one_point_has_a_reference_point(losses: list[list[float]]) -> None:
    assert pareto.hypervolume(losses, pareto.reference_point(losses)) > 0.0


@pytest.mark.parametrize("losses", [[1.0, 2.0], [[]], [[1.0, np.nan]], [[[1.0]]]])
def test_losses_that_are_no_points_are_refused(losses: list[float]) -> None:
    with pytest.raises(InputError, match="Losses must"):
        pareto.non_dominated(losses)


@pytest.mark.parametrize("reference", [[1.0], [1.0, np.inf], [[1.0, 1.0]]])
def test_a_reference_point_of_another_shape_is_refused(reference: list[float]) -> None:
    with pytest.raises(InputError, match="The reference point must"):
        pareto.hypervolume([[0.0, 0.0]], reference)


def test_no_points_have_no_reference_point() -> None:
    with pytest.raises(InputError, match="at least one"):
        pareto.reference_point(np.empty((0, 2)))
