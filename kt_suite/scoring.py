"""Objectives that Keras does not report, computed on the validation samples after each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kt_suite.rows import is_dataset, materialise, split_validation
from kt_suite.scorers import KERAS_NAMES, call_scorer, is_scorer_name, plain_name, scorer_of


class Scoring(keras.callbacks.Callback):  # type: ignore[misc]
    """Adds the scores of scorers to the metrics of each epoch in which Keras validates.

    They stand in the logs before other callbacks read them, and cost one prediction of the validation samples each;
    ``validation_freq`` of ``fit`` makes them rarer. What the model reports itself under the same name stays.

    Args:
        scorers: Metric name to scorer.
        validation_data: ``(x, y)`` or ``(x, y, sample_weight)``.
        every: Epochs from one validation to the next.
    """

    adds_metrics = True

    def __init__(self, scorers: Mapping[str, Any], validation_data: tuple[Any, ...], every: int = 1) -> None:
        super().__init__()
        self.scorers = scorers
        self._x, self._y, self._weights = (*validation_data, None, None)[:3]
        self._every = every

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the scores to ``logs``."""
        missing = [name for name in self.scorers if logs is not None and name not in logs]
        if logs is None or not missing or (epoch + 1) % self._every:
            return
        from kt_suite.predictions import as_estimator

        estimator, y = as_estimator(self.model, self._x, self._y)
        for name in missing:
            logs[name] = call_scorer(self.scorers[name], estimator, self._x, y, self._weights)


def scorers_for(objective: Any, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the scorers that an objective may need, by metric name.

    Args:
        objective: The objective of a search.
        given: More scorers by metric name.
    """
    parts = getattr(objective, "objectives", [objective])
    found = {part.name: scorer_of(part) for part in parts if _may_need_scorer(part)}
    return {**found, **(given or {})}


def _may_need_scorer(objective: Any) -> bool:
    name = str(objective.name)
    if hasattr(objective, "scorer"):
        return True
    return name.startswith("val_") and plain_name(name) not in KERAS_NAMES and is_scorer_name(name)


def with_scoring(
    scorers: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], list[Any]]:
    """Returns arguments of ``fit``, with the samples of ``validation_split`` set apart, and a callback for the scores.

    Without scorers or validation data they stay as they are, and there is no callback.
    """
    kwargs = dict(kwargs)
    if not scorers:
        return args, kwargs, []
    if kwargs.get("validation_split") and kwargs.get("validation_data") is None:
        args, kwargs = _split_off(args, kwargs)
    held_out = kwargs.get("validation_data")
    if held_out is None:
        return args, kwargs, []
    if is_dataset(held_out):
        held_out = materialise(held_out)[0]
    every = kwargs.get("validation_freq", 1)
    return args, kwargs, [Scoring(scorers, tuple(held_out), every if isinstance(every, int) else 1)]


def _split_off(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    data = dict(zip(("x", "y"), args, strict=False))
    data.update({name: kwargs.pop(name) for name in ("x", "y", "sample_weight") if kwargs.get(name) is not None})
    data, rest = split_validation(data, kwargs)
    weights = {"sample_weight": data["sample_weight"]} if data.get("sample_weight") is not None else {}
    return (data["x"], data.get("y")), {**rest, **weights}
