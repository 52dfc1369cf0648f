"""Checks of what a search is asked to do, made before anything is trained."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import keras_tuner

from kt_suite.errors import InputError, rule
from kt_suite.objective import DefaultObjective


def check_arguments(oracle: Any, score: str, keep_checkpoints: int | str, executions_per_trial: int) -> None:
    """Raises ``InputError`` for an argument of a tuner that is out of its range."""
    if not isinstance(oracle, keras_tuner.Oracle):
        raise InputError(rule("oracle", "be a keras_tuner.Oracle", oracle))
    if score not in ("best", "last"):
        raise InputError(rule("score", 'be "best" or "last"', score))
    is_number = isinstance(keep_checkpoints, int) and not isinstance(keep_checkpoints, bool) and keep_checkpoints >= 0
    if not is_number and keep_checkpoints != "all":
        raise InputError(rule("keep_checkpoints", 'be a number of trials or "all"', keep_checkpoints))
    if not isinstance(executions_per_trial, int) or executions_per_trial < 1:
        raise InputError(rule("executions_per_trial", "be an integer of at least 1", executions_per_trial))


def check_environment() -> None:
    """Raises ``InputError`` where KerasTuner's chief and workers are configured: each would search on its own."""
    chief = os.environ.get("KERASTUNER_ORACLE_IP")
    if chief:
        raise InputError(rule("KERASTUNER_ORACLE_IP", "be unset", chief, 'Use executor="processes" instead.'))


def check_objective(objective: Any) -> None:
    """Raises ``InputError`` for a plain training without an objective."""
    if isinstance(objective, DefaultObjective):
        remedy = 'Give objective="val_loss", say; without one, run_trial or HyperModel.fit must return a float.'
        raise InputError(rule("objective", "be given", None, remedy))


def check_space(hyperparameters: Any) -> None:
    """Raises ``InputError`` for a space with nothing to tune."""
    if all(type(hp).__name__ == "Fixed" for hp in hyperparameters.space):
        remedy = "Use hp.Int, hp.Choice, ... in build."
        raise InputError(rule("The space", "hold at least one hyperparameter to tune", [], remedy))


def inputs_of(fit_args: tuple[Any, ...], fit_kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
    """Returns ``x`` and ``y`` among the arguments of ``fit``."""
    x = fit_args[0] if fit_args else fit_kwargs.get("x")
    y = fit_args[1] if len(fit_args) > 1 else fit_kwargs.get("y")
    return x, y


def check_data(x: Any, y: Any, validation_data: Any) -> None:
    """Raises ``InputError`` where inputs and targets differ in length; passes over what has none (datasets)."""
    _check_lengths(x, y, "")
    if isinstance(validation_data, (tuple, list)) and len(validation_data) > 1:
        _check_lengths(validation_data[0], validation_data[1], "validation_")


def _check_lengths(x: Any, y: Any, what: str) -> None:
    num_x, num_y = _length(x), _length(y)
    if num_x is not None and num_y is not None and num_x != num_y:
        raise InputError(rule(f"The length of {what}y", f"equal that of {what}x ({num_x})", num_y))


def _length(data: Any) -> int | None:
    if isinstance(data, Mapping):
        data = next(iter(data.values()), None)
    elif isinstance(data, (list, tuple)) and data and hasattr(data[0], "shape"):
        data = data[0]
    shape = getattr(data, "shape", None)
    if shape is not None and len(shape):
        return int(shape[0])
    return len(data) if isinstance(data, list) else None
