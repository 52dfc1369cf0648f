"""What is left to inline training although it could be fused: where it would not pay, or could be noticed.

Where nobody has asked for fused trials, a search must come to the same and look the same. Trials side by side begin
before others have ended, which a script can notice by its own callbacks and methods, by limits that end a search, and
by proposals and pruners that look at what has ended.
"""

from __future__ import annotations

from typing import Any

import keras

from kt_suite.executors.fused.memory import total_memory
from kt_suite.executors.fused.rowwise import is_keras
from kt_suite.executors.fused.slots import is_independent
from kt_suite.executors.fused.unfusable import Unfusable
from kt_suite.executors.training import is_factory, listed
from kt_suite.pruners.patience import PatiencePruner
from kt_suite.pruners.threshold import ThresholdPruner
from kt_suite.rows import leaves

_SEES_TRIALS_COME_AND_GO = (
    "on_trial_begin",
    "on_trial_end",
    "pre_create_trial",
    "on_epoch_begin",
    "on_epoch_end",
    "load_model",
    "save_model",
)
# Callbacks that act on their own model alone, and write nowhere that runs share.
_OF_ONE_RUN = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.TensorBoard,
    keras.callbacks.TerminateOnNaN,
)
_JUDGE_A_TRIAL_BY_ITSELF = (PatiencePruner, ThresholdPruner)
_OURS = ("kt_suite.", "keras_tuner.")


def obstacle_of_discretion(runner: Any) -> str | None:
    """Returns why a search that could be fused had better not be, where nobody asked for it; ``None`` if it may.

    Args:
        runner: The tuner, with the arguments of ``search``.
    """
    return _seen_from_outside(runner) or _too_large(runner)


def _seen_from_outside(runner: Any) -> str | None:
    oracle, limits = runner.oracle, runner._limits
    if not is_independent(oracle):
        return "what is proposed follows from the results of earlier trials"
    if runner.pruner is not None and type(runner.pruner) not in _JUDGE_A_TRIAL_BY_ITSELF:
        return "trials are pruned by how those before them have ended"
    for name in ("time_budget", "patience", "target"):
        if getattr(limits, name) is not None:
            return f"{name} may end the search, and would cut off trials under way"
    for method in _SEES_TRIALS_COME_AND_GO:
        if not getattr(type(runner), method).__module__.startswith(_OURS):
            return f"{type(runner).__name__} overrides {method}, which expects one trial after the other"
    callbacks = runner._fit_kwargs.get("callbacks")
    if is_factory(callbacks):
        return "callbacks are made by a function, which may expect to be called as each trial begins"
    return next(filter(None, map(_obstacle, listed(callbacks))), None)


def _too_large(runner: Any) -> str | None:
    """Returns what is wrong with data that would take much of the memory, or come from where reading is slow."""
    held = leaves([*runner._fit_args, *(runner._fit_kwargs.get(name) for name in ("x", "y", "validation_data"))])
    size = sum(int(getattr(leaf, "nbytes", 0)) for leaf in held if hasattr(leaf, "dtype"))
    return "the data would take a large part of the memory" if size > total_memory() // 8 else None


def _obstacle(callback: Any) -> str | None:
    if type(callback) in _OF_ONE_RUN or getattr(callback, "acts_by_epoch", False):
        return None
    return f"the callback {type(callback).__name__} may expect one trial after the other"


def check_alike(model: Any, callbacks: Any) -> None:
    """Checks that a run comes to the same as inline, whatever its user has written.

    Args:
        model: Built and compiled.
        callbacks: All of the run.

    Raises:
        Unfusable: It may not.
    """
    reasons = [reason for reason in map(_obstacle, callbacks) if reason is not None]
    layers = list(model._flatten_layers(include_self=False))
    is_sparse = keras.backend.backend() == "tensorflow" and type(model.optimizer) is not keras.optimizers.SGD
    if is_sparse and any(isinstance(layer, keras.layers.Embedding) for layer in layers):
        reasons.append(
            f"{type(model.optimizer).__name__} steps on sparse gradients of embeddings, and not so in a stack"
        )
    activations = [getattr(layer, "activation", None) for layer in layers]
    judges = keras.tree.flatten([model._compile_loss._user_loss, _metrics_of(model)])
    for function in [*activations, *judges]:
        if not is_keras(function):
            name = getattr(function, "__name__", type(function).__name__)
            reasons.append(f"{name} is a function of your own, which may look at more than one row")
    if reasons:
        raise Unfusable(list(dict.fromkeys(reasons)))


def _metrics_of(model: Any) -> Any:
    metrics = model._compile_metrics
    return [] if metrics is None else [metrics._user_metrics, metrics._user_weighted_metrics]
