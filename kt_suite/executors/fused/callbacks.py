"""Callbacks of a run that trains in a stack: which can act, and what stands in for the model they know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

_BATCH_HOOKS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)
# A callback may move the learning rate before each batch: that can be told ahead.
_FORESEEABLE = ("on_batch_begin", "on_train_batch_begin")


class MidEpochError(Exception):
    """A callback asked in mid-epoch for something that a stack cannot give it there."""


def obstacle(callback: Any) -> str | None:
    """Returns why a callback needs the model in mid-epoch; ``None`` if it does not."""
    name = type(callback).__name__
    if getattr(callback, "acts_by_epoch", False) or type(callback) is keras.callbacks.TerminateOnNaN:
        return None
    if type(callback) is keras.callbacks.ModelCheckpoint:
        return None if callback.save_freq == "epoch" else f"{name}(save_freq={callback.save_freq!r}) acts in mid-epoch"
    if type(callback) is keras.callbacks.TensorBoard:
        is_plain = callback.update_freq == "epoch" and not callback._should_trace
        return None if is_plain else f"{name} logs or profiles batches"
    hooks = [hook for hook in _BATCH_HOOKS if overrides(callback, hook)]
    if all(hook in _FORESEEABLE for hook in hooks):
        return None
    return f"{name} acts in mid-epoch ({hooks[-1]})"


def foresees(callback: Any) -> bool:
    """Whether a callback acts before each batch, by what can be told ahead."""
    return (
        obstacle(callback) is None
        and not _acts_by_epoch(callback)
        and any(overrides(callback, hook) for hook in _FORESEEABLE)
    )


def overrides(callback: Any, hook: str) -> bool:
    """Whether a callback has a hook of its own."""
    return hook in vars(callback) or getattr(type(callback), hook) is not getattr(keras.callbacks.Callback, hook)


class RunCallbacks:
    """The callbacks of one run, called as ``model.fit`` calls them.

    Args:
        callbacks: In the order of ``fit``.
        model: What they know as their model.
        epochs: The last epoch.
        steps: Batches of an epoch, if known.
    """

    def __init__(self, callbacks: Sequence[Any], model: Any, epochs: int, steps: int | None) -> None:
        self._model = model
        self._callbacks = list(callbacks)
        self._moving = [one for one in callbacks if foresees(one)]
        for callback in self._callbacks:
            callback.set_params({"verbose": 0, "epochs": epochs, "steps": steps})
            callback.set_model(model)
            callback.on_train_begin()

    def begin_epoch(self, epoch: int) -> None:
        """Tells of an epoch that begins."""
        for callback in self._callbacks:
            callback.on_epoch_begin(epoch, {})

    def learning_rates(self, steps: int | None) -> np.ndarray | None:
        """Returns the rates ``(steps,)`` that the callbacks set before each batch; ``None`` where none does.

        Raises:
            MidEpochError: One of them asks for more than the learning rate.
        """
        if not self._moving or steps is None:
            return None
        with self._model.foreseeing() as optimizer:
            rates, together = np.empty(steps), self._model._model.steps_per_execution
            for step in range(0, steps, together):
                for callback in self._moving:
                    callback.on_train_batch_begin(step, {})
                rates[step : step + together] = optimizer.learning_rate
        return rates

    def end_epoch(self, epoch: int, logs: dict[str, Any], last_step: int) -> None:
        """Hands the logs of an epoch round."""
        validation = {name[4:]: value for name, value in logs.items() if name.startswith("val_")}
        for callback in self._callbacks:
            if isinstance(callback, keras.callbacks.TerminateOnNaN):
                callback.on_train_batch_end(last_step, logs)
        if validation:
            for callback in self._callbacks:
                callback.on_test_begin()
            for callback in self._callbacks:
                callback.on_test_end(validation)
        for callback in self._callbacks:
            callback.on_epoch_end(epoch, logs)

    def end(self, logs: dict[str, Any]) -> None:
        """Tells that training has ended."""
        for callback in self._callbacks:
            callback.on_train_end(logs)


def _acts_by_epoch(callback: Any) -> bool:
    known = (keras.callbacks.TerminateOnNaN, keras.callbacks.ModelCheckpoint, keras.callbacks.TensorBoard)
    return getattr(callback, "acts_by_epoch", False) or type(callback) in known


class ModelProxy:
    """What callbacks know as their model: one member of a stack.

    Learning rate, weights and ``stop_training`` are the member's. Whatever else is asked for is answered by the Keras
    model, once the member's weights have been written into it.

    Args:
        model: The Keras model.
        place: Where the member is: has ``write_back()``, ``load()``, ``weights()``, ``get_rate()`` and ``set_rate()``.
    """

    def __init__(self, model: Any, place: Any) -> None:
        vars(self).update(_model=model, _place=place, stop_training=False, optimizer=OptimizerProxy(self, place))

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # isinstance(callback.model, keras.Model) holds
        return type(self._model)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            self.settle()
        return getattr(self._model, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("stop_training", "optimizer"):
            vars(self)[name] = value
        elif name != "history":
            self.settle()
            setattr(self._model, name, value)

    def settle(self) -> None:
        """Writes the member into the Keras model."""
        if isinstance(self.optimizer, _Foreseen):
            raise MidEpochError
        self._place.write_back()

    def get_weights(self) -> list[np.ndarray]:
        """Returns the member's weights."""
        weights: list[np.ndarray] = self._place.weights()
        return weights

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Gives the member weights."""
        self.settle()
        self._model.set_weights(weights)
        self._place.load()

    def load_weights(self, *args: Any, **kwargs: Any) -> None:
        """Gives the member weights from a file."""
        self.settle()
        self._model.load_weights(*args, **kwargs)
        self._place.load()

    def foreseeing(self) -> _Foreseeing:
        """Returns a context in which only the learning rate can be moved, and what it comes to is noted."""
        return _Foreseeing(self)


class OptimizerProxy:
    """The optimizer of a member, for callbacks.

    Args:
        model: The proxy of the model.
        place: Where the member is.
    """

    def __init__(self, model: ModelProxy, place: Any) -> None:
        vars(self).update(_owner=model, _place=place)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._owner._model.optimizer)

    @property
    def learning_rate(self) -> Any:
        """The rate of the member."""
        return np.float32(self._place.get_rate())

    def __getattr__(self, name: str) -> Any:
        self._owner.settle()
        return getattr(self._owner._model.optimizer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("learning_rate", "lr"):
            self._place.set_rate(float(keras.ops.convert_to_numpy(value)))
            return
        self._owner.settle()
        setattr(self._owner._model.optimizer, name, value)
        self._place.load()


class _Foreseen:
    """An optimizer that knows of nothing but its learning rate."""

    def __init__(self, rate: float) -> None:
        vars(self)["learning_rate"] = rate

    def __getattr__(self, name: str) -> Any:
        raise MidEpochError

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "learning_rate":
            raise MidEpochError
        vars(self)[name] = float(keras.ops.convert_to_numpy(value)) if hasattr(value, "shape") else float(value)


class _Foreseeing:
    def __init__(self, proxy: ModelProxy) -> None:
        self._proxy = proxy

    def __enter__(self) -> Any:
        self._optimizer = self._proxy.optimizer
        self._proxy.optimizer = foreseen = _Foreseen(float(self._optimizer.learning_rate))
        return foreseen

    def __exit__(self, *error: Any) -> None:
        self._proxy.optimizer = self._optimizer
