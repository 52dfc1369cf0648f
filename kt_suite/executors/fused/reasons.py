"""Why a search, or one of its trials, trains one after the other after all."""

from __future__ import annotations

from typing import Any

import keras

from kt_suite.executors.fused.callbacks import foresees, obstacle
from kt_suite.executors.fused.streams import is_stream, num_batches
from kt_suite.executors.fused.unfusable import Unfusable
from kt_suite.executors.training import is_factory, listed
from kt_suite.hypermodel import overrides_fit
from kt_suite.scoring import scorers_for

_OWN_TRAINING = ("fit", "train_step", "test_step", "compute_loss", "compute_metrics", "make_train_function", "evaluate")


def obstacle_of_search(runner: Any) -> str | None:
    """Returns why no trial of a search can be fused, and what to change; ``None`` if some may be.

    Args:
        runner: The tuner, with the arguments of ``search``.
    """
    hypermodel = runner.hypermodel
    if runner._overrides("run_trial"):
        return f"{type(runner).__name__} overrides run_trial: override parts of HyperModel instead"
    if overrides_fit(hypermodel):
        return f"{type(hypermodel).__name__} overrides fit: use fit_options, adapt and callbacks instead"
    if runner.racing is not None:
        return "its folds are raced, and so must train one after the other"
    if runner._tunes_estimators:
        return "its models are estimators, not of Keras"
    if scorers_for(runner.oracle.objective):
        return f"the objective {runner.oracle.objective.name!r} is computed from predictions after each epoch"
    for hook in ("on_batch_begin", "on_batch_end", "_build_and_fit_model"):
        if runner._overrides(hook):
            return f"{type(runner).__name__} overrides {hook}, which acts in mid-epoch"
    if keras.backend.backend() not in ("tensorflow", "jax"):
        return f"the backend {keras.backend.backend()!r} is not fused: use tensorflow or jax"
    if _runs_eagerly():
        return "functions of TensorFlow run eagerly (tf.config.run_functions_eagerly)"
    if runner.distribution_strategy is not None or runner.distribution.is_given:
        return "each trial is distributed over devices of its own"
    callbacks = runner._fit_kwargs.get("callbacks")
    reasons = [obstacle(one) for one in listed(callbacks() if is_factory(callbacks) else callbacks)]
    return next((reason for reason in reasons if reason is not None), None)


def _runs_eagerly() -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return bool(tf.config.functions_run_eagerly())


def check_run(model: Any, arguments: dict[str, Any]) -> None:
    """Checks what a skeleton does not tell of a run.

    Raises:
        Unfusable: It needs a training of its own.
    """
    kind = type(model)
    own = [
        name
        for name in _OWN_TRAINING
        if name in vars(model) or getattr(kind, name, None) is not getattr(keras.Model, name, None)
    ]
    reasons = [f"{kind.__name__} overrides {name}, which a stack does not call" for name in own]
    if getattr(model, "run_eagerly", False):
        reasons.append("the model is compiled with run_eagerly=True: leave it out")
    reasons += _reasons_of_steps(model, arguments)
    callbacks = keras.tree.flatten(arguments.get("callbacks") or [])
    reasons += [reason for reason in map(obstacle, callbacks) if reason is not None]
    if int(arguments.get("initial_epoch") or 0) >= int(arguments.get("epochs") or 1):
        reasons.append("there is no epoch to train")
    if reasons:
        raise Unfusable(reasons)


def _reasons_of_steps(model: Any, arguments: dict[str, Any]) -> list[str]:
    steps, together = arguments.get("steps_per_epoch"), getattr(model, "steps_per_execution", 1)
    if not isinstance(together, int):
        return [f"the model is compiled with steps_per_execution={together!r}: give a number"]
    reasons = []
    for name in ("steps_per_epoch", "validation_steps"):
        if arguments.get(name) and arguments[name] % together:
            reasons.append(f"{name}={arguments[name]} is no multiple of steps_per_execution={together}")
    if arguments.get("class_weight") is not None and arguments.get("sample_weight") is not None:
        reasons.append("class_weight and sample_weight are both given: give one of them")
    x = arguments.get("x")
    has_unknown_length = steps is None and is_stream(x) and num_batches(x) is None
    if has_unknown_length and any(map(foresees, keras.tree.flatten(arguments.get("callbacks") or []))):
        reasons.append("a callback acts before each batch of a data set of unknown length: give steps_per_epoch")
    return reasons
