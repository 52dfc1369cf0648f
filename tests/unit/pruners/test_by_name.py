"""Pruners by name."""

from __future__ import annotations

import pytest

from kt_suite.errors import InputError
from kt_suite.pruners import PRUNERS, by_name
from tests.unit.pruners.training import Training


@pytest.mark.parametrize("name", PRUNERS)
def test_every_name_makes_a_pruner_that_lets_a_good_trial_finish(name: str) -> None:
    pruner = by_name(name)
    assert type(pruner) is PRUNERS[name]
    training = Training(pruner)
    for _ in range(10):
        training.train([9.0] * 12)
    assert training.train([1.0] * 12) is None


def test_names_are_what_the_documentation_lists() -> None:
    assert list(PRUNERS) == ["median", "percentile", "asha", "patience", "threshold"]


def test_a_near_miss_is_named() -> None:
    with pytest.raises(InputError, match=r"pruner must be one of .* but got 'medain'\. Did you mean 'median'\?"):
        by_name("medain")
    with pytest.raises(InputError, match="pruner must be one of"):
        by_name("x")
