"""A stack trains each of its members as ``model.fit`` does: layers, widths, numbers, optimizers, losses, metrics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

pytestmark = pytest.mark.usefixtures("without_tracing")

WIDTHS = (5, 3)


def slow_but(names: Iterable[str], *fast: str) -> list[Any]:
    """Returns parameters of which all but a few are slow."""
    return [pytest.param(name, marks=[] if name in fast else pytest.mark.slow) for name in names]


def classifier(hidden: list[Any], shape: tuple[int, ...], optimizer: Any = "sgd", num_classes: int = 3) -> Any:
    model = keras.Sequential([keras.Input(shape), *hidden, layers.Dense(num_classes, activation="softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_dense_layers_of_other_widths_activations_and_rates(assert_equals_fit: Any, rows: Any) -> None:
    x, y = rows
    specs = [(5, "relu", 0.1, 0.0), (3, "tanh", 0.02, 1e-3), (8, "sigmoid", 0.05, 0.0), (4, "softplus", 0.03, 1e-2)]

    def build(spec: Any) -> Any:
        units, activation, rate, l2 = spec
        penalty = keras.regularizers.L2(l2) if l2 else None
        hidden = [
            layers.Dense(units, activation=activation, kernel_regularizer=penalty),
            layers.Dense(units + 1, activation="gelu", use_bias=False),
        ]
        return classifier(hidden, (6,), keras.optimizers.Adam(rate))

    assert_equals_fit(build, specs, x, y, validation=(x[:7], y[:7]), epochs=3, batch_size=8)


ROW_LAYERS = {
    "normalizations": lambda n: [
        layers.BatchNormalization(momentum=0.5 + n / 40, epsilon=1e-3 * n),
        layers.Dense(n + 1),
        layers.LayerNormalization(epsilon=1e-3 * n),
    ],
    "bare_normalizations": lambda n: [
        layers.BatchNormalization(scale=False, center=False),
        layers.UnitNormalization(),
    ],
    "activations": lambda n: [
        layers.Activation("elu" if n > 4 else "exponential"),
        layers.LeakyReLU(0.125 * (n % 3)),
        layers.PReLU("ones"),
        layers.Dense(n, activation="selu"),
        layers.ELU(1.0 + n),
        layers.Softmax(),
        layers.ReLU(),
    ],
    "shapes_and_noise_of_rate_0": lambda n: [
        layers.RepeatVector(2),
        layers.Dropout(0.0),
        layers.GaussianNoise(0.0),
        layers.GaussianDropout(0.0),
        layers.Dense(n, activation="relu"),
        layers.Flatten(),
        layers.Rescaling(0.5, offset=0.25),
    ],
}


@pytest.mark.parametrize("name", slow_but(ROW_LAYERS, "normalizations"))
def test_layers_between_dense_layers_of_other_widths(assert_equals_fit: Any, rows: Any, name: str) -> None:
    x, y = rows

    def build(n: int) -> Any:
        return classifier([layers.Dense(n), *ROW_LAYERS[name](n), layers.Dense(n + 1, activation="tanh")], (6,))

    assert_equals_fit(build, WIDTHS, x, y, validation=(x[:7], y[:7]))


IMAGE_LAYERS = {
    "same_and_max": lambda n: [
        layers.Conv2D(n, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(4, (2, 1), strides=(2, 1), activation="tanh"),
        layers.Flatten(),
    ],
    "valid_and_average": lambda n: [
        layers.Conv2D(n, 2, use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("sigmoid"),
        layers.AveragePooling2D(2, padding="same"),
        layers.GlobalAveragePooling2D(),
    ],
    "dilated_and_padded": lambda n: [
        layers.ZeroPadding2D(1),
        layers.Conv2D(n, 2, dilation_rate=2),
        layers.UpSampling2D(2),
        layers.Cropping2D(1),
        layers.SpatialDropout2D(0.0),
        layers.GlobalMaxPooling2D(),
    ],
    "one_dimension": lambda n: [
        layers.Reshape((30, 2)),
        layers.Conv1D(n, 3, padding="causal", activation="softplus"),
        layers.MaxPooling1D(3, strides=2),
        layers.AveragePooling1D(2),
        layers.Reshape((1, 7, n)),
        layers.Permute((2, 1, 3)),
        layers.Flatten(),
    ],
}


@pytest.mark.parametrize("name", slow_but(IMAGE_LAYERS, "valid_and_average"))
def test_convolutions_and_pooling(assert_equals_fit: Any, images: Any, name: str) -> None:
    x, y = images
    widths = (4, 4) if name == "one_dimension" else WIDTHS  # permuted channels keep their exact shape

    def build(n: int) -> Any:
        return classifier(IMAGE_LAYERS[name](n), (6, 5, 2), keras.optimizers.SGD(0.05))

    assert_equals_fit(build, widths, x, y)


@pytest.mark.slow
def test_branches_are_joined(assert_equals_fit: Any, rows: Any) -> None:
    x, y = rows

    def build(n: int) -> Any:
        inputs = keras.Input((6,))
        left, right = layers.Dense(n, activation="relu")(inputs), layers.Dense(n)(inputs)
        gate = layers.Dense(1, activation="sigmoid")(inputs)
        parts = [layers.Add()([left, right]), layers.Multiply()([left, gate]), layers.Maximum()([left, gate])]
        joined = layers.Concatenate()(
            [*parts, layers.Average()([left, right]), layers.Subtract()([left, right]), inputs]
        )
        scaled = joined + keras.ops.stop_gradient(joined)
        model = keras.Model(inputs, layers.Dense(3, activation="softmax")(scaled))
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    assert_equals_fit(build, WIDTHS, x, y)


def test_a_nested_model_and_a_shared_layer(assert_equals_fit: Any, rows: Any) -> None:
    x, y = rows

    def build(n: int) -> Any:
        inner_inputs = keras.Input((6,))
        inner = keras.Model(inner_inputs, layers.Dense(n, activation="relu")(inner_inputs))
        inputs, shared = keras.Input((6,)), layers.Dense(6, activation="tanh")
        block = keras.Sequential([keras.Input((n,)), layers.Dense(n + 1), layers.BatchNormalization()])
        hidden = block(inner(shared(shared(inputs))))
        model = keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    assert_equals_fit(build, WIDTHS, x, y)


OPTIMIZERS = {
    "sgd": lambda n: keras.optimizers.SGD(0.01 * n),
    "momentum": lambda n: keras.optimizers.SGD(0.01, momentum=0.1 * n, weight_decay=1e-3 * n),
    "nesterov": lambda n: keras.optimizers.SGD(0.01, momentum=0.1 * n, nesterov=True, clipnorm=0.02 * n),
    "adam": lambda n: keras.optimizers.Adam(0.003 * n, beta_1=0.8 + n / 80, beta_2=0.99, epsilon=1e-6 * n),
    "amsgrad": lambda n: keras.optimizers.Adam(0.01, amsgrad=True, global_clipnorm=0.01 * n),
    "adamw": lambda n: keras.optimizers.AdamW(0.01, weight_decay=0.01 * n, clipvalue=0.001 * n),
    "rmsprop": lambda n: keras.optimizers.RMSprop(0.001 * n, rho=0.8 + n / 80),
    "rmsprop_centered": lambda n: keras.optimizers.RMSprop(0.001 * n, momentum=0.1 * n, centered=True),
    "adagrad": lambda n: keras.optimizers.Adagrad(0.01 * n),
    "adadelta": lambda n: keras.optimizers.Adadelta(0.1 * n, rho=0.9 + n / 100),
    "adamax": lambda n: keras.optimizers.Adamax(0.002 * n, beta_2=0.99),
    "nadam": lambda n: keras.optimizers.Nadam(0.002 * n, beta_1=0.8 + n / 80),
    "lion": lambda n: keras.optimizers.Lion(0.001 * n, beta_1=0.8 + n / 80),
    "ftrl": lambda n: keras.optimizers.Ftrl(0.01 * n, l1_regularization_strength=1e-3, beta=0.01 * n),
    "schedule": lambda n: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.01 * n, 2, 0.9)),
    "cosine": lambda n: keras.optimizers.SGD(
        keras.optimizers.schedules.CosineDecay(0.01 * n, 6, warmup_target=0.02 * n, warmup_steps=3)
    ),
}


@pytest.mark.parametrize("name", slow_but(OPTIMIZERS, "adamw"))
def test_optimizers_with_numbers_of_their_own(assert_equals_fit: Any, rows: Any, name: str) -> None:
    x, y = rows

    def build(n: int) -> Any:
        return classifier([layers.Dense(n, activation="tanh")], (6,), OPTIMIZERS[name](n))

    assert_equals_fit(build, WIDTHS, x, y, epochs=3)


LOSSES = {
    "binary": (1, "sigmoid", "bits", lambda n: keras.losses.BinaryCrossentropy(label_smoothing=0.05 * n)),
    "binary_logits": (1, None, "bits", lambda n: keras.losses.BinaryCrossentropy(from_logits=True)),
    "categorical": (3, "softmax", "one_hot", lambda n: keras.losses.CategoricalCrossentropy(label_smoothing=0.05 * n)),
    "focal": (3, "softmax", "one_hot", lambda n: keras.losses.CategoricalFocalCrossentropy()),
    "sparse_logits": (3, None, "classes", lambda n: keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
    "mse": (2, None, "numbers", lambda n: "mse"),
    "mae_sum": (2, None, "numbers", lambda n: keras.losses.MeanAbsoluteError(reduction="sum")),
    "huber": (2, None, "numbers", lambda n: keras.losses.Huber(delta=0.2 * n)),
    "log_cosh": (2, None, "numbers", lambda n: keras.losses.LogCosh(reduction="mean_with_sample_weight")),
    "cosine": (2, None, "numbers", lambda n: keras.losses.CosineSimilarity()),
    "poisson": (2, "exponential", "counts", lambda n: keras.losses.Poisson()),
    "kl": (3, "softmax", "one_hot", lambda n: keras.losses.KLDivergence()),
    "hinge": (3, None, "one_hot", lambda n: keras.losses.CategoricalHinge()),
}


def targets(kind: str, classes: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(2)
    made = {
        "classes": classes,
        "bits": (classes > 0).astype("float64"),
        "one_hot": np.eye(3)[classes],
        "numbers": rng.normal(size=(len(classes), 2)),
        "counts": rng.integers(0, 4, (len(classes), 2)).astype("float64"),
    }
    return made[kind]


@pytest.mark.parametrize("name", slow_but(LOSSES, "categorical"))
@pytest.mark.parametrize("is_weighted", [pytest.param(False, marks=pytest.mark.slow), True])
def test_losses_weighted_and_not(assert_equals_fit: Any, rows: Any, name: str, is_weighted: bool) -> None:
    x, classes = rows
    units, activation, kind, loss = LOSSES[name]
    y = targets(kind, classes)
    weights = np.linspace(0.2, 2.0, len(x)) if is_weighted else None

    def build(n: int) -> Any:
        model = keras.Sequential(
            [keras.Input((6,)), layers.Dense(n, activation="tanh"), layers.Dense(units, activation=activation)]
        )
        model.compile(keras.optimizers.SGD(0.02), loss(n))
        return model

    validation = (x[:7], y[:7]) if weights is None else (x[:7], y[:7], weights[:7])
    assert_equals_fit(build, WIDTHS, x, y, sample_weight=weights, validation=validation)


METRICS = {
    "bits": [
        "accuracy",
        keras.metrics.AUC,
        keras.metrics.Precision,
        keras.metrics.Recall,
        keras.metrics.BinaryCrossentropy,
        keras.metrics.F1Score,
    ],
    "one_hot": [
        "accuracy",
        "mse",
        keras.metrics.CategoricalCrossentropy,
    ],
    "numbers": [keras.metrics.RootMeanSquaredError, "mae", keras.metrics.R2Score, keras.metrics.CosineSimilarity],
}


@pytest.mark.parametrize("kind", slow_but(METRICS, "one_hot"))
def test_metrics_weighted_and_not(assert_equals_fit: Any, rows: Any, kind: str) -> None:
    x, classes = rows
    y = targets(kind, classes)
    y = y[:, None] if y.ndim == 1 else y

    def made(metric: Any) -> Any:
        if isinstance(metric, str):
            return metric
        if metric is keras.metrics.F1Score:
            return metric(average="micro", threshold=0.4)
        return metric()

    def build(n: int) -> Any:
        keras.utils.clear_session()  # names of metrics count up
        activation = {"bits": "sigmoid", "one_hot": "softmax"}.get(kind)
        model = keras.Sequential(
            [keras.Input((6,)), layers.Dense(n, activation="tanh"), layers.Dense(y.shape[1], activation=activation)]
        )
        loss = {"bits": "binary_crossentropy", "one_hot": "categorical_crossentropy"}.get(kind, "mse")
        metrics = [made(metric) for metric in METRICS[kind]]
        weighted = [made(metric) for metric in METRICS[kind]]
        model.compile(keras.optimizers.SGD(0.05), loss, metrics=metrics, weighted_metrics=weighted)
        return model

    weights = np.linspace(0.2, 2.0, len(x))
    assert_equals_fit(build, WIDTHS, x, y, sample_weight=weights, validation=(x[:7], y[:7], weights[:7]))


def test_class_weights_of_each_member(assert_equals_fit: Any, rows: Any) -> None:
    x, y = rows

    def build(n: int) -> Any:
        return classifier([layers.Dense(n, activation="relu")], (6,))

    assert_equals_fit(build, WIDTHS, x, y, class_weights=[{0: 2.0, 1: 0.5}, None])


def test_several_inputs_and_outputs_with_loss_weights(assert_equals_fit: Any, rows: Any) -> None:
    x, y = rows

    def build(n: int) -> Any:
        first, second = keras.Input((6,), name="first"), keras.Input((2,), name="second")
        hidden = layers.Concatenate()([layers.Dense(n, activation="relu")(first), layers.Dense(n)(second)])
        outputs = [layers.Dense(3, activation="softmax", name="kind")(hidden), layers.Dense(1, name="size")(hidden)]
        model = keras.Model([first, second], outputs)
        model.compile(
            "sgd",
            {"kind": "sparse_categorical_crossentropy", "size": "mse"},
            loss_weights={"kind": 1.0, "size": 0.1 * n},
            metrics={"kind": ["accuracy"], "size": ["mae"]},
        )
        return model

    sizes = np.linspace(-1, 1, len(x))[:, None]
    assert_equals_fit(build, WIDTHS, [x, x[:, :2]], [y, sizes], validation=([x[:7], x[:7, :2]], [y[:7], sizes[:7]]))


@pytest.mark.slow
def test_penalties_and_constraints(assert_equals_fit: Any, rows: Any) -> None:
    x, y = rows

    def build(n: int) -> Any:
        hidden = [
            layers.Dense(
                n,
                activation="tanh",
                kernel_regularizer=keras.regularizers.L1L2(1e-3 * n, 1e-2),
                kernel_constraint="max_norm",
            ),
            layers.Dense(
                4, activation="relu", activity_regularizer=keras.regularizers.L2(1e-2 * n), bias_constraint="non_neg"
            ),
            layers.Dense(n, activation="tanh", kernel_constraint="unit_norm"),
        ]
        return classifier(hidden, (6,), keras.optimizers.SGD(0.1))

    assert_equals_fit(build, WIDTHS, x, y, validation=(x[:7], y[:7]))


@pytest.mark.slow
def test_frozen_layers_stay(assert_equals_fit: Any, rows: Any) -> None:
    x, y = rows

    def build(n: int) -> Any:
        frozen = [layers.Dense(n, trainable=False), layers.BatchNormalization(trainable=False)]
        return classifier([*frozen, layers.Dense(4, activation="relu")], (6,))

    assert_equals_fit(build, WIDTHS, x, y)
