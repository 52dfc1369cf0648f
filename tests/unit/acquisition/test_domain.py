from __future__ import annotations

import numpy as np
import pytest

from kt_suite.acquisition import Domain

THREE = (np.arange(3) + 0.5) / 3


def domain(*levels: np.ndarray | None, categories: tuple[int, ...] = ()) -> Domain:
    d = len(levels)
    return Domain(levels, np.isin(np.arange(d), categories), np.zeros(d, dtype=bool))


@pytest.fixture
def conditional() -> Domain:
    """Axis 1 is active on the last level of axis 0 only."""

    def activity(points: np.ndarray) -> np.ndarray:
        return np.stack([np.ones(len(points), bool), points[:, 0] > 0.7], axis=1)

    return Domain((THREE, np.array([0.25, 0.75])), np.array([True, False]), np.array([False, True]), (0,), activity)


def test_snapping_goes_to_the_nearest_level_and_into_the_cube() -> None:
    points = domain(THREE, None).snap(np.array([[0.3, -0.2], [0.34, 1.7], [0.99, 0.4]]))
    np.testing.assert_allclose(points, [[1 / 6, 0.0], [0.5, 1.0], [5 / 6, 0.4]])


def test_levels_need_not_be_evenly_spaced() -> None:
    levels = np.array([0.0, 0.1, 1.0])
    np.testing.assert_array_equal(domain(levels).snap(np.array([[0.06], [0.5], [0.6]]))[:, 0], [0.1, 0.1, 1.0])


def test_samples_lie_on_levels_and_reach_all_of_them() -> None:
    points = domain(THREE, None).sample(np.random.default_rng(0), 200)
    assert set(points[:, 0]) == set(THREE)
    assert np.all((points >= 0.0) & (points <= 1.0))


def test_all_points_of_a_conditional_domain_are_distinct(conditional: Domain) -> None:
    points = conditional.mask(conditional.all_points())
    assert len(points) == 4
    assert np.isnan(points[:, 1]).sum() == 2


def test_mask_hides_what_is_inactive_and_keeps_the_rest(conditional: Domain) -> None:
    masked = conditional.mask(np.array([[THREE[0], 0.25], [THREE[2], 0.75]]))
    np.testing.assert_array_equal(masked, [[THREE[0], np.nan], [THREE[2], 0.75]])


def test_only_finite_domains_are_small() -> None:
    assert domain(THREE, THREE).is_small
    assert not domain(THREE, None).is_small
    assert not domain(*[THREE] * 12).is_small


def test_all_levels_of_categories_are_compared_and_near_and_far_ones_of_long_axes() -> None:
    many = (np.arange(100) + 0.5) / 100
    assert domain(many, categories=(0,)).neighbours(0, 64).shape == (100, 100)
    compared = domain(many).neighbours(0, 64)
    assert {50, 49, 51, 48, 52, 18, 82} <= set(compared[50])
    assert compared.min() == 0
    assert compared.max() == 99
    np.testing.assert_array_equal(domain(THREE).neighbours(0, 64)[1], [0, 1, 2])


def test_a_condition_nobody_declared_is_learned_from_points() -> None:
    undeclared = domain(THREE, None, None)
    points = np.array([[THREE[0], 0.4, np.nan], [THREE[2], 0.1, 0.5], [THREE[0], 0.9, np.nan], [THREE[2], 0.2, 0.7]])
    learned = undeclared.with_learned_activity(points)
    masked = learned.mask(np.array([[THREE[0], 0.1, 0.1], [THREE[2], 0.1, 0.1]]))
    np.testing.assert_array_equal(np.isnan(masked), [[False, False, True], [False, False, False]])


def test_an_unseen_level_follows_its_neighbour_and_an_unseen_category_is_active() -> None:
    four = (np.arange(4) + 0.5) / 4
    points = np.array([[four[0], np.nan], [four[1], np.nan], [four[3], 0.5]])
    unseen = np.array([[four[2], 0.3]])
    assert np.isnan(domain(four, None).with_learned_activity(points[[0, 1]].repeat(2, axis=0)).mask(unseen)).sum() == 0
    ordered = domain(np.array([0.1, 0.2, 0.35, 0.9]), None)
    known = np.array([[0.1, np.nan], [0.2, np.nan], [0.9, 0.5]])
    assert np.isnan(ordered.with_learned_activity(known).mask(np.array([[0.35, 0.3]])))[0, 1]
    assert not np.isnan(domain(four, None, categories=(0,)).with_learned_activity(points).mask(unseen)).any()


def test_nothing_is_learned_where_no_axis_decides() -> None:
    plain = domain(THREE, None)
    points = np.array([[THREE[0], np.nan], [THREE[0], 0.5], [THREE[1], 0.1]])
    assert plain.with_learned_activity(points) is plain
