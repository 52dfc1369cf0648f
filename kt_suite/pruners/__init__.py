"""Pruners: stop trials that cannot win in mid-training."""

from __future__ import annotations

from kt_suite.errors import InputError, near, rule
from kt_suite.pruners.base import Pruner
from kt_suite.pruners.median import MedianPruner
from kt_suite.pruners.patience import PatiencePruner
from kt_suite.pruners.percentile import PercentilePruner
from kt_suite.pruners.successive_halving import SuccessiveHalvingPruner
from kt_suite.pruners.threshold import ThresholdPruner

PRUNERS: dict[str, type[Pruner]] = {
    "median": MedianPruner,
    "percentile": PercentilePruner,
    "asha": SuccessiveHalvingPruner,
    "patience": PatiencePruner,
    "threshold": ThresholdPruner,
}

__all__ = [
    "PRUNERS",
    "MedianPruner",
    "PatiencePruner",
    "PercentilePruner",
    "Pruner",
    "SuccessiveHalvingPruner",
    "ThresholdPruner",
    "by_name",
]


def by_name(name: str) -> Pruner:
    """Returns the pruner that a name stands for, with its default arguments.

    Args:
        name: One of ``PRUNERS``.

    Raises:
        InputError: No pruner has that name.
    """
    if name not in PRUNERS:
        raise InputError(rule("pruner", f"be one of {list(PRUNERS)}, or a Pruner", name, near(name, PRUNERS)))
    return PRUNERS[name]()
