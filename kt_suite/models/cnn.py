"""Convolutional networks for images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import keras

from kt_suite.errors import InputError, rule
from kt_suite.models.ranges import Range
from kt_suite.models.supervised import BATCH_NORM_MOMENTUM, INPUT_SCALE, Supervised

_SMALLEST_MAP = 2
_LARGEST_MAP = 16
_FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")


class CNN(Supervised):
    """Convolutional networks: blocks of convolutions, each of which halves the image, then a head on the
    features.

    Images are ``(height, width)`` or ``(height, width, channels)``, from 4 to some hundred pixels a side,
    with values of any range: each channel is standardised by a ``keras.layers.Normalization`` inside the
    model, adapted on the training images of each run. Augmentation shifts, turns and zooms the images a
    little during training; nothing is mirrored unless ``flip`` says so, for a mirrored digit is another sign.
    Keras' random layers also act in a bare ``model(x)``: use ``predict``, or ``model(x, training=False)``.

    Args:
        input_shape: Shape of one image.
        num_outputs: Number of classes, labels or quantities; 1 for a binary target.
        num_blocks: Range of the number of blocks. No more than leave a map of 2 pixels a side; ``None`` for
            up to three numbers that leave one of 2 to 16.
        filters: Range of the filters of the first block, in powers of two from its lower end.
        doubling: Whether each block has twice the filters of the one before. If not, each is tuned:
            ``filters_0``, ``filters_1``, ...
        max_filters: Where doubling ends.
        kernel_size: Range of the side of the kernels, in steps of two.
        convs_per_block: Range of the number of convolutions in each block.
        downsampling: Choices of what halves the image: ``"max"`` or ``"average"`` pooling, or a last
            convolution with ``"stride"`` 2.
        activation: Choices of the activation, by Keras' names.
        batch_norm: Choices of whether convolutions are batch-normalised.
        reduction: Choices of how a map becomes features: ``"flatten"``, or its mean, ``"global_average"``.
        dense_head: Choices of whether a dense layer follows.
        dense_units: Range of its width, in powers of two from its lower end.
        dropout: Range of the rate of dropout before the output.
        augmentation: Choices of whether training images are augmented.
        shift: Largest shift, as a share of the side.
        rotation: Largest rotation, as a share of a full turn.
        zoom: Largest zoom, as a share of the side.
        flip: ``"horizontal"``, ``"vertical"``, ``"horizontal_and_vertical"``, or ``None``.
        **options: Task, training recipe and fixed values: the arguments of
            ``kt_suite.models.supervised.Supervised``.

    Raises:
        kt_suite.errors.InputError: An argument is not what is said here.

    Example:
        >>> import keras_tuner
        >>> from kt_suite.models import CNN
        >>> hypermodel = CNN((8, 8), 10, task="multiclass", filters=(8, 16), augmentation=False)
        >>> model = hypermodel.build(keras_tuner.HyperParameters())
        >>> model.output_shape
        (None, 10)
    """

    depth: ClassVar[str] = "num_blocks"

    def __init__(
        self,
        input_shape: Sequence[int] | None = None,
        num_outputs: int | None = None,
        *,
        num_blocks: Any = None,
        filters: Any = (16, 64),
        doubling: bool = True,
        max_filters: int = 512,
        kernel_size: Any = (3, 5),
        convs_per_block: Any = (1, 2),
        downsampling: Any = ("max", "average", "stride"),
        activation: Any = "relu",
        batch_norm: Any = (False, True),
        reduction: Any = ("flatten", "global_average"),
        dense_head: Any = (False, True),
        dense_units: Any = (32, 128),
        dropout: Any = (0.0, 0.5),
        augmentation: Any = (False, True),
        shift: float = 0.1,
        rotation: float = 0.03,
        zoom: float = 0.1,
        flip: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **options)
        self.doubling, self.max_filters = doubling, max_filters
        self.shift, self.rotation, self.zoom, self.flip = shift, rotation, zoom, flip
        self._has_default_depth = num_blocks is None
        self.add_ranges(
            Range("num_blocks", (1, 3) if num_blocks is None else num_blocks, 2, at_least=1, step=1),
            Range("filters", filters, 32, at_least=1, step=1, doubles=True),
            Range("kernel_size", kernel_size, 3, at_least=1, step=2),
            Range("convs_per_block", convs_per_block, 1, at_least=1, step=1),
            Range("downsampling", downsampling, "max", names=("max", "average", "stride")),
            Range("activation", activation, "relu"),
            Range("batch_norm", batch_norm, True),
            Range("reduction", reduction, "flatten", names=("flatten", "global_average")),
            Range("dense_head", dense_head, True),
            Range("dense_units", dense_units, 64, at_least=1, step=1, doubles=True),
            Range("dropout", dropout, 0.2, at_least=0, below=1),
            Range("augmentation", augmentation, False),
        )
        self.check_activation()
        for share_name, share in (("shift", shift), ("rotation", rotation), ("zoom", zoom)):
            if not 0 <= share < 1:
                raise InputError(rule(share_name, "be a share in [0, 1)", share))
        if flip not in (None, *_FLIPS):
            raise InputError(rule("flip", f"be None or one of {', '.join(_FLIPS)}", flip))
        if max_filters < 1:
            raise InputError(rule("max_filters", "be at least 1", max_filters))

    def check_input_shape(self, shape: tuple[int, ...]) -> None:
        """Raises :class:`~kt_suite.errors.InputError` where ``shape`` is no image with its channels last."""
        if len(shape) not in (2, 3):
            remedy = "Reshape rows of pixels, x.reshape(-1, height, width, channels), or use MLP for other rows."
            raise InputError(
                rule(
                    "An input of CNN",
                    "have shape (height, width) or (height, width, channels)",
                    shape,
                    remedy,
                )
            )
        if shape[0] in (1, 3) and len(shape) == 3 and min(shape[1:]) > 4:
            raise InputError(rule("An input of CNN", "have its channels last", shape, "Use numpy.moveaxis(x, 1, -1)."))
        if min(shape[:2]) < 2 * _SMALLEST_MAP:
            raise InputError(rule("An input of CNN", f"be at least {2 * _SMALLEST_MAP} pixels high and wide", shape))

    def depth_range(self) -> Range:
        """Returns the range of the number of blocks that suits the size of the images."""
        given = self.ranges[self.depth]
        side = min((self.input_shape or (0, 0))[:2])
        highest = (side // _SMALLEST_MAP).bit_length() - 1
        if self._has_default_depth:
            lowest = max(1, (-(-side // _LARGEST_MAP) - 1).bit_length())
            return dataclasses.replace(given, given=(lowest, min(lowest + 2, highest)))
        possible = [depth for depth in given.choices or [] if depth <= highest] or [highest]
        return dataclasses.replace(
            given, given=(possible[0], possible[-1]) if isinstance(given.given, tuple) else possible
        )

    def preprocess(self, x: Any) -> Any:
        """Adds a missing channel axis and standardises the channels."""
        if len(x.shape) == 3:
            x = keras.layers.Reshape((*x.shape[1:], 1))(x)
        return keras.layers.Normalization(name=INPUT_SCALE)(x)

    def stem(self, hp: Any, x: Any) -> Any:
        """Augments the images."""
        if not self.tune(hp, "augmentation"):
            return x
        if self.flip is not None:
            x = keras.layers.RandomFlip(self.flip)(x)
        if self.shift:
            x = keras.layers.RandomTranslation(self.shift, self.shift, fill_mode="nearest")(x)
        if self.rotation:
            x = keras.layers.RandomRotation(self.rotation, fill_mode="nearest")(x)
        if self.zoom:
            x = keras.layers.RandomZoom(self.zoom, fill_mode="nearest")(x)
        return x

    def block(self, hp: Any, x: Any, index: int) -> Any:
        """Returns a map of half the size: convolutions, then pooling unless the last one has stride 2."""
        if self.doubling:
            filters = min(self.tune(hp, "filters") * 2**index, self.max_filters)
        else:
            filters = self.tune(hp, "filters", index)
        downsampling, num_convs = self.tune(hp, "downsampling"), self.tune(hp, "convs_per_block")
        for position in range(num_convs):
            is_last = position == num_convs - 1
            x = self.convolution(hp, x, filters, strides=2 if is_last and downsampling == "stride" else 1)
        if downsampling == "max":
            return keras.layers.MaxPooling2D(2, padding="same")(x)
        if downsampling == "average":
            return keras.layers.AveragePooling2D(2, padding="same")(x)
        return x

    def convolution(self, hp: Any, x: Any, filters: int, *, strides: int = 1) -> Any:
        """Returns a convolution of ``x``, batch-normalised or not, and activated."""
        kernel_size, batch_norm = self.tune(hp, "kernel_size"), self.tune(hp, "batch_norm")
        x = keras.layers.Conv2D(filters, kernel_size, strides=strides, padding="same", use_bias=not batch_norm)(x)
        if batch_norm:
            x = keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x)
        return keras.layers.Activation(self.tune(hp, "activation"))(x)

    def head(self, hp: Any, x: Any) -> Any:
        """Returns features: the map ``x`` flattened or averaged, a dense layer or none, and dropout."""
        reduction, dense_head = self.tune(hp, "reduction"), self.tune(hp, "dense_head")
        layer = keras.layers.Flatten() if reduction == "flatten" else keras.layers.GlobalAveragePooling2D()
        x = layer(x)
        with hp.conditional_scope("dense_head", [True]):
            units = self.tune(hp, "dense_units")
        if dense_head:
            x = keras.layers.Dense(units, activation=self.tune(hp, "activation"))(x)
        dropout = self.tune(hp, "dropout")
        return keras.layers.Dropout(dropout)(x) if dropout else x
