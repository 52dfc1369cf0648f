"""Hyperband trains real models: promoted ones go on, budgets are kept to."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from kt_suite.tuners.hyperband import Hyperband


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Notes the state of each training at its begin and its end, and the epochs in between."""

    def __init__(self, trainings: list[dict[str, Any]]) -> None:
        super().__init__()
        self.trainings = trainings

    def __deepcopy__(self, memo: Any) -> Recorder:
        return Recorder(self.trainings)

    def _state(self) -> dict[str, Any]:
        optimizer = self.model.optimizer
        slots = [np.array(one) for one in optimizer.variables]
        return {"iterations": int(optimizer.iterations), "weights": self.model.get_weights(), "optimizer": slots}

    def on_train_begin(self, logs: Any = None) -> None:
        self.trainings.append({"begin": self._state(), "epochs": []})

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.trainings[-1]["epochs"].append(epoch)

    def on_train_end(self, logs: Any = None) -> None:
        self.trainings[-1]["end"] = self._state()


class Dies(keras.callbacks.Callback):  # type: ignore[misc]
    """Interrupts the search at the begin of its n-th training."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def __deepcopy__(self, memo: Any) -> Dies:
        return self

    def on_train_begin(self, logs: Any = None) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def unbuilt(hp: Any) -> Any:
    model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 64)), keras.layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def built(hp: Any) -> Any:
    units = hp.Int("units", 2, 64)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, "relu"), keras.layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def hyperband(build: Any, directory: Any, **options: Any) -> Hyperband:
    settings = {"max_epochs": 2, "factor": 2, "seed": 0, "tensorboard": None, **options}
    return Hyperband(build, "val_accuracy", directory=directory, **settings)


def train(tuner: Hyperband, iris: Any, *callbacks: Any) -> list[dict[str, Any]]:
    """Searches on 100 samples in batches of 20; returns what was recorded of each training."""
    x, y = iris
    recorder = Recorder([])
    tuner.search(
        x[:100],
        y[:100],
        validation_data=(x[100:], y[100:]),
        batch_size=20,
        callbacks=[recorder, *callbacks],
        verbose=0,
    )
    return recorder.trainings


def records(tuner: Hyperband) -> list[Any]:
    return [tuner.oracle.trials[trial_id].record for trial_id in tuner.oracle.start_order]


def are_equal(one: list[Any], two: list[Any]) -> bool:
    return len(one) == len(two) and all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.fixture(scope="module")
def finished(iris: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Hyperband, list[dict[str, Any]]]:
    """Returns a search of three brackets, with the trainings that it took."""
    tuner = hyperband(built, tmp_path_factory.mktemp("projects"), max_epochs=4)
    return tuner, train(tuner, iris)


def test_a_promoted_trial_goes_on_with_the_full_state_of_its_parent(finished: Any) -> None:
    tuner, trainings = finished
    by_id = dict(zip(tuner.oracle.start_order, trainings, strict=True))
    promoted = [record for record in records(tuner) if record.parent is not None]
    assert sorted(record.budget for record in promoted) == [2, 2, 4, 4]
    for record in promoted:
        parent, child = by_id[record.parent]["end"], by_id[record.trial_id]["begin"]
        assert child["iterations"] == parent["iterations"] == record.initial_epoch * 5 > 0
        assert are_equal(child["weights"], parent["weights"])
        assert are_equal(child["optimizer"], parent["optimizer"])
        assert by_id[record.trial_id]["epochs"] == list(range(record.initial_epoch, record.budget))
        assert record.initial_epoch <= record.best_epoch < record.budget


def test_the_epochs_trained_are_those_announced(finished: Any) -> None:
    tuner, trainings = finished
    assert tuner.oracle.notes()[0] == "Hyperband, 1 iteration: 14 trials, 28 epochs in all"
    assert sum(len(training["epochs"]) for training in trainings) == 28
    assert sum(record.epochs for record in records(tuner)) == 28


def test_the_best_model_is_left_and_no_state(finished: Any) -> None:
    tuner, _ = finished
    assert list(tuner._path.rglob("state_*")) == []
    assert tuner.get_best_models(1)[0].built


@pytest.mark.slow
def test_each_run_of_a_model_that_its_data_build_goes_on_from_the_same_run(iris: Any, tmp_path: Any) -> None:
    tuner = hyperband(unbuilt, tmp_path, executions_per_trial=2, keep_checkpoints=1)
    trainings = train(tuner, iris)
    runs = dict(zip(tuner.oracle.start_order, zip(trainings[::2], trainings[1::2], strict=True), strict=True))
    child = next(record for record in records(tuner) if record.parent is not None)
    for before, after in zip(runs[child.parent], runs[child.trial_id], strict=True):
        assert after["begin"]["iterations"] == 5
        assert are_equal(before["end"]["weights"], after["begin"]["weights"])


@pytest.mark.slow
def test_a_budget_in_data_trains_on_a_share_from_scratch(iris: Any, tmp_path: Any) -> None:
    tuner = hyperband(built, tmp_path, budget="data")
    trainings = train(tuner, iris)
    steps = {0.5: 2 * 3, 1.0: 2 * 5}  # batches of 20 from 50 and 100 samples, for two epochs
    assert {record.data_share for record in records(tuner)} == set(steps)
    for record, training in zip(records(tuner), trainings, strict=True):
        assert training["begin"]["iterations"] == 0
        assert training["end"]["iterations"] == steps[record.data_share]


@pytest.mark.slow
def test_an_interrupted_search_promotes_from_stored_states(iris: Any, tmp_path: Any) -> None:
    def outcome(tuner: Hyperband) -> list[tuple[Any, ...]]:
        return [(record.trial_id, record.values, record.parent, record.score) for record in records(tuner)]

    whole = hyperband(built, tmp_path, project_name="whole")
    train(whole, iris)
    promotion = next(record.number for record in records(whole) if record.parent is not None)
    with pytest.raises(KeyboardInterrupt):
        train(hyperband(built, tmp_path, project_name="parts"), iris, Dies(promotion + 1))
    resumed = hyperband(built, tmp_path, project_name="parts")
    trainings = train(resumed, iris)
    assert trainings[0]["begin"]["iterations"] == 5
    assert outcome(resumed) == outcome(whole)
