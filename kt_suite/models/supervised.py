"""What every ready hypermodel shares: shapes and task from data, the optimizer's space, preprocessing, fixed
values."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from kt_suite.errors import InputError, rule
from kt_suite.hypermodel import HyperModel
from kt_suite.models.data_facts import DataFacts, batches, is_dataset, read_data
from kt_suite.models.fixed_hyper_parameters import FixedHyperParameters, check_fixed
from kt_suite.models.learning_rate_schedule import LearningRateSchedule
from kt_suite.models.normalization import Moments, num_columns, set_moments
from kt_suite.models.ranges import Range
from kt_suite.models.targets import TARGET_SCALE, TARGET_SLOPE, Target, infer_target, known_target

INPUT_SCALE = "input_scale"
BATCH_NORM_MOMENTUM = 0.9
"""Keras' own default needs several hundred steps before a network can be judged in inference mode; short
trials have fewer."""

_OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
_SCHEDULES = ("constant", "cosine", "warmup_cosine")


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

    def __init__(
        self,
        input_shape: Sequence[int] | None = None,
        num_outputs: int | None = None,
        *,
        task: str | None = None,
        one_hot: bool = False,
        optimizer: Any = _OPTIMIZERS,
        learning_rate: Any = (1e-3, 1e-2),
        sgd_learning_rate: Any = (5e-3, 1e-1),
        momentum: Any = (0.8, 0.95),
        weight_decay: Any = (1e-4, 1e-1),
        schedule: Any = _SCHEDULES,
        warmup_share: Any = (0.05, 0.3),
        batch_size: Any = None,
        fixed: Mapping[str, Any] | None = None,
        name: str | None = None,
        tunable: bool = True,
    ) -> None:
        super().__init__(name=name, tunable=tunable)
        self._given_shape = None if input_shape is None else self._check_given_shape(input_shape)
        self._given_target = known_target(task, num_outputs, one_hot)
        self._task, self._num_outputs = task, num_outputs
        self._shape, self._target = self._given_shape, self._given_target
        self._is_batched = False
        self.fixed = dict(fixed or {})
        self._seen: set[str] = set()
        self._has_default_batch_size = batch_size is None
        self.ranges: dict[str, Range] = {}
        self.add_ranges(
            Range("optimizer", optimizer, "adam", names=_OPTIMIZERS),
            Range("learning_rate", learning_rate, 3e-3, at_least=0, log=True),
            Range("sgd_learning_rate", sgd_learning_rate, 2e-2, at_least=0, log=True),
            Range("momentum", momentum, 0.9, at_least=0, below=1),
            Range("weight_decay", weight_decay, 1e-2, at_least=0, log=True),
            Range("schedule", schedule, "cosine", names=_SCHEDULES),
            Range("warmup_share", warmup_share, 0.1, at_least=0, below=1),
            Range(
                "batch_size",
                (32, 128) if batch_size is None else batch_size,
                32,
                at_least=1,
                step=1,
                doubles=True,
            ),
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
        """The metric to rank trials by. Unlike ``val_loss`` it holds no penalties, which are themselves
        tuned."""
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
            labels = np.concatenate([labels, _read_validation(validation_data, facts)])
        if self._given_shape not in (None, facts.input_shape):
            raise InputError(
                rule("x", f"hold inputs of the given input_shape {self._given_shape}", facts.input_shape)
            )
        self.check_input_shape(facts.input_shape)
        target = infer_target(labels, task=self._task, num_outputs=self._num_outputs)
        self._shape, self._target, self._is_batched = facts.input_shape, target, facts.is_batched
        if self._has_default_batch_size and not facts.is_batched:
            self._limit_batch_size(len(facts.labels))

    def check_activation(self) -> None:
        """Raises :class:`~kt_suite.errors.InputError` where a choice of ``activation`` is unknown to
        Keras."""
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
        kind = self.tune(hp, "optimizer")
        with hp.conditional_scope("optimizer", ["adam", "adamw", "rmsprop"]):
            learning_rate = self.tune(hp, "learning_rate")
        with hp.conditional_scope("optimizer", ["sgd"]):
            sgd_learning_rate, momentum = self.tune(hp, "sgd_learning_rate"), self.tune(hp, "momentum")
        with hp.conditional_scope("optimizer", ["adamw"]):
            weight_decay = self.tune(hp, "weight_decay")
        if kind == "adam":
            return keras.optimizers.Adam(learning_rate)
        if kind == "adamw":
            return keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
        if kind == "sgd":
            return keras.optimizers.SGD(sgd_learning_rate, momentum=momentum, nesterov=True)
        if kind == "rmsprop":
            return keras.optimizers.RMSprop(learning_rate)
        raise InputError(
            rule(
                "optimizer", f"be one of {', '.join(_OPTIMIZERS)}", kind, "Override optimizer(hp) for others."
            )
        )

    def schedule(self, hp: Any) -> LearningRateSchedule | None:
        """Returns the callback that moves the learning rate, for :meth:`fit`; ``None`` for a constant one."""
        hp = self._with_fixed(hp)
        kind = self.tune(hp, "schedule")
        with hp.conditional_scope("schedule", ["warmup_cosine"]):
            warmup = self.tune(hp, "warmup_share")
        if kind not in _SCHEDULES:
            raise InputError(
                rule(
                    "schedule",
                    f"be one of {', '.join(_SCHEDULES)}",
                    kind,
                    "Override schedule(hp) for others.",
                )
            )
        peak = self.optimizer(hp).get_config()["learning_rate"]
        if kind == "constant" or not isinstance(
            peak, float
        ):  # an overridden optimizer may bring its own schedule
            return None
        return LearningRateSchedule(peak, warmup if kind == "warmup_cosine" else 0.0)

    def tune(self, hp: Any, name: str, index: int | None = None) -> Any:
        """Returns the value of the hyperparameter ``name`` (``{name}_{index}`` with an index), declaring it
        where it is new.

        Inside an inactive scope of ``hp`` it is ``None``.
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
        """Returns the callbacks that are part of the training recipe; they run before those given to
        ``fit``."""
        schedule = self.schedule(hp)
        return [] if schedule is None else [schedule]

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Adapts the scales to the training part of the data, and trains ``model`` with :meth:`callbacks`."""
        options = {**self.fit_options(hp), **kwargs}
        x: Any = args[0] if args else options.get("x")
        y: Any = args[1] if len(args) > 1 else options.get("y")
        if is_dataset(x):
            options.pop("batch_size", None)
        elif share := options.get("validation_split"):
            rows = slice(int(len(x) * (1 - share)))  # Keras validates on the last rows
            x, y = x[rows], None if y is None else y[rows]
        self.adapt(model, x, y)
        given = options.get("callbacks") or []
        options["callbacks"] = [
            *self.callbacks(hp),
            *(given if isinstance(given, (list, tuple)) else [given]),
        ]
        return model.fit(*args, **options)

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
            given = {"input_shape": self._shape, "num_outputs": self._num_outputs, "task": self._task}
            remedy = "Give them to the constructor, or let bind(x, y) read them from the data."
            raise InputError(
                rule(
                    type(self).__name__,
                    "know input_shape, num_outputs and task before it is built",
                    given,
                    remedy,
                )
            )
        return self._shape, self._target

    def _check_given_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        try:
            sizes = tuple(int(size) for size in shape)
        except TypeError:
            sizes = ()
        if not sizes or any(size < 1 for size in sizes):
            raise InputError(
                rule(
                    "input_shape", "be a tuple of sizes >= 1 without the batch axis", shape, "Such as (64,)."
                )
            )
        self.check_input_shape(sizes)
        return sizes

    def _limit_batch_size(self, num_rows: int) -> None:
        high = min(128, max(8, 1 << (num_rows // 4).bit_length() - 1))
        self.ranges["batch_size"] = dataclasses.replace(
            self.ranges["batch_size"], given=(max(8, high // 4), high)
        )


def _read_validation(validation_data: Any, training: DataFacts) -> np.ndarray:
    """Returns the labels of the validation data, after checking that it goes with the training data."""
    if is_dataset(validation_data):
        facts = read_data(validation_data, None, "validation ")
    elif isinstance(validation_data, (tuple, list)) and len(validation_data) in (2, 3):
        facts = read_data(validation_data[0], validation_data[1], "validation ")
    else:
        kind = type(validation_data).__name__
        raise InputError(rule("validation_data", "be (x, y), (x, y, weights) or a data set", kind))
    if facts.input_shape != training.input_shape:
        must = f"hold inputs of the training data's shape {training.input_shape}"
        raise InputError(rule("validation x", must, facts.input_shape))
    if facts.labels.shape[1:] != training.labels.shape[1:]:
        must = (
            f"have the shape of the training targets, (n, {', '.join(map(str, training.labels.shape[1:]))})"
        )
        raise InputError(rule("validation y", must, facts.labels.shape))
    labels = facts.labels.astype(training.labels.dtype)
    if not np.array_equal(labels, facts.labels):
        kind = facts.labels.dtype.name
        raise InputError(
            rule("validation y", f"hold {training.labels.dtype.name} as the training targets do", kind)
        )
    return labels
