"""Pruners: stop trials that cannot win in mid-training."""

from __future__ import annotations

from typing import Any

from kt_suite.errors import InputError, near, rule
from kt_suite.pruners.base import Pruner
from kt_suite.pruners.median import MedianPruner
from kt_suite.pruners.pareto import ParetoPruner
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
    "ParetoPruner",
    "PatiencePruner",
    "PercentilePruner",
    "Pruner",
    "SuccessiveHalvingPruner",
    "ThresholdPruner",
    "by_name",
    "pruner_for",
]


def pruner_for(oracle: Any, pruner: Any) -> Pruner | None:
    """Returns the pruner that a search by ``oracle`` takes.

    Args:
        oracle: The oracle; one that searches for a front has every objective judged.
        pruner: A pruner, the name of one, or ``None``.

    Raises:
        InputError: It is none of these.
    """
    if pruner is None:
        return None
    made = pruner if isinstance(pruner, Pruner) else by_name(pruner)
    return ParetoPruner(made) if hasattr(oracle, "get_pareto_trials") else made


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
