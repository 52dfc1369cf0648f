from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kt_suite.surrogates import OutputWarping


@pytest.fixture
def losses() -> np.ndarray:
    return np.exp(np.random.default_rng(0).standard_normal(50))


@pytest.mark.parametrize("make", [OutputWarping.standardizing, OutputWarping.powering])
def test_warped_losses_have_mean_0_and_variance_1(make: object, losses: np.ndarray) -> None:
    warped = make(losses)(losses)  # type: ignore[operator]
    assert warped.mean() == pytest.approx(0.0, abs=1e-9)
    assert warped.std() == pytest.approx(1.0)


def test_order_is_kept(losses: np.ndarray) -> None:
    warped = OutputWarping.powering(losses)(np.sort(losses))
    assert np.all(np.diff(warped) > 0.0)


def test_power_transform_is_that_of_scipy(losses: np.ndarray) -> None:
    warping = OutputWarping.powering(losses)
    z = (losses - losses.mean()) / losses.std()
    assert warping.power == pytest.approx(stats.yeojohnson_normmax(z), abs=1e-3)
    peer = stats.yeojohnson(z, warping.power)
    np.testing.assert_allclose(warping(losses), (peer - peer.mean()) / peer.std(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", [OutputWarping.standardizing, OutputWarping.powering])
def test_log_slopes_agree_with_differences(make: object, losses: np.ndarray) -> None:
    warping = make(losses)  # type: ignore[operator]
    steps = 1e-6 * losses
    slopes = (warping(losses + steps) - warping(losses - steps)) / (2 * steps)
    np.testing.assert_allclose(warping.log_slopes(losses), np.log(slopes), atol=1e-6)


def test_a_diverged_loss_does_not_flatten_the_others() -> None:
    losses = np.append(np.linspace(0.0, 1.0, 20), 1e30)
    warped = OutputWarping.standardizing(losses)(losses)
    assert warped.max() == warped[-1]
    assert np.ptp(warped[:20]) > 0.1


def test_ordinary_losses_have_no_bound_in_reach(losses: np.ndarray) -> None:
    assert OutputWarping.standardizing(losses).bound > losses.max()


@pytest.mark.parametrize("make", [OutputWarping.standardizing, OutputWarping.powering])
def test_equal_losses_become_zeros(make: object) -> None:
    losses = np.full(7, 0.1)
    np.testing.assert_allclose(make(losses)(losses), np.zeros(7), atol=1e-12)  # type: ignore[operator]
