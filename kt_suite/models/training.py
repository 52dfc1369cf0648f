"""The training recipe: the space of optimizers and learning-rate schedules, and how they are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from kt_suite.errors import InputError, rule
from kt_suite.models.learning_rate_schedule import LearningRateSchedule
from kt_suite.models.ranges import Range

OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
SCHEDULES = ("constant", "cosine", "warmup_cosine")
DEFAULT_BATCH_SIZE = (32, 128)
_MIN_BATCHES = 4

Tune = Callable[[str], Any]
"""Returns the value of a hyperparameter, declaring it where it is new."""


def training_ranges(
    *,
    optimizer: Any,
    learning_rate: Any,
    sgd_learning_rate: Any,
    momentum: Any,
    weight_decay: Any,
    schedule: Any,
    warmup_share: Any,
    batch_size: Any,
) -> list[Range]:
    """Returns the ranges of the recipe's hyperparameters, checked."""
    return [
        Range("optimizer", optimizer, "adam", names=OPTIMIZERS),
        Range("learning_rate", learning_rate, 3e-3, at_least=0, log=True),
        Range("sgd_learning_rate", sgd_learning_rate, 2e-2, at_least=0, log=True),
        Range("momentum", momentum, 0.9, at_least=0, below=1),
        Range("weight_decay", weight_decay, 1e-2, at_least=0, log=True),
        Range("schedule", schedule, "cosine", names=SCHEDULES),
        Range("warmup_share", warmup_share, 0.1, at_least=0, below=1),
        Range("batch_size", batch_size, DEFAULT_BATCH_SIZE[0], at_least=1, step=1, doubles=True),
    ]


def make_optimizer(hp: Any, tune: Tune) -> Any:
    """Returns a new optimizer with its peak learning rate."""
    kind = tune("optimizer")
    with hp.conditional_scope("optimizer", ["adam", "adamw", "rmsprop"]):
        learning_rate = tune("learning_rate")
    with hp.conditional_scope("optimizer", ["sgd"]):
        sgd_learning_rate, momentum = tune("sgd_learning_rate"), tune("momentum")
    with hp.conditional_scope("optimizer", ["adamw"]):
        weight_decay = tune("weight_decay")
    if kind == "adam":
        return keras.optimizers.Adam(learning_rate)
    if kind == "adamw":
        return keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
    if kind == "sgd":
        return keras.optimizers.SGD(sgd_learning_rate, momentum=momentum, nesterov=True)
    if kind == "rmsprop":
        return keras.optimizers.RMSprop(learning_rate)
    remedy = "Override optimizer(hp) for others."
    raise InputError(rule("optimizer", f"be one of {', '.join(OPTIMIZERS)}", kind, remedy))


def make_schedule(hp: Any, tune: Tune, optimizer: Callable[[Any], Any]) -> LearningRateSchedule | None:
    """Returns the callback that moves the learning rate of what ``optimizer(hp)`` returns, if any is to."""
    kind = tune("schedule")
    with hp.conditional_scope("schedule", ["warmup_cosine"]):
        warmup = tune("warmup_share")
    if kind not in SCHEDULES:
        remedy = "Override schedule(hp) for others."
        raise InputError(rule("schedule", f"be one of {', '.join(SCHEDULES)}", kind, remedy))
    if kind == "constant":
        return None
    peak = optimizer(hp).get_config()["learning_rate"]
    if not isinstance(peak, float):  # an overridden optimizer may bring a schedule of its own
        return None
    return LearningRateSchedule(peak, warmup if kind == "warmup_cosine" else 0.0)


def suitable_batch_sizes(num_rows: int) -> tuple[int, int]:
    """Returns the default range, or a lower one where an epoch would have fewer than 4 batches."""
    low, high = DEFAULT_BATCH_SIZE
    while high > 8 and num_rows < _MIN_BATCHES * high:
        high //= 2
    return max(8, min(low, high // 4)), high
