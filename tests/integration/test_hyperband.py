"""Hyperband trains real models: promoted ones go on, budgets are kept to."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import keras
import numpy as np
import pytest

from kt_suite.tuners_hyperband import Hyperband

Build = Any


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Notes the state of each training at its begin and its end, and the epochs in between."""

    def __init__(self, trainings: list[dict[str, Any]]) -> None:
        super().__init__()
        self.trainings = trainings

    def __deepcopy__(self, memo: Any) -> Recorder:
        return Recorder(self.trainings)

    def _state(self) -> dict[str, Any]:
        iterations = int(self.model.optimizer.iterations)
        slots = [np.array(one) for one in self.model.optimizer.variables]
        return {"iterations": iterations, "weights": self.model.get_weights(), "optimizer": slots}

    def on_train_begin(self, logs: Any = None) -> None:
        self.trainings.append({"begin": self._state(), "epochs": []})

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.trainings[-1]["epochs"].append(epoch)

    def on_train_end(self, logs: Any = None) -> None:
        self.trainings[-1]["end"] = self._state()


def search(build: Build, iris: Any, project: dict[str, Any], fit: Any = None, **options: Any) -> tuple[Any, list[Any]]:
    """Returns a tuner after its search, and what was recorded of each training."""
    x, y = iris
    trainings: list[dict[str, Any]] = []
    settings = {"max_epochs": 4, "factor": 2, "seed": 0, "tensorboard": None, **project, **options}
    tuner = Hyperband(build, "val_accuracy", **settings)
    fit = {"validation_data": (x[100:], y[100:]), "batch_size": 20, **(fit or {})}
    tuner.search(x[:100], y[:100], callbacks=[Recorder(trainings)], verbose=0, **fit)
    return tuner, trainings


def records(tuner: Any) -> list[Any]:
    return [tuner.oracle.trials[trial_id].record for trial_id in tuner.oracle.start_order]


def test_a_promoted_trial_goes_on_with_the_full_state_of_its_parent(
    tiny_build: Build, iris: Any, project: dict[str, Any]
) -> None:
    tuner, trainings = search(tiny_build, iris, project)
    by_id = dict(zip(tuner.oracle.start_order, trainings, strict=True))
    promoted = [record for record in records(tuner) if record.parent is not None]
    assert len(promoted) == 2 + 1 + 1
    for record in promoted:
        parent, child = by_id[record.parent]["end"], by_id[record.trial_id]["begin"]
        assert child["iterations"] == parent["iterations"] == record.initial_epoch * 5 > 0
        for name in ("weights", "optimizer"):
            assert all((one == two).all() for one, two in zip(parent[name], child[name], strict=True))
        assert by_id[record.trial_id]["epochs"] == list(range(record.initial_epoch, record.budget))


def test_the_epochs_trained_are_those_announced(tiny_build: Build, iris: Any, project: dict[str, Any]) -> None:
    tuner, trainings = search(tiny_build, iris, project)
    assert tuner.oracle.notes()[0] == "Hyperband, 1 iteration: 14 trials, 30 epochs in all"
    assert sum(len(training["epochs"]) for training in trainings) == 30
    assert sum(record.epochs for record in records(tuner)) == 30


def test_states_are_gone_after_the_search(tiny_build: Build, iris: Any, project: dict[str, Any]) -> None:
    tuner, _ = search(tiny_build, iris, project)
    assert list(tuner._path.rglob("state_*")) == []
    assert tuner.get_best_models(1)[0].built


def test_a_model_that_is_built_by_its_data_goes_on_too(iris: Any, project: dict[str, Any]) -> None:
    def build(hp: Any) -> Any:
        model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 64)), keras.layers.Dense(3, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    tuner, trainings = search(build, iris, project, max_epochs=2, keep_checkpoints=1)
    by_id = dict(zip(tuner.oracle.start_order, trainings, strict=True))
    child = next(record for record in records(tuner) if record.parent is not None)
    assert by_id[child.trial_id]["begin"]["iterations"] == by_id[child.parent]["end"]["iterations"] == 5


def test_each_run_goes_on_from_the_same_run(tiny_build: Build, iris: Any, project: dict[str, Any]) -> None:
    tuner, trainings = search(tiny_build, iris, project, max_epochs=2, executions_per_trial=2)
    pairs = dict(zip(tuner.oracle.start_order, zip(trainings[::2], trainings[1::2], strict=True), strict=True))
    child = next(record for record in records(tuner) if record.parent is not None)
    for before, after in zip(pairs[child.parent], pairs[child.trial_id], strict=True):
        assert all(
            (one == two).all() for one, two in zip(before["end"]["weights"], after["begin"]["weights"], strict=True)
        )


def test_a_budget_in_data_trains_on_a_share_from_scratch(tiny_build: Build, iris: Any, project: dict[str, Any]) -> None:
    tuner, trainings = search(tiny_build, iris, project, budget="data")
    steps = {0.25: 2 * 4, 0.5: 3 * 4, 1.0: 5 * 4}  # batches of 20 from 25, 50 and 100 samples, for 4 epochs
    for record, training in zip(records(tuner), trainings, strict=True):
        assert training["begin"]["iterations"] == 0
        assert training["end"]["iterations"] == steps[record.data_share]


def test_a_killed_search_resumes_and_promotes_from_stored_states(
    tiny_build: Build, iris: Any, project: dict[str, Any]
) -> None:
    class Dies(keras.callbacks.Callback):  # type: ignore[misc]
        left = 7

        def __deepcopy__(self, memo: Any) -> Dies:
            return self

        def on_train_begin(self, logs: Any = None) -> None:
            Dies.left -= 1
            if Dies.left == 0:
                raise KeyboardInterrupt

    x, y = iris
    options = {"max_epochs": 4, "factor": 2, "seed": 0, "tensorboard": None}
    data = {"x": x[:100], "y": y[:100], "validation_data": (x[100:], y[100:]), "batch_size": 20, "verbose": 0}
    whole = Hyperband(tiny_build, "val_accuracy", **options, directory=project["directory"], project_name="whole")
    whole.search(**data)
    first = Hyperband(tiny_build, "val_accuracy", **options, **project)
    with pytest.raises(KeyboardInterrupt):
        first.search(**data, callbacks=[Dies()])
    second = Hyperband(tiny_build, "val_accuracy", **options, **project)
    second.search(**data)
    expected = [(record.trial_id, record.values, record.parent, record.score) for record in records(whole)]
    assert [(record.trial_id, record.values, record.parent, record.score) for record in records(second)] == expected
