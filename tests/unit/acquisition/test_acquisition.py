from __future__ import annotations

import numpy as np
import pytest

from kt_suite.acquisition.acquisition import (
    Acquisition,
    Utility,
    log_improvement,
    log_probability_below,
    lower_confidence_bound,
    negative_mean,
)
from kt_suite.surrogates import GaussianProcess, KernelParameters, MixedMatern

UTILITIES = {
    "improvement": log_improvement(-0.5),
    "improvement above a floor": log_improvement(-0.5, floor=0.05),
    "bound": lower_confidence_bound(2.0),
    "success": log_probability_below(0.2, 0.1, weight=3.0),
    "speed": negative_mean(1.5),
}


@pytest.fixture
def process() -> GaussianProcess:
    rng = np.random.default_rng(0)
    x = rng.random((20, 3))
    kernel = MixedMatern(np.zeros(3, bool), np.array([False, True, False]))
    return GaussianProcess(kernel, KernelParameters(np.full(3, 0.7), 1.0, 1e-2), x, np.sin(7 * x[:, 0]))


def gradient_by_differences(acquisition: Acquisition, points: np.ndarray) -> np.ndarray:
    steps = 1e-6 * np.eye(points.shape[1])
    columns = [(acquisition(points + step) - acquisition(points - step)) / 2e-6 for step in steps]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("utility", UTILITIES.values(), ids=UTILITIES.keys())
def test_gradient_agrees_with_differences(process: GaussianProcess, utility: Utility) -> None:
    acquisition = Acquisition([(process, utility)], np.array([0.3]))
    points = np.random.default_rng(1).random((6, 2))
    value, gradient = acquisition.with_gradient(points)
    np.testing.assert_array_equal(value, acquisition(points))
    np.testing.assert_allclose(gradient, gradient_by_differences(acquisition, points), rtol=1e-4, atol=1e-6)


def test_terms_add_up(process: GaussianProcess) -> None:
    points, context = np.random.default_rng(2).random((4, 2)), np.array([0.3])
    parts = [Acquisition([(process, utility)], context)(points) for utility in UTILITIES.values()]
    whole = Acquisition([(process, utility) for utility in UTILITIES.values()], context)
    np.testing.assert_allclose(whole(points), np.sum(parts, axis=0))
    np.testing.assert_allclose(
        whole.with_gradient(points)[1], gradient_by_differences(whole, points), rtol=1e-4, atol=1e-6
    )


def test_inactive_coordinates_have_no_gradient(process: GaussianProcess) -> None:
    acquisition = Acquisition([(process, UTILITIES["improvement"])], np.array([0.3]))
    value, gradient = acquisition.with_gradient(np.array([[0.2, np.nan]]))
    assert np.isfinite(value).all()
    assert gradient[0, 0] != 0.0
    assert gradient[0, 1] == 0.0
