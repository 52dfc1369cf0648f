"""Multilayer perceptrons for rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras

from kt_suite.models.ranges import Range
from kt_suite.models.supervised import BATCH_NORM_MOMENTUM, INPUT_SCALE, Supervised


class MLP(Supervised):
    """Fully connected networks: dense layers, each with batch normalisation or not, an activation and
    dropout.

    Inputs of more than one axis are flattened. Each column is standardised by a
    ``keras.layers.Normalization`` inside the model, adapted on the training inputs of each run; a constant
    column becomes zeros.

    Args:
        input_shape: Shape of one input, such as ``(num_columns,)``.
        num_outputs: Number of classes, labels or quantities; 1 for a binary target.
        num_layers: Range of the number of hidden layers.
        units: Range of the width of each hidden layer, in powers of two from its lower end: ``units_0``,
            ``units_1``, ...
        activation: Choices of the activation, by Keras' names.
        batch_norm: Choices of whether layers are batch-normalised.
        dropout: Range of the rate of dropout after each layer.
        l2: Range of the L2 penalty on the weights, on a logarithmic scale; 0.0 for none.
        **options: Task, training recipe and fixed values: the arguments of
            ``kt_suite.models.supervised.Supervised``.

    Raises:
        kt_suite.errors.InputError: An argument is not what is said here.

    Example:
        >>> import keras_tuner
        >>> from kt_suite.models import MLP
        >>> hypermodel = MLP((4,), 3, task="multiclass", num_layers=(1, 2), fixed={"dropout": 0.0})
        >>> model = hypermodel.build(keras_tuner.HyperParameters())
        >>> model.output_shape
        (None, 3)
    """

    depth: ClassVar[str] = "num_layers"

    def __init__(
        self,
        input_shape: Sequence[int] | None = None,
        num_outputs: int | None = None,
        *,
        num_layers: Any = (1, 3),
        units: Any = (32, 256),
        activation: Any = ("relu", "gelu", "tanh"),
        batch_norm: Any = (False, True),
        dropout: Any = (0.0, 0.5),
        l2: Any = (1e-6, 1e-2),
        **options: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **options)
        self.add_ranges(
            Range("num_layers", num_layers, 2, at_least=1, step=1),
            Range("units", units, 128, at_least=1, step=1, doubles=True),
            Range("activation", activation, "relu"),
            Range("batch_norm", batch_norm, False),
            Range("dropout", dropout, 0.1, at_least=0, below=1),
            Range("l2", l2, 1e-5, at_least=0, log=True),
        )
        self.check_activation()

    def preprocess(self, x: Any) -> Any:
        """Flattens and standardises the columns."""
        if len(x.shape) > 2:
            x = keras.layers.Flatten()(x)
        return keras.layers.Normalization(name=INPUT_SCALE)(x)

    def block(self, hp: Any, x: Any, index: int) -> Any:
        """Returns the output of one hidden layer."""
        units, l2 = self.tune(hp, "units", index), self.tune(hp, "l2")
        activation, batch_norm = self.tune(hp, "activation"), self.tune(hp, "batch_norm")
        penalty = keras.regularizers.L2(l2) if l2 else None
        x = keras.layers.Dense(units, use_bias=not batch_norm, kernel_regularizer=penalty)(x)
        if batch_norm:
            x = keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x)
        x = keras.layers.Activation(activation)(x)
        dropout = self.tune(hp, "dropout")
        return keras.layers.Dropout(dropout)(x) if dropout else x
