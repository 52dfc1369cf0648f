"""What ready hypermodels share: shapes and task from data, preprocessing, training recipe, fixed values."""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from kt_suite import HyperModel
from kt_suite.errors import InputError, rule
from kt_suite.models.data_facts import batches, read_data, read_validation
from kt_suite.models.fixed_hyper_parameters import FixedHyperParameters, check_fixed
from kt_suite.models.learning_rate_schedule import LearningRateSchedule
from kt_suite.models.normalization import Moments, num_columns, set_moments
from kt_suite.models.ranges import Range
from kt_suite.models.targets import TARGET_SCALE, TARGET_SLOPE, Target, infer_target, known_target
from kt_suite.models.training import (
    DEFAULT_BATCH_SIZE,
    OPTIMIZERS,
    SCHEDULES,
    make_optimizer,
    make_schedule,
    suitable_batch_sizes,
    training_ranges,
)

INPUT_SCALE = "input_scale"
BATCH_NORM_MOMENTUM = 0.9
"""Keras' default takes hundreds of steps until a network does well in inference; short trials have fewer."""


class Supervised(HyperModel, abc.ABC):
    """A space of networks from one array to a target: a stem, repeated blocks, a head, and a training recipe.

    A subclass writes :meth:`preprocess`, :meth:`block` and :meth:`head`, and names the hyperparameter that
    counts the blocks. Each piece can be replaced alone; a piece reads its hyperparameters with :meth:`tune`,
    or declares its own on ``hp``.

    What is not given is read from the data by :meth:`bind`. Without ``task`` the targets decide, by the first
    that fits: only 0 and 1 in one column, binary; integers, multi-class; floats, regression; several columns
    of 0 and 1, multi-class where each row has one 1, else multi-label; other columns, regression.

    A range is a tuple ``(low, high)``, both included, or a list of choices, or one value, which is then no
    part of the space.

    Args:
        input_shape: Shape of one input, without the batch axis.
        num_outputs: Number of classes, labels or quantities; 1 for a binary target.
        task: ``"multiclass"``, ``"binary"``, ``"multilabel"`` or ``"regression"``.
        one_hot: Whether the classes of a multi-class target come as rows of probabilities. Data decides where
            there is some.
        optimizer: Choices among ``"adam"``, ``"adamw"``, ``"sgd"`` (with Nesterov momentum) and
            ``"rmsprop"``.
        learning_rate: Range of the (peak) learning rate of all but ``"sgd"``, on a logarithmic scale.
        sgd_learning_rate: Range of the (peak) learning rate of ``"sgd"``, which wants larger ones, on a
            logarithmic scale.
        momentum: Range of the momentum of ``"sgd"``.
        weight_decay: Range of the weight decay of ``"adamw"``, on a logarithmic scale.
        schedule: Choices among ``"constant"``, ``"cosine"`` (from the peak to zero) and ``"warmup_cosine"``.
        warmup_share: Range of the share of the training that a warm-up takes.
        batch_size: Range of the batch size, in powers of two from its lower end; ``None`` for 32 to 128, or
            less where an epoch would have fewer than 4 batches.
        fixed: Hyperparameter name to value, such as ``{"dropout": 0.0, "units_0": 64}``. They are no part of
            the space, and may lie outside of its ranges.
        name: Name shown in logs.
        tunable: Whether the hyperparameters join the space.

    Raises:
        kt_suite.errors.InputError: An argument is not what is said here.
    """

    depth: ClassVar[str]
    """The hyperparameter that counts the blocks."""

    ranges: dict[str, Range]
    """The ranges by name; :meth:`add_ranges` replaces some."""

    def __init__(
        self,
        input_shape: Sequence[int] | None = None,
        num_outputs: int | None = None,
        *,
        task: str | None = None,
        one_hot: bool = False,
        optimizer: Any = OPTIMIZERS,
        learning_rate: Any = (1e-3, 1e-2),
        sgd_learning_rate: Any = (5e-3, 1e-1),
        momentum: Any = (0.8, 0.95),
        weight_decay: Any = (1e-4, 1e-1),
        schedule: Any = SCHEDULES,
        warmup_share: Any = (0.05, 0.3),
        batch_size: Any = None,
        fixed: Mapping[str, Any] | None = None,
        name: str | None = None,
        tunable: bool = True,
    ) -> None:
        super().__init__(name=name, tunable=tunable)
        self._given_shape = None if input_shape is None else self._check_given_shape(input_shape)
        self._task, self._num_outputs = task, num_outputs
        self._shape, self._target = self._given_shape, known_target(task, num_outputs, one_hot)
        self._is_batched = False
        self.fixed = dict(fixed or {})
        self._seen: set[str] = set()
        self._has_default_batch_size = batch_size is None
        self.ranges = {}
        self.add_ranges(
            *training_ranges(
                optimizer=optimizer,
                learning_rate=learning_rate,
                sgd_learning_rate=sgd_learning_rate,
                momentum=momentum,
                weight_decay=weight_decay,
                schedule=schedule,
                warmup_share=warmup_share,
                batch_size=DEFAULT_BATCH_SIZE if batch_size is None else batch_size,
            )
        )

    def add_ranges(self, *ranges: Range) -> None:
        """Adds ranges for :meth:`tune`, by name; one of a name that is there replaces it."""
        self.ranges.update({added.name: added for added in ranges})

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """Shape of one input, without the batch axis; ``None`` while unknown."""
        return self._shape

    @property
    def num_outputs(self) -> int | None:
        """Number of outputs; ``None`` while unknown."""
        return self._target.num_outputs if self._target else None

    @property
    def task(self) -> str | None:
        """The task; ``None`` while unknown."""
        return self._target.task if self._target else None

    @property
    def objective(self) -> str:
        """The metric to rank trials by; unlike ``val_loss`` it holds no penalties, which are tuned."""
        return self._known()[1].objective

    @property
    def requires_data(self) -> bool:
        """Whether :meth:`bind` must be called before :meth:`build` can work."""
        return self._shape is None or self._target is None

    def bind(self, x: Any, y: Any = None, validation_data: Any = None) -> None:
        """Reads shapes and task from the data, and checks it.

        Args:
            x: Inputs of shape ``(n, ...)`` as an array or a data frame; or a ``tf.data.Dataset`` or
                ``PyDataset`` that ends and yields batches ``(inputs, targets)``; it is read once.
            y: Targets of shape ``(n,)`` or ``(n, k)``.
            validation_data: ``(x, y)``, ``(x, y, weights)`` or a data set.

        Raises:
            kt_suite.errors.InputError: The data cannot be used: text, NaN or infinity (the message names the
                columns), lengths that differ, classes that are not 0, 1, ..., ``k - 1``, validation data of
                another shape, or a contradiction to what was given.
        """
        facts = read_data(x, y)
        labels = facts.labels
        if validation_data is not None:
            labels = np.concatenate([labels, read_validation(validation_data, facts)])
        if self._given_shape not in (None, facts.input_shape):
            must = f"hold inputs of the given input_shape {self._given_shape}"
            raise InputError(rule("x", must, facts.input_shape))
        self.check_input_shape(facts.input_shape)
        target = infer_target(labels, task=self._task, num_outputs=self._num_outputs)
        self._shape, self._target, self._is_batched = facts.input_shape, target, facts.is_batched
        if self._has_default_batch_size and not facts.is_batched:
            suitable = suitable_batch_sizes(len(facts.labels))
            self.add_ranges(dataclasses.replace(self.ranges["batch_size"], given=suitable))

    def check_activation(self) -> None:
        """Raises :class:`~kt_suite.errors.InputError` for a choice of ``activation`` unknown to Keras."""
        for name in self.ranges["activation"].choices or []:
            try:
                keras.activations.get(name)
            except ValueError:
                raise InputError(rule("activation", "hold names of keras.activations", name)) from None

    def check_input_shape(self, shape: tuple[int, ...]) -> None:
        """Raises :class:`~kt_suite.errors.InputError` where the network cannot take inputs of ``shape``."""

    def build(self, hp: Any) -> Any:
        """Builds and compiles the network for the values of ``hp``.

        Raises:
            kt_suite.errors.InputError: Shapes are unknown, or a fixed name is no hyperparameter of the space.
        """
        model = self._assemble(hp)
        check_fixed(self.fixed, self._seen, self._assemble)
        return model

    def preprocess(self, x: Any) -> Any:
        """Returns the inputs ``x`` in the form that the network works on."""
        return x

    def stem(self, hp: Any, x: Any) -> Any:
        """Returns what the first block gets."""
        return x

    def depth_range(self) -> Range:
        """Returns the range of the number of blocks."""
        return self.ranges[self.depth]

    @abc.abstractmethod
    def block(self, hp: Any, x: Any, index: int) -> Any:
        """Returns the output of block ``index``, from 0.

        Called inside a scope of ``hp`` that is active where the network has that many blocks. The first is
        always there.
        """

    def head(self, hp: Any, x: Any) -> Any:
        """Returns the features that the output layer gets, of shape ``(batch, d)``."""
        return x

    def optimizer(self, hp: Any) -> Any:
        """Returns a new optimizer, with its peak learning rate."""
        return make_optimizer(hp, functools.partial(self.tune, hp))

    def schedule(self, hp: Any) -> LearningRateSchedule | None:
        """Returns the callback that moves the learning rate, for :meth:`fit`; ``None`` for a constant one."""
        hp = self._with_fixed(hp)
        return make_schedule(hp, functools.partial(self.tune, hp), self.optimizer)

    def tune(self, hp: Any, name: str, index: int | None = None) -> Any:
        """Returns the value of a hyperparameter of :attr:`ranges`, declaring it where it is new.

        Args:
            hp: The hyperparameters that the piece of the model got.
            name: A name in :attr:`ranges`.
            index: Makes it a hyperparameter of its own, ``{name}_{index}``.

        Returns:
            Its value; ``None`` inside an inactive scope.
        """
        full_name = name if index is None else f"{name}_{index}"
        return self.ranges[name].declare(self._with_fixed(hp), full_name)

    def fit_options(self, hp: Any) -> dict[str, Any]:
        """Returns the tuned ``batch_size``, unless the data comes in batches."""
        return {} if self._is_batched else {"batch_size": self.tune(hp, "batch_size")}

    def adapt(self, model: Any, x: Any, y: Any = None) -> None:
        """Fits the scale of inputs, and of regression targets, to the training data of one run.

        Args:
            model: A model from :meth:`build`.
            x: Inputs, or a data set of inputs and targets.
            y: Targets; without them (and without a data set) the scale of the targets stays as it is.
        """
        layers = {layer.name: layer for layer in model.layers}
        inputs, scale = layers.get(INPUT_SCALE), layers.get(TARGET_SCALE)
        input_moments = Moments(num_columns(inputs)) if inputs else None
        target_moments = Moments(num_columns(scale)) if scale else None
        for batch, targets in batches(x):
            if input_moments:
                input_moments.add(batch)
            if target_moments and targets is not None:
                target_moments.add(targets)
        if target_moments and y is not None:
            target_moments.add(np.asarray(y))
        if input_moments:
            set_moments(model, inputs, *input_moments.result())
        if target_moments and target_moments.count:
            mean, variance = target_moments.result()
            set_moments(model, scale, mean, variance)
            set_moments(model, layers[TARGET_SLOPE], np.zeros_like(mean), variance)

    def callbacks(self, hp: Any) -> list[Any]:
        """Returns the callbacks of the training recipe; they run before those given to ``fit``."""
        schedule = self.schedule(hp)
        return [] if schedule is None else [schedule]

    def _assemble(self, hp: Any) -> Any:
        shape, target = self._known()
        hp = self._with_fixed(hp)
        inputs = keras.Input(shape)
        x = self.stem(hp, self.preprocess(inputs))
        x = self.head(hp, self._blocks(hp, x))
        model = keras.Model(inputs, target.output(x), name=self.name)
        model.compile(optimizer=self.optimizer(hp), loss=target.loss(), metrics=target.metrics())
        self.schedule(hp)  # declared here too, so that the space is whole before the first training
        self.fit_options(hp)
        return model

    def _blocks(self, hp: Any, x: Any) -> Any:
        depth_range = self.depth_range()
        num_blocks, depths = depth_range.declare(hp, self.depth), depth_range.choices or []
        if num_blocks not in depths:  # fixed outside of its range
            depths = [num_blocks]
        for index in range(max(depths)):
            deeper = [depth for depth in depths if depth > index]
            if len(deeper) == len(depths):
                x = self.block(hp, x, index)
                continue
            with hp.conditional_scope(self.depth, deeper):
                if index < num_blocks:
                    x = self.block(hp, x, index)
        return x

    def _with_fixed(self, hp: Any) -> FixedHyperParameters:
        if isinstance(hp, FixedHyperParameters):
            return hp
        return FixedHyperParameters(hp if self.tunable else hp.copy(), self.fixed, self._seen)

    def _known(self) -> tuple[tuple[int, ...], Target]:
        if self._shape is None or self._target is None:
            must = "know input_shape, num_outputs and task before it is built"
            given = {"input_shape": self._shape, "num_outputs": self._num_outputs, "task": self._task}
            remedy = "Give them to the constructor, or let bind(x, y) read them from the data."
            raise InputError(rule(type(self).__name__, must, given, remedy))
        return self._shape, self._target

    def _check_given_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        try:
            sizes = tuple(int(size) for size in shape)
        except TypeError:
            sizes = ()
        if not sizes or any(size < 1 for size in sizes):
            must = "be a tuple of sizes >= 1 without the batch axis"
            raise InputError(rule("input_shape", must, shape, "Such as (64,)."))
        self.check_input_shape(sizes)
        return sizes
