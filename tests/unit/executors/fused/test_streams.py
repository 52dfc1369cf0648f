"""Data that come batch by batch, and epochs of a number of steps, train a stack as ``model.fit`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from kt_suite.executors.fused import streams
from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.stack import Stack
from kt_suite.executors.fused.streams import Stream
from kt_suite.executors.fused.unfusable import Unfusable

pytestmark = [
    pytest.mark.usefixtures("without_tracing"),
    pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning"),
]

RNG = np.random.default_rng(0)
X, Y, W = RNG.normal(size=(22, 6)), RNG.integers(0, 3, 22), RNG.random(22)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """The rows in batches, in a new order after each epoch where it is asked for."""

    def __init__(self, is_shuffled: bool = True, size: int = 8) -> None:
        super().__init__()
        self._epochs = 0
        self._is_shuffled, self._size = is_shuffled, size

    def __len__(self) -> int:
        return -(-22 // self._size)

    def __getitem__(self, index: int) -> Any:
        rows = np.random.default_rng(self._epochs).permutation(22)[self._size * index :][: self._size]
        return X[rows], Y[rows]

    def on_epoch_end(self) -> None:
        self._epochs += self._is_shuffled


def rows(*parts: Any) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(parts or (X, Y))


def endless() -> Iterator[Any]:
    start = 0
    while True:
        taken = np.arange(start, start + 5) % 22
        yield X[taken], Y[taken]
        start += 5


def unknown() -> tf.data.Dataset:
    return rows().filter(lambda x, y: x[0] > -1.0).batch(8)


SOURCES: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "batches, the last one partial": (lambda: rows().batch(8), {}),
    "batches of one size": (lambda: rows().batch(8, drop_remainder=True), {}),
    "of unknown length": (unknown, {}),
    "shuffled anew each epoch": (lambda: rows().shuffle(22, seed=3).batch(8), {}),
    "with weights": (lambda: rows(X, Y, W).batch(8), {}),
    "endless": (lambda: rows().repeat().batch(8), {"steps_per_epoch": 4}),
    "in parts": (lambda: rows().batch(4), {"steps_per_epoch": 2}),
    "in parts that run out": (lambda: rows().batch(4), {"steps_per_epoch": 4}),
    "of classes with weights": (lambda: rows().batch(8), {"class_weight": {0: 2.0, 2: 0.5}}),
    "a PyDataset": (Batches, {"shuffle": False}),
    "a PyDataset in parts": (lambda: Batches(False), {"shuffle": False, "steps_per_epoch": 2}),
    "a generator": (endless, {"steps_per_epoch": 3}),
    "arrays": (lambda: X, {"y": Y}),
    "arrays in parts": (lambda: X, {"y": Y, "steps_per_epoch": 2, "batch_size": 4}),
    "arrays in parts that run out": (lambda: X, {"y": Y, "steps_per_epoch": 4, "batch_size": 4}),
}
VALIDATIONS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "batches": (lambda: rows().batch(5), {}),
    "with weights": (lambda: rows(X, Y, W).batch(5), {}),
    "endless": (lambda: rows().repeat().batch(5), {"validation_steps": 3}),
    "a PyDataset": (Batches, {"validation_steps": 2}),
    "arrays": (lambda: (X, Y), {}),
    "some of the arrays": (lambda: (X, Y), {"validation_steps": 2, "validation_batch_size": 5}),
}


def model(units: int) -> Any:
    keras.utils.set_random_seed(units)
    hidden = keras.layers.Dense(units, "tanh")
    made = keras.Sequential([keras.Input((6,)), hidden, keras.layers.Dense(3, "softmax")])
    loss = "sparse_categorical_crossentropy"
    made.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"], weighted_metrics=[loss])
    return made


def seeded(make: Callable[[], Any]) -> Any:
    keras.utils.set_random_seed(0)  # what shuffles is seeded when it is made
    return make()


def assert_equals_fit(
    make: Callable[[], Any], fit: dict[str, Any], validation: Callable[[], Any] | None = None
) -> None:
    units, epochs = (3, 5), 2 if validation or "steps_per_epoch" not in fit else 3
    data = Data(seeded(make), fit.get("y"), validation=None if validation is None else validation())
    options = Options(
        batch_size=fit.get("batch_size", 32),
        shuffle=None,
        validation_batch_size=fit.get("validation_batch_size", 32),
        steps_per_epoch=fit.get("steps_per_epoch"),
        validation_steps=fit.get("validation_steps"),
        epochs=epochs,
    )
    members = [Member(model(own), seed, class_weight=fit.get("class_weight")) for seed, own in enumerate(units)]
    stack = Stack(members, data, options)
    logs = [stack.train_epoch(validate=validation is not None) for _ in range(epochs)]
    for position, own in enumerate(units):
        alone = model(own)
        alone.run_eagerly = True
        held_out = None if validation is None else validation()
        arguments = {"shuffle": False, **fit, "epochs": epochs, "verbose": 0, "validation_data": held_out}
        history = alone.fit(seeded(make), **arguments).history
        for name, wanted in history.items():
            found = [epoch[position][name] for epoch in logs]
            np.testing.assert_allclose(found, wanted, rtol=1e-8, err_msg=name)
        for found, wanted in zip(stack.weights(position), alone.get_weights(), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-12)


@pytest.mark.filterwarnings("ignore:The data hold fewer:UserWarning")
@pytest.mark.parametrize("name", SOURCES)
def test_data_are_read_as_fit_reads_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_MAX_CHUNK_STEPS", 2)  # several chunks an epoch
    assert_equals_fit(*SOURCES[name])


@pytest.mark.parametrize(
    ("name", "trained_on"), [*((name, "arrays") for name in VALIDATIONS if name != "arrays"), ("arrays", "endless")]
)
def test_validation_data_are_read_as_fit_reads_them(name: str, trained_on: str) -> None:
    validation, fit = VALIDATIONS[name]
    make, more = SOURCES[trained_on]
    assert_equals_fit(make, {**fit, **more}, validation)


def test_an_epoch_reads_its_data_once_for_all_members() -> None:
    read = []

    class Counted(Batches):
        def __getitem__(self, index: int) -> Any:
            read.append(index)
            return super().__getitem__(index)

    stack = Stack([Member(model(units), units) for units in (3, 4, 5)], Data(Counted()), Options(shuffle=None))
    read.clear()
    stack.train_epoch()
    stack.train_epoch()
    assert read == [0, 1, 2] * 2


def test_the_batches_of_a_py_dataset_are_shuffled_by_the_seed() -> None:
    def order(seed: int) -> list[list[float]]:
        stream = Stream(model(4), Batches(False, size=1), shuffle=True, seed=seed)
        return [[float(x) for chunk in stream.chunks(epoch) for x in chunk["x"][0][:22, 0]] for epoch in range(2)]

    first, second = order(0)
    assert sorted(first) == sorted(second) == sorted(X[:, 0])
    assert first != second
    assert order(0) == [first, second] != order(1)


def test_what_is_no_plain_tensor_is_refused_before_training() -> None:
    ragged = tf.ragged.constant([[1.0], [2.0, 3.0]])
    with pytest.raises(Unfusable, match="RaggedTensorSpec"):
        Stack([Member(model(4), 0)], Data(rows(ragged, Y[:2]).batch(1)), Options())
