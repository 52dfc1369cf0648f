from __future__ import annotations

import numpy as np
import pytest

from kt_suite.surrogates.mixed_matern import MixedMatern, matern52

# float, conditional float, category of 3, conditional category of 2
IS_CATEGORY = np.array([False, False, True, True])
IS_CONDITIONAL = np.array([False, True, False, True])
WEIGHTS = np.array([3.0, 2.0, 0.7, 0.4])


@pytest.fixture
def kernel() -> MixedMatern:
    return MixedMatern(IS_CATEGORY, IS_CONDITIONAL)


def points(num: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.random((num, 4))
    x[:, 2] = (rng.integers(3, size=num) + 0.5) / 3
    x[:, 3] = (rng.integers(2, size=num) + 0.5) / 2
    x[:, 1:][rng.random((num, 3)) < [0.4, 0.0, 0.4]] = np.nan
    return x


def test_distances_follow_the_definition(kernel: MixedMatern) -> None:
    a = np.array([[0.1, 0.2, 0.5, np.nan], [0.4, np.nan, 1 / 6, 0.25]])
    b = np.array([[0.3, np.nan, 0.5, 0.25], [0.4, 0.9, 5 / 6, 0.75]])
    sphere = 2.0 - 2.0 * np.exp(-0.5 * 0.7**2)
    expected = [
        [3.0 * 0.2**2 + 2.0 + 0.4, 3.0 * 0.3**2 + 2.0 * sphere + 0.7 + 0.4],
        [3.0 * 0.1**2 + 0.7, 2.0 + 0.7 + 0.4],
    ]
    np.testing.assert_allclose(kernel.weighted(a, b, WEIGHTS), expected, rtol=1e-13)


def test_two_inactive_values_are_no_distance_apart(kernel: MixedMatern) -> None:
    off = np.array([np.nan])
    assert kernel.distance(1, off, off) == [0.0]
    assert kernel.distance(3, off, off) == [0.0]


def test_inactive_is_equally_far_from_every_active_value(kernel: MixedMatern) -> None:
    active = np.linspace(0.0, 1.0, 11)
    np.testing.assert_array_equal(kernel.distance(1, np.array([np.nan]), active), np.ones(11))


def test_the_order_of_categories_makes_no_difference(kernel: MixedMatern) -> None:
    levels = np.array([1 / 6, 0.5, 5 / 6])
    distances = kernel.distance(2, levels[:, None], levels)
    np.testing.assert_array_equal(distances, 1.0 - np.eye(3))


@pytest.mark.parametrize("seed", range(5))
def test_correlation_is_positive_definite_with_inactive_values(kernel: MixedMatern, seed: int) -> None:
    x = points(60, seed)
    weights = 10.0 ** np.random.default_rng(seed).uniform(-2, 2, 4)
    correlation = matern52(kernel.weighted(x, x, weights))[0]
    assert np.linalg.eigvalsh(correlation).min() > -1e-10


def test_matern_and_its_slope_agree_with_the_formula_and_differences() -> None:
    r = np.array([1e-2, 0.1, 0.7, 3.0])
    value, slope = matern52(r**2)
    np.testing.assert_allclose(value, (1 + np.sqrt(5) * r + 5 * r**2 / 3) * np.exp(-np.sqrt(5) * r), rtol=1e-14)
    step = 1e-4 * r**2
    difference = (matern52(r**2 + step)[0] - matern52(r**2 - step)[0]) / (2 * step)
    np.testing.assert_allclose(slope, difference, rtol=1e-6)
    assert matern52(np.zeros(1)) == (pytest.approx([1.0]), pytest.approx([-5 / 6]))


def test_gradient_agrees_with_differences_and_is_zero_where_nothing_can_move(kernel: MixedMatern) -> None:
    a, b = points(7, 1), points(9, 2)
    slope = np.random.default_rng(3).standard_normal((7, 9))
    gradient = kernel.pull_back(a, b, WEIGHTS, slope)
    for j in range(2):
        step = np.zeros(4)
        step[j] = 1e-6
        change = kernel.weighted(a + step, b, WEIGHTS) - kernel.weighted(a - step, b, WEIGHTS)
        np.testing.assert_allclose(gradient[:, j], (slope * change).sum(axis=1) / 2e-6, rtol=1e-6, atol=1e-8)
    assert not gradient[:, 2:].any()
    assert not gradient[np.isnan(a)].any()
