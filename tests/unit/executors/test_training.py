from __future__ import annotations

import copy
import math
import random
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kt_suite as kts
from kt_suite.errors import InputError, ObjectiveError
from kt_suite.executors.training import (
    CHECKPOINT,
    RunMonitor,
    accepts,
    copy_callbacks,
    fresh_keras,
    load_weights,
    read_state,
    save_state,
    save_weights,
)
from kt_suite.trial import Decision, Report

LOSS = kts.Objective("val_loss", "min")


class Model:
    """What a callback sees of a model: weights that are the number of the epoch."""

    stop_training = False
    epoch = 0

    def get_weights(self) -> list[np.ndarray]:
        return [np.array([float(self.epoch)])]


def monitored(
    losses: list[float], decide: Any = None, first_epoch: int = 0, **options: Any
) -> tuple[RunMonitor, list[Report]]:
    """Returns a monitor that has seen a curve, and what it reported."""
    reports: list[Report] = []

    def report(one: Report) -> Decision:
        reports.append(one)
        return decide(one) if decide else Decision.CONTINUE

    monitor = RunMonitor(LOSS, options.pop("which", "best"), report, **options)
    monitor.set_model(Model())
    for epoch, loss in enumerate(losses, first_epoch):
        monitor.model.epoch = epoch
        monitor.on_epoch_end(epoch, {"val_loss": loss, "vector": np.zeros(3)})
        if monitor.model.stop_training:
            break
    return monitor, reports


# What a run reports


def test_every_epoch_is_reported_with_its_scalars() -> None:
    _, reports = monitored([3.0, 2.0], run=1, attempt=4)
    assert [(one.run, one.epoch, one.attempt, dict(one.metrics)) for one in reports] == [
        (1, 0, 4, {"val_loss": 3.0}),
        (1, 1, 4, {"val_loss": 2.0}),
    ]


@pytest.mark.parametrize("decision", [Decision.STOP, Decision.PAUSE, Decision.PROMOTE])
def test_any_decision_but_to_go_on_ends_the_run(decision: Decision) -> None:
    monitor, reports = monitored([3.0, 2.0, 1.0], decide=lambda one: decision if one.epoch == 1 else Decision.CONTINUE)
    assert len(reports) == 2
    assert monitor.is_pruned
    assert monitor.model.stop_training


def test_a_request_to_stop_ends_the_run_between_epochs() -> None:
    monitor, _ = monitored([], should_stop=lambda: True)
    monitor.on_train_batch_end(0)
    assert monitor.is_pruned
    assert monitor.model.stop_training


def test_an_epoch_without_the_objective_is_an_error_where_it_must_be_there() -> None:
    monitor = RunMonitor(LOSS, "best", lambda one: Decision.CONTINUE, requires_objective=True)
    monitor.set_model(Model())
    with pytest.raises(ObjectiveError, match="val_loss"):
        monitor.on_epoch_end(0, {"loss": 1.0})
    relaxed = RunMonitor(LOSS, "best", lambda one: Decision.CONTINUE)
    relaxed.set_model(Model())
    relaxed.on_epoch_end(0, {"loss": 1.0})
    relaxed.on_epoch_end(1, None)
    assert relaxed.curve == [{"loss": 1.0}, {}]


# The weights that are kept


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [([3.0, 1.0, 2.0], 1), ([1.0, 1.0], 0), ([math.nan, 2.0], 1), ([2.0, math.nan], 0), ([math.inf, 2.0], 1)],
)
def test_weights_are_those_of_the_best_epoch(losses: list[float], epoch: int) -> None:
    monitor, _ = monitored(losses, first_epoch=5)
    assert monitor.weights is not None
    assert monitor.weights[0].item() == 5 + epoch
    assert (monitor.best_epoch, monitor.first_epoch) == (epoch, 5)


@pytest.mark.parametrize("options", [{"which": "last"}, {"keeps_weights": False}])
def test_no_weights_are_kept_where_none_are_needed(options: dict[str, Any]) -> None:
    assert monitored([2.0, 1.0], **options)[0].weights is None


def test_a_run_that_only_knew_nan_has_no_best_epoch() -> None:
    monitor, _ = monitored([math.nan, math.nan])
    assert (monitor.weights, monitor.best_epoch) == (None, None)


def test_a_maximised_objective_keeps_the_highest() -> None:
    monitor = RunMonitor(kts.Objective("acc", "max"), "best", lambda one: Decision.CONTINUE)
    monitor.set_model(Model())
    for epoch, value in enumerate([0.1, 0.9, 0.5]):
        monitor.model.epoch = epoch
        monitor.on_epoch_end(epoch, {"acc": value})
    assert monitor.best_epoch == 1


# Callbacks


class Counter(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []


class Locked(Counter):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


@pytest.mark.parametrize("callbacks", [None, [], (), lambda: None, list])
def test_no_callbacks_are_no_trouble(callbacks: Any) -> None:
    assert copy_callbacks(callbacks) == []


def test_one_callback_is_a_list_of_one() -> None:
    mine = Counter()
    (own,) = copy_callbacks(mine)
    assert type(own) is Counter
    assert own is not mine


def test_every_run_has_callbacks_of_its_own() -> None:
    mine = Counter()
    for _ in range(2):
        (own,) = copy_callbacks([mine])
        own.seen.append(1)
        assert own.seen == [1]
    assert mine.seen == []


def test_a_function_makes_callbacks_afresh() -> None:
    assert [type(one) for one in copy_callbacks(lambda: [Counter(), Locked()])] == [Counter, Locked]
    assert [type(one) for one in copy_callbacks(Counter)] == [Counter]


def test_a_callback_that_cannot_be_copied_is_shared_with_a_word() -> None:
    mine = Locked()
    with pytest.raises(TypeError):
        copy.deepcopy(mine)
    with pytest.warns(UserWarning, match="Locked cannot be copied"):
        (own,) = copy_callbacks([mine])
    assert own is not mine
    assert own.lock is mine.lock


@pytest.mark.parametrize("callbacks", [3, "tensorboard", [object()], [keras.callbacks.Callback], lambda: [1]])
def test_what_is_no_callback_is_named(callbacks: Any) -> None:
    with pytest.raises(InputError, match="callbacks"):
        copy_callbacks(callbacks)


# Seeds and files


def test_one_seed_gives_the_same_weights_shuffles_and_draws() -> None:
    def draw(seed: int) -> list[float]:
        fresh_keras(seed)
        weights = keras.layers.Dense(1)
        weights.build((None, 2))
        return [*np.ravel(weights.get_weights()[0]), random.random(), float(np.random.rand())]  # noqa: NPY002

    assert draw(0) == draw(0)
    assert draw(0) != draw(1)


def build(rate: float = 0.01) -> Any:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model


@pytest.fixture(scope="module")
def trained() -> Any:
    fresh_keras(0)
    model = build()
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
    return model


def test_weights_come_back_without_the_optimizer_and_without_a_warning(trained: Any, tmp_path: Path) -> None:
    best = [weight + 1 for weight in trained.get_weights()]
    save_weights(trained, best, tmp_path)
    assert trained.optimizer.iterations == 1
    again = build()
    load_weights(again, tmp_path / CHECKPOINT)
    assert all(np.array_equal(one, other) for one, other in zip(again.get_weights(), best, strict=True))
    assert again.optimizer.iterations == 0
    trained.fit(np.ones((4, 2)), np.ones(4), verbose=0)


def test_state_comes_back_with_the_optimizer(trained: Any, tmp_path: Path) -> None:
    save_state(trained, tmp_path / "state_0.weights.h5")
    again = build()
    read_state(again, tmp_path / "state_0.weights.h5")
    assert again.optimizer.iterations == trained.optimizer.iterations
    ours, theirs = (model.optimizer.variables for model in (again, trained))
    assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_arguments_of_functions_are_seen_through_wrappers() -> None:
    assert accepts(lambda verbose: None, "verbose")
    assert accepts(lambda **kwargs: None, "verbose")
    assert not accepts(lambda x: None, "verbose")
