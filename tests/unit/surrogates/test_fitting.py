from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kt_suite.surrogates import MixedMatern, Priors, fit
from kt_suite.surrogates.fitting import NegativeLogPosterior
from kt_suite.surrogates.mixed_matern import matern52

KERNEL = MixedMatern(np.array([False, True, False]), np.array([False, False, True]))


def data(num: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.random((num, 3))
    x[:, 1] = (rng.integers(3, size=num) + 0.5) / 3
    x[rng.random(num) < 0.3, 2] = np.nan
    y = np.sin(6 * x[:, 0]) + x[:, 1]
    return x, (y - y.mean()) / y.std()


@pytest.mark.parametrize("noise", [None, 1e-3])
def test_value_is_the_log_density_of_observations_and_hyperparameters(noise: float | None) -> None:
    x, y = data()
    objective = NegativeLogPosterior(KERNEL, x, y, Priors(), noise)
    rng = np.random.default_rng(1)
    differences = []
    for _ in range(3):
        theta = objective.prior_mean + rng.standard_normal(5)
        p = objective.parameters(theta)
        covariance = p.scale * matern52(KERNEL.weighted(x, x, p.weights))[0] + p.mean_variance
        covariance += p.noise * np.eye(len(x))
        log_density = stats.multivariate_normal(np.zeros(len(x)), covariance).logpdf(y)
        log_density += stats.norm(objective.prior_mean, objective.prior_spread).logpdf(theta).sum()
        differences.append(objective(theta)[0] + log_density)
    np.testing.assert_allclose(differences, differences[0], rtol=1e-7)


@pytest.mark.parametrize("noise", [None, 1e-3])
def test_gradient_agrees_with_differences(noise: float | None) -> None:
    x, y = data()
    objective = NegativeLogPosterior(KERNEL, x, y, Priors(), noise)
    theta = objective.prior_mean + np.random.default_rng(2).standard_normal(5)
    steps = 1e-5 * np.eye(5)
    differences = [(objective(theta + step)[0] - objective(theta - step)[0]) / 2e-5 for step in steps]
    np.testing.assert_allclose(objective(theta)[1], differences, rtol=1e-5, atol=1e-7)


def test_what_does_not_matter_gets_the_longest_length_scale() -> None:
    rng = np.random.default_rng(3)
    x = rng.random((40, 3))
    y = np.sin(8 * x[:, 0]) + 0.5 * np.cos(4 * x[:, 1])
    plain = MixedMatern(np.zeros(3, bool), np.zeros(3, bool))
    lengths = fit(plain, x, (y - y.mean()) / y.std())[0].length_scales
    assert lengths[0] < lengths[1] < lengths[2]


def test_noise_is_found() -> None:
    rng = np.random.default_rng(4)
    x = rng.random((120, 1))
    signal = np.sin(6 * x[:, 0])
    y = signal + 0.3 * rng.standard_normal(120)
    parameters, _ = fit(MixedMatern(np.zeros(1, bool), np.zeros(1, bool)), x, (y - y.mean()) / y.std())
    assert parameters.noise * y.var() == pytest.approx(0.09, rel=0.4)


def test_known_noise_is_kept() -> None:
    x, y = data()
    assert fit(KERNEL, x, y, noise=0.25)[0].noise == 0.25


def test_a_fit_is_no_worse_than_its_start() -> None:
    x, y = data(60)
    objective = NegativeLogPosterior(KERNEL, x, y, Priors())
    assert fit(KERNEL, x, y)[1] < objective(objective.prior_mean)[0]


def test_equal_observations_can_be_fitted() -> None:
    x, _ = data()
    parameters, value = fit(KERNEL, x, np.zeros(len(x)))
    assert np.all(np.isfinite(parameters.length_scales))
    assert np.isfinite(value)
