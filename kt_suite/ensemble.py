"""The mean of several models as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="kt_suite")
class MeanOfModels(keras.Model):  # type: ignore[misc]
    """A model whose outputs are the means of the outputs of others: for models that are no graphs of layers.

    Args:
        models: The models, all of the same inputs and outputs.
    """

    def __init__(self, models: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.models = list(models)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns the means of the models' outputs."""
        return _mean([model(inputs, training=False) for model in self.models])

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the same model again."""
        models = [keras.saving.serialize_keras_object(model) for model in self.models]
        return {**super().get_config(), "models": models}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Returns the model that :meth:`get_config` described."""
        models = [keras.saving.deserialize_keras_object(model, custom_objects) for model in config.pop("models")]
        return cls(models, **config)


def ensemble(models: Sequence[Any]) -> Any:
    """Returns one model that gives the means of the outputs of ``models``, compiled as the first of them.

    Means of probabilities, where the models give them; of logits, where these. It is made of Keras' own layers where
    the models are functional or sequential, so that plain Keras loads it.

    Args:
        models: Models of the same inputs and outputs, at least one.
    """
    first = models[0]
    for index, model in enumerate(models):
        model.name = f"{model.name}_{index}"
        _freeze(model)
    if getattr(first, "inputs", None):
        struct = getattr(first, "_inputs_struct", first.inputs[0])  # a sequential model has one input
        inputs = keras.tree.map_structure(lambda one: keras.Input(one.shape[1:], dtype=one.dtype), struct)
        outputs = _mean([model(inputs) for model in models])
        mean = keras.Model(inputs, outputs, name="ensemble")
    else:
        mean = MeanOfModels(models, name="ensemble")
    _compile_as(first, mean)
    return mean


def _freeze(model: Any) -> None:
    model.trainable = False
    if getattr(model, "optimizer", None) is not None:
        # One that was built for weights which are not trained any more would make every load of a saved ensemble warn.
        model.optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(model.optimizer))
        model.optimizer.build([])


def _mean(outputs: list[Any]) -> Any:
    if len(outputs) == 1:
        return outputs[0]
    return keras.tree.map_structure(lambda *each: keras.layers.Average()(list(each)), *outputs)


def _compile_as(model: Any, mean: Any) -> None:
    if not model.compiled:
        return
    try:
        mean.compile_from_config(model.get_compile_config())
    except Exception:  # a loss or metric of the user's own that Keras cannot write down
        mean.compile(loss=model.loss)
