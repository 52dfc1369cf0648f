from __future__ import annotations

import itertools

import numpy as np
import pytest

from kt_suite.acquisition import Domain
from kt_suite.acquisition.ascent import Ascent
from kt_suite.acquisition.maximization import maximize


def test_ascent_climbs_to_the_top_and_stops_at_the_walls() -> None:
    top = np.array([0.3, 1.4, -0.2, 0.6])
    bend = np.array([[4.0, 1.0, 0.0, 0.5], [1.0, 3.0, 0.2, 0.0], [0.0, 0.2, 20.0, 0.0], [0.5, 0.0, 0.0, 0.5]])

    def function(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        away = x - top
        return -0.5 * np.einsum("ij,jk,ik->i", away, bend, away), -away @ bend

    starts = np.random.default_rng(0).random((8, 4))
    ascent = Ascent(function, starts, np.ones((8, 4), dtype=bool))
    ascent.run(200)
    gradient = function(ascent.points)[1]
    free = (ascent.points > 0.0) & (ascent.points < 1.0)
    assert np.abs(gradient[free]).max() < 1e-2
    assert np.ptp(ascent.values) < 1e-4
    np.testing.assert_array_equal(ascent.points[:, 1], np.ones(8))
    np.testing.assert_array_equal(ascent.points[:, 2], np.zeros(8))


def test_ascent_never_loses_height_nor_moves_what_is_fixed() -> None:
    def function(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.sin(9 * x).sum(axis=1), 9 * np.cos(9 * x)

    starts = np.random.default_rng(1).random((20, 3))
    is_movable = np.tile([True, False, True], (20, 1))
    ascent = Ascent(function, starts, is_movable)
    ascent.run(60)
    assert np.all(ascent.values >= function(starts)[0])
    np.testing.assert_array_equal(ascent.points[:, 1], starts[:, 1])
    assert np.all((ascent.points >= 0.0) & (ascent.points <= 1.0))


class Bowl:
    """A function with one top, on an axis each: a float, an integer of 40 levels, and categories in no order."""

    def __init__(self) -> None:
        self.order = np.random.default_rng(2).permutation(7)
        forty, seven = (np.arange(40) + 0.5) / 40, (np.arange(7) + 0.5) / 7
        self.domain = Domain((None, forty, seven, seven), np.array([False, False, True, True]), np.zeros(4, dtype=bool))

    def __call__(self, points: np.ndarray) -> np.ndarray:
        ranks = self.order[np.floor(points[:, 2:] * 7).astype(int)]
        return -4 * (points[:, 0] - 0.37) ** 2 - 3 * (points[:, 1] - 0.71) ** 2 - 0.1 * ranks.sum(axis=1)

    def with_gradient(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gradient = np.zeros_like(points)
        gradient[:, :2] = [-8, -6] * (points[:, :2] - [0.37, 0.71])
        return self(points), gradient


@pytest.mark.parametrize("seed", range(3))
def test_a_mixed_function_is_maximised_exactly(seed: int) -> None:
    bowl = Bowl()
    rng = np.random.default_rng(seed)
    ranked = maximize(bowl, bowl.domain, rng, anchors=np.empty((0, 4)), num_samples=50, num_starts=4)  # type: ignore[arg-type]
    best = ranked[0]
    assert best[0] == pytest.approx(0.37, abs=1e-3)
    assert best[1] == pytest.approx(28.5 / 40)
    assert np.all(bowl.order[np.floor(best[2:] * 7).astype(int)] == 0)
    assert np.all(np.diff(bowl(ranked)) <= 0.0)


def test_a_small_domain_is_gone_through_whole() -> None:
    five = (np.arange(5) + 0.5) / 5
    domain = Domain((five, five), np.zeros(2, dtype=bool), np.zeros(2, dtype=bool))
    ranked = maximize(
        lambda points: np.sin(40 * points[:, 0]) + np.cos(31 * points[:, 1]),  # type: ignore[arg-type]
        domain,
        np.random.default_rng(0),
        anchors=np.empty((0, 2)),
    )
    assert {tuple(point) for point in ranked} == set(itertools.product(five, five))
