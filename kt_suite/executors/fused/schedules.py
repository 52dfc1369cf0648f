"""Learning rates of coming steps, as arrays."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def schedule_values(schedule: Any, start: int, steps: int) -> np.ndarray:
    """Returns the rates that a schedule gives to ``steps`` steps from number ``start`` on."""
    numbers = np.arange(start, start + steps)
    if isinstance(schedule, keras.optimizers.schedules.CosineDecay):
        return _cosine(schedule, numbers)
    ends = [float(schedule(ops.convert_to_tensor(number))) for number in numbers[[0, -1]]]
    try:
        values = np.asarray(ops.convert_to_numpy(schedule(ops.convert_to_tensor(numbers))))
    except Exception:  # one that takes single numbers only, in whatever way it says so
        values = np.empty(0)
    if values.shape == numbers.shape and np.allclose(values[[0, -1]], ends, rtol=1e-6):
        return values
    return np.array([float(schedule(ops.convert_to_tensor(number))) for number in numbers])


def _cosine(schedule: Any, numbers: np.ndarray) -> np.ndarray:
    """Returns what ``CosineDecay`` gives, with and without its warm-up."""
    low, target, warmup = schedule.alpha, schedule.warmup_target, schedule.warmup_steps
    start = schedule.initial_learning_rate
    peak = start if target is None else target
    done = np.minimum(numbers - (0 if target is None else warmup), schedule.decay_steps) / schedule.decay_steps
    decayed = peak * ((1 - low) * 0.5 * (1.0 + np.cos(np.pi * done)) + low)
    if target is None or warmup == 0:
        return np.asarray(decayed)
    rising = start + (target - start) * np.minimum(numbers, warmup) / warmup
    return np.asarray(np.where(numbers < warmup, rising, decayed))
