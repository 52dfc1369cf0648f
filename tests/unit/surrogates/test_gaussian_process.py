from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from kt_suite.surrogates import GaussianProcess, KernelParameters, MixedMatern
from kt_suite.surrogates.mixed_matern import matern52

PARAMETERS = KernelParameters(np.array([0.4, 0.9, 0.6]), scale=1.7, noise=1e-3, mean_variance=0.6)


def mixed_points(num: int, seed: int) -> np.ndarray:
    """Returns a float, a category of four, and a float that is inactive now and then."""
    rng = np.random.default_rng(seed)
    x = rng.random((num, 3))
    x[:, 1] = (rng.integers(4, size=num) + 0.5) / 4
    x[rng.random(num) < 0.3, 2] = np.nan
    return x


@pytest.fixture
def kernel() -> MixedMatern:
    return MixedMatern(np.array([False, True, False]), np.array([False, False, True]))


@pytest.fixture
def process(kernel: MixedMatern) -> GaussianProcess:
    x = mixed_points(25, seed=0)
    return GaussianProcess(kernel, PARAMETERS, x, np.sin(5 * x[:, 0]) + x[:, 1])


def test_posterior_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x, y, new = rng.random((30, 3)), rng.standard_normal(30), rng.random((50, 3))
    lengths = np.array([0.3, 0.8, 2.0])
    covariance = ConstantKernel(1.7) * Matern(lengths, nu=2.5) + ConstantKernel(0.6)
    peer = GaussianProcessRegressor(covariance, alpha=1e-3, optimizer=None)
    mean, deviation = peer.fit(x, y).predict(new, return_std=True)
    ours = GaussianProcess(
        MixedMatern(np.zeros(3, bool), np.zeros(3, bool)), KernelParameters(lengths, 1.7, 1e-3, 0.6), x, y
    ).posterior(new)
    np.testing.assert_allclose(ours.mean, mean, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(ours.deviation, deviation, rtol=1e-9)


def test_posterior_agrees_with_the_dense_formula(process: GaussianProcess) -> None:
    new = mixed_points(20, seed=1)

    def covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        correlation = matern52(process.kernel.weighted(a, b, PARAMETERS.weights))[0]
        return PARAMETERS.scale * correlation + PARAMETERS.mean_variance

    inverse = np.linalg.inv(covariance(process.x, process.x) + PARAMETERS.noise * np.eye(25))
    cross = covariance(new, process.x)
    posterior = process.posterior(new)
    np.testing.assert_allclose(posterior.mean, cross @ inverse @ process.y, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(
        posterior.variance, np.diag(covariance(new, new) - cross @ inverse @ cross.T), rtol=1e-8, atol=1e-10
    )


def test_gradient_agrees_with_differences(process: GaussianProcess) -> None:
    new = mixed_points(20, seed=2)
    rng = np.random.default_rng(3)
    by_mean, by_variance = rng.standard_normal((2, 20))
    gradient = process.posterior(new).pull_back(by_mean, by_variance)

    def value(x: np.ndarray) -> np.ndarray:
        posterior = process.posterior(x)
        return by_mean * posterior.mean + by_variance * posterior.variance

    for j in (0, 2):
        step = np.zeros(3)
        step[j] = 1e-6
        difference = np.nan_to_num(value(new + step) - value(new - step)) / 2e-6
        np.testing.assert_allclose(gradient[:, j], difference, rtol=1e-5, atol=1e-7)
    assert not gradient[:, 1].any()


def test_conditioning_equals_fitting_on_all_at_once(kernel: MixedMatern) -> None:
    x = mixed_points(30, seed=4)
    y = np.cos(3 * x[:, 0])
    at_once = GaussianProcess(kernel, PARAMETERS, x, y)
    in_parts = (
        GaussianProcess(kernel, PARAMETERS, x[:18], y[:18]).condition(x[18:25], y[18:25]).condition(x[25:], y[25:])
    )
    new = mixed_points(10, seed=5)
    np.testing.assert_allclose(in_parts.posterior(new).mean, at_once.posterior(new).mean, rtol=1e-9)
    np.testing.assert_allclose(in_parts.posterior(new).variance, at_once.posterior(new).variance, rtol=1e-7)


def test_a_fantasy_lowers_the_variance_and_leaves_the_mean(process: GaussianProcess) -> None:
    new = mixed_points(10, seed=6)
    before = process.posterior(new)
    after = process.condition(new[:1]).posterior(new)
    np.testing.assert_allclose(after.mean, before.mean, atol=1e-9)
    assert np.all(after.variance <= before.variance + 1e-12)
    assert after.variance[0] < 0.1 * before.variance[0]


def test_conditioning_on_nothing_changes_nothing(process: GaussianProcess) -> None:
    assert process.condition(np.empty((0, 3))) is process


def test_repeated_points_without_noise_do_not_break_it(kernel: MixedMatern) -> None:
    x = np.repeat(mixed_points(5, seed=7), 4, axis=0)
    process = GaussianProcess(kernel, KernelParameters(np.ones(3), 1.0, 0.0), x, np.repeat(np.arange(5.0), 4))
    posterior = process.posterior(x)
    assert np.all(np.isfinite(posterior.mean))
    assert np.all(posterior.variance > 0.0)
    np.testing.assert_allclose(posterior.mean, process.y, atol=1e-3)


def test_points_gathered_where_it_is_low_do_not_lower_the_mean_far_away() -> None:
    kernel = MixedMatern(np.array([False]), np.array([False]))
    gathered = np.linspace(0.0, 0.02, 20)
    x, y = np.r_[gathered, 0.5, 0.75][:, None], np.r_[np.full(20, -1.0), 1.0, 1.0]
    far = np.array([[1.0]])
    known, unknown = (
        GaussianProcess(kernel, KernelParameters(np.array([0.05]), 1.0, 1e-6, variance), x, y - y.mean())
        for variance in (0.0, 1.0)
    )
    truth = 1.0 - y.mean()
    assert truth - unknown.posterior(far).mean[0] < 0.75 * (truth - known.posterior(far).mean[0])
