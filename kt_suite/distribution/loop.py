"""The training loop that Keras 3's ``fit`` lacks under most distributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kt_suite.distribution.feed import Feed, split_validation
from kt_suite.distribution.processes import any_process, from_chief, is_chief, is_coordinated, is_over_processes
from kt_suite.distribution.runs import CoordinatedRun, SynchronousRun
from kt_suite.errors import InputError, rule

_WRITERS = ("BackupAndRestore", "CSVLogger", "ModelCheckpoint", "RemoteMonitor", "TensorBoard")


def fit(
    model: Any,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: Any = "auto",
    callbacks: Any = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: Any = True,
    class_weight: Any = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: Any = 1,
) -> Any:
    """Trains a compiled model in the distribution it was built in; takes what ``model.fit`` takes.

    It works under every ``tf.distribute.Strategy`` but TPUs', also where ``model.fit`` fails (multi-worker mirrored,
    parameter servers) or reports wrong numbers (central storage; mirrored, in a last batch that replicas share
    unevenly). ``batch_size`` is that of the global batch, which replicas share. In a cluster, every process
    calls this with the same arguments and data; callbacks of Keras that write files run in the chief only.

    Args:
        model: A model that was built and compiled in the scope of a strategy.
        x: Inputs, as for ``model.fit``.
        y: Targets.
        batch_size: Samples of a global batch.
        epochs: The epoch to stop before, from 0.
        verbose: As for ``model.fit``.
        callbacks: As for ``model.fit``.
        validation_split: Share of the samples, the last ones, that validate.
        validation_data: As for ``model.fit``.
        shuffle: As for ``model.fit``; the orders of arrays follow from NumPy's global seed.
        class_weight: As for ``model.fit``.
        sample_weight: As for ``model.fit``.
        initial_epoch: The epoch to start with.
        steps_per_epoch: As for ``model.fit``.
        validation_steps: As for ``model.fit``.
        validation_batch_size: As for ``model.fit``.
        validation_freq: As for ``model.fit``.

    Returns:
        A ``keras.callbacks.History``.

    Raises:
        InputError: The model trains in a way of its own, or its losses cannot be divided among replicas.
    """
    strategy = check_model(model)
    if validation_split and validation_data is None:
        (x, y, sample_weight), validation_data = split_validation(x, y, sample_weight, validation_split)
    feed = _feed(
        model,
        x,
        y,
        sample_weight,
        batch_size=batch_size,
        steps=steps_per_epoch,
        shuffle=shuffle,
        class_weight=class_weight,
    )
    _build(model, strategy, feed.element_spec)
    validation = None
    if validation_data is not None:
        size = validation_batch_size or batch_size
        parts = keras.utils.unpack_x_y_sample_weight(validation_data)
        validation = _feed(model, *parts, batch_size=size, steps=validation_steps, shuffle=False)
    if not isinstance(callbacks, keras.callbacks.CallbackList):
        verbose = verbose if is_chief(strategy) else 0
        callbacks = keras.callbacks.CallbackList(
            _of_this_process(callbacks, strategy),
            add_history=True,
            add_progbar=verbose != 0,
            verbose=verbose,
            epochs=epochs,
            steps=feed.num_steps,
            model=model,
        )
    model.stop_training = False
    callbacks.on_train_begin()
    logs = _epochs(model, feed, validation, callbacks, range(initial_epoch, epochs), validation_freq)
    if isinstance(model.optimizer, keras.optimizers.Optimizer) and epochs > 0:
        model.optimizer.finalize_variable_values(model.trainable_weights)
    callbacks.on_train_end(logs)
    return model.history


def _epochs(model: Any, feed: Feed, validation: Any, callbacks: Any, epochs: range, validation_freq: Any) -> Any:
    strategy = model.distribute_strategy
    train = _run(model, strategy, training=True)
    test = None if validation is None else _run(model, strategy, training=False)

    def end(step: int, logs: dict[str, Any]) -> bool:
        callbacks.on_train_batch_end(step, logs)
        model.stop_training = any_process(strategy, model.stop_training)
        return bool(model.stop_training)

    epoch_logs: dict[str, Any] | None = None
    for epoch in epochs:
        model.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        logs = train.epoch(feed, model.steps_per_execution, callbacks.on_train_batch_begin, end)
        epoch_logs = _numbers(logs)
        if test is not None and model._should_eval(epoch, validation_freq):
            tested = _test(model, test, validation, callbacks)
            epoch_logs.update({f"val_{name}": value for name, value in tested.items()})
        callbacks.on_epoch_end(epoch, epoch_logs)
        model.stop_training = any_process(strategy, model.stop_training)
        if model.stop_training:
            break
    return epoch_logs


def evaluate(
    model: Any,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    verbose: Any = "auto",
    sample_weight: Any = None,
    steps: int | None = None,
    callbacks: Any = None,
    return_dict: bool = False,
) -> Any:
    """Evaluates a compiled model in the distribution it was built in; takes what ``model.evaluate`` takes.

    Args:
        model: A model that was built and compiled in the scope of a strategy.
        x: Inputs, as for ``model.evaluate``.
        y: Targets.
        batch_size: Samples of a global batch.
        verbose: As for ``model.evaluate``.
        sample_weight: As for ``model.evaluate``.
        steps: As for ``model.evaluate``.
        callbacks: As for ``model.evaluate``.
        return_dict: As for ``model.evaluate``.

    Returns:
        A dict of metrics, or a list of their values in the order of ``model.metrics_names``.

    Raises:
        InputError: The model tests in a way of its own, or its losses cannot be divided among replicas.
    """
    strategy = check_model(model)
    feed = _feed(model, x, y, sample_weight, batch_size=batch_size, steps=steps, shuffle=False)
    _build(model, strategy, feed.element_spec)
    if not isinstance(callbacks, keras.callbacks.CallbackList):
        verbose = verbose if is_chief(strategy) else 0
        callbacks = keras.callbacks.CallbackList(
            _of_this_process(callbacks, strategy),
            add_progbar=verbose != 0,
            verbose=verbose,
            epochs=1,
            steps=feed.num_steps,
            model=model,
        )
    logs = _test(model, _run(model, strategy, training=False), feed, callbacks)
    return logs if return_dict else model._flatten_metrics_in_order(logs)


def _test(model: Any, run: Any, feed: Feed, callbacks: Any) -> dict[str, Any]:
    def end(step: int, logs: dict[str, Any]) -> bool:
        callbacks.on_test_batch_end(step, logs)
        model.stop_evaluating = any_process(model.distribute_strategy, model.stop_evaluating)
        return bool(model.stop_evaluating)

    model.stop_evaluating = False
    callbacks.on_test_begin()
    model.reset_metrics()
    feed.restart()
    logs = _numbers(run.epoch(feed, model.steps_per_execution, callbacks.on_test_batch_begin, end))
    callbacks.on_test_end(logs)
    return logs


def check_model(model: Any) -> Any:
    """Returns the strategy of a model that can be trained here.

    Raises:
        InputError: The model is not compiled, trains in a way of its own, or runs on a TPU.
    """
    strategy = model.distribute_strategy
    if not getattr(model, "compiled", False):
        raise InputError(rule("The model", "be compiled", model, "Call model.compile in the strategy's scope."))
    if isinstance(strategy, tf.distribute.TPUStrategy):
        raise InputError(rule("The distribution", "not be a TPU's", strategy, "model.fit serves TPUs."))
    if not is_plain(model):
        remedy = "Override compute_loss or compute_metrics instead."
        raise InputError(rule("train_step and test_step", "be keras.Model's own", type(model).__name__, remedy))
    return strategy


def is_plain(model: Any) -> bool:
    """Whether a model's training and test steps are those of ``keras.Model``."""
    names = ("train_step", "test_step", "make_train_function", "make_test_function")
    return all(getattr(type(model), name) is getattr(keras.Model, name) for name in names)


def _feed(model: Any, x: Any, y: Any = None, sample_weight: Any = None, **options: Any) -> Feed:
    strategy = model.distribute_strategy
    seed = 0
    if options["shuffle"]:
        seed = from_chief(strategy, int(np.random.randint(2**31 - 1)))  # noqa: NPY002 - what Keras's seeds set
    return Feed(x, y, sample_weight, seed=seed, strategy=strategy, is_coordinated=is_coordinated(strategy), **options)


def _build(model: Any, strategy: Any, element_spec: Any) -> None:
    with strategy.scope():
        model._symbolic_build(data_batch=element_spec)


def _run(model: Any, strategy: Any, *, training: bool) -> Any:
    kind = CoordinatedRun if is_coordinated(strategy) else SynchronousRun
    return kind(model, strategy, training=training)


def _numbers(logs: dict[str, Any]) -> dict[str, Any]:
    return {name: value.item() if value.ndim == 0 else value for name, value in _arrays(logs)}


def _arrays(logs: dict[str, Any]) -> Any:
    return ((name, np.asarray(value)) for name, value in logs.items())


def _of_this_process(callbacks: Any, strategy: Any) -> list[Any]:
    listed = keras.tree.flatten(callbacks) if callbacks else []
    if is_chief(strategy) or not is_over_processes(strategy):
        return list(listed)
    return without_writers(listed)


def without_writers(callbacks: Sequence[Any]) -> list[Any]:
    """Returns the callbacks without those of Keras that write files: several processes would write the same."""
    writers = tuple(getattr(keras.callbacks, name) for name in _WRITERS)
    return [one for one in callbacks if not isinstance(one, writers)]


def surpasses_keras(model: Any, strategy: Any) -> bool:
    """Whether a model is better trained here than by ``model.fit``, which fails or reports wrong numbers."""
    if is_over_processes(strategy) or is_coordinated(strategy):
        return True
    if strategy.num_replicas_in_sync < 2:
        return False
    if isinstance(strategy, tf.distribute.experimental.CentralStorageStrategy):
        return True
    return isinstance(strategy, tf.distribute.MirroredStrategy) and is_plain(model)
