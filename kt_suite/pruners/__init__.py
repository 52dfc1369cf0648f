"""Pruners: stop trials that cannot win in mid-training."""

from kt_suite.pruners.base import Pruner


def by_name(name: str) -> Pruner:
    raise ValueError(name)
