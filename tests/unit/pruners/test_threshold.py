"""Stopping trials that leave a range."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kt_suite.errors import InputError
from kt_suite.pruners import ThresholdPruner
from tests.unit.pruners.training import Training


def test_bounds_are_in_the_units_of_the_objective() -> None:
    assert Training(ThresholdPruner(lower=0.2), "max").train([0.3, 0.2, 0.1]) == 2
    assert Training(ThresholdPruner(upper=10.0), "min").train([9.0, 10.0, 11.0]) == 2
    assert Training(ThresholdPruner(lower=0.0, upper=1.0)).train([0.0, 1.0]) is None


def test_what_is_no_number_stops_without_any_bound() -> None:
    for wrong in (math.nan, math.inf, -math.inf):
        assert Training(ThresholdPruner()).train([1.0, wrong]) == 1


def test_warmup_epochs_are_not_judged() -> None:
    assert Training(ThresholdPruner(upper=1.0, num_warmup_epochs=2)).train([5.0, 5.0, 0.5]) is None
    assert Training(ThresholdPruner(upper=1.0, num_warmup_epochs=2)).train([5.0, 5.0, 5.0]) == 2


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"lower": "a"}, "lower"),
        ({"upper": math.nan}, "upper"),
        ({"lower": 2.0, "upper": 1.0}, "lower"),
        ({"lower": 1.0, "upper": 1.0}, "lower"),
        ({"num_warmup_epochs": -1}, "num_warmup_epochs"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=f"{what} must .*, but got"):
        ThresholdPruner(**options)
