from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from kt_suite.acquisition.log_ei import log_expected_improvement

# log(phi(z) + z Phi(z)), from 80 digits of working precision
EXACT = {
    30.0: 3.4011973816621555,
    3.0: 1.0987396653277077,
    0.0: -0.9189385332046728,
    -0.99: -2.4661143916690493,
    -1.0: -2.4851210257126413,
    -1.01: -2.504199857480257,
    -5.0: -16.74430116266099,
    -37.0: -692.6429601632705,
    -149.0: -11111.426966252848,
    -151.0: -11411.45362975982,
    -1000.0: -500014.73445209116,
    -10000.0: -50000019.33961931,
}


@pytest.mark.parametrize("z", EXACT)
def test_values_are_exact_from_the_middle_to_the_far_tail(z: float) -> None:
    value = log_expected_improvement(np.array([-0.5 * z]), np.array([0.5]), 0.0)[0][0]
    assert value == pytest.approx(EXACT[z] + np.log(0.5), rel=1e-13)


def test_value_is_the_log_of_the_expected_improvement() -> None:
    mean, deviation, threshold = 0.3, 0.7, -0.2
    improvement, _ = integrate.quad(lambda f: (threshold - f) * stats.norm.pdf(f, mean, deviation), -np.inf, threshold)
    value = log_expected_improvement(np.array([mean]), np.array([deviation]), threshold)[0]
    assert np.exp(value[0]) == pytest.approx(improvement, rel=1e-9)


def test_derivatives_agree_with_differences() -> None:
    z = np.array([5.0, 0.1, -0.9, -1.1, -7.0, -140.0, -160.0, -1e4])
    deviation = np.linspace(0.2, 2.0, len(z))
    mean = -z * deviation
    _, by_mean, by_deviation = log_expected_improvement(mean, deviation, 0.0)

    def slope(value: object, at: np.ndarray) -> np.ndarray:
        step = 1e-6 * np.maximum(np.abs(at), 0.1)
        return (value(at + step) - value(at - step)) / (2 * step)  # type: ignore[operator]

    np.testing.assert_allclose(
        by_mean, slope(lambda m: log_expected_improvement(m, deviation, 0.0)[0], mean), rtol=1e-5
    )
    np.testing.assert_allclose(
        by_deviation, slope(lambda s: log_expected_improvement(mean, s, 0.0)[0], deviation), rtol=1e-5, atol=1e-8
    )


def test_nothing_overflows_where_improvement_is_hopeless() -> None:
    with np.errstate(all="raise", under="ignore"):
        parts = log_expected_improvement(np.array([1e3, 1e8]), np.array([1e-7, 1e-7]), 0.0)
    assert np.all(np.isfinite(parts))
    assert parts[0][0] > parts[0][1]
