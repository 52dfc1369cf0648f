"""What cannot work is refused in one line, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import kt_suite
from kt_suite.errors import InputError, KTSuiteError, ObjectiveError, ProjectError

X, Y = np.zeros((16, 4), "float32"), np.zeros((16, 1), "float32")


def network(hp, compiled=True):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 1, 4)), keras.layers.Dense(1)])
    if compiled:
        model.compile("sgd", "mse")
    return model


def nothing_to_tune(hp):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def refusal(make) -> str:
    """Returns the one line that ``make`` is refused with."""
    with pytest.raises(KTSuiteError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message
    assert " must " in message
    assert ", but got " in message
    return message


@pytest.fixture
def search(tmp_path: Path):
    def run(build=network, objective="val_loss", x=X, y=Y, **arguments):
        tuner = kt_suite.RandomSearch(build, objective, max_trials=1, directory=tmp_path, tensorboard=None, **arguments)
        tuner.search(x, y, validation_data=(X, Y), verbose=0)
        return tuner

    return run


def test_an_objective_that_no_metric_produces_is_answered_with_those_that_exist(search) -> None:
    message = refusal(lambda: search(objective=kt_suite.Objective("val_los", "min")))
    assert "['loss', 'val_loss']" in message
    assert "Did you mean 'val_loss'?" in message


def test_a_mistyped_objective_leaves_nothing_in_the_way_of_the_right_one(search) -> None:
    with pytest.raises(ObjectiveError):
        search(objective=kt_suite.Objective("val_los", "min"))
    assert search().results()[0]["status"] == "COMPLETED"


def test_an_objective_without_a_known_direction_is_refused(search) -> None:
    assert "direction" in refusal(lambda: search(objective="grandeur"))


def test_targets_of_the_wrong_length_are_refused(search) -> None:
    assert "length of y" in refusal(lambda: search(y=Y[:7]))


def test_an_empty_space_is_refused(search) -> None:
    assert "at least one hyperparameter" in refusal(lambda: search(build=nothing_to_tune))


def test_a_build_without_a_compiled_model_is_refused(search) -> None:
    assert "compiled" in refusal(lambda: search(build=lambda hp: network(hp, compiled=False)))
    with pytest.raises((KTSuiteError, TypeError), match=r"keras\.Model"):
        search(build=lambda hp: hp.Int("units", 1, 2))


def test_a_directory_of_another_program_is_neither_used_nor_removed(search, tmp_path: Path) -> None:
    other = tmp_path / "untitled_project"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    assert "be empty or hold a search" in refusal(search)
    assert "Remove it yourself" in refusal(lambda: search(overwrite=True))
    assert (other / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("max_trials", 0),
        ("seed", -1),
        ("max_retries_per_trial", -1),
        ("max_consecutive_failed_trials", 0),
        ("executions_per_trial", 0),
        ("score", "median"),
        ("keep_checkpoints", "some"),
        ("executor", "inlin"),
        ("pruner", "medan"),
        ("time_budget", 0),
        ("patience", 0),
        ("target", float("nan")),
        ("project_name", "../elsewhere"),
        ("hypermodel", 3),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path: Path, argument: str, value: object) -> None:
    arguments = {"hypermodel": network, "objective": "val_loss", "directory": tmp_path, argument: value}
    assert refusal(lambda: kt_suite.RandomSearch(**arguments))
    assert not any(tmp_path.iterdir())


def test_a_search_is_not_resumed_under_other_settings(search) -> None:
    search(seed=1)
    assert "'val_loss'" in refusal(lambda: search(objective="loss", seed=1))
    assert "seed" in refusal(lambda: search(seed=2))
    assert issubclass(ProjectError, InputError)


def test_a_pruner_without_epochs_to_see_is_refused(tmp_path: Path) -> None:
    class Silent(kt_suite.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return float(trial.hyperparameters.Int("number", 1, 5))

    tuner = Silent(max_trials=2, pruner="median", directory=tmp_path, tensorboard=None)
    assert "report_epoch" in refusal(lambda: tuner.search(verbose=0))


def test_an_option_that_the_hypermodel_tunes_is_not_given_twice(tmp_path: Path) -> None:
    class Batched(kt_suite.HyperModel):
        def build(self, hp):
            return network(hp)

        def fit_options(self, hp):
            return {"batch_size": hp.Choice("batch_size", [4, 8])}

    tuner = kt_suite.RandomSearch(Batched(), "loss", max_trials=1, directory=tmp_path, tensorboard=None)
    assert "batch_size" in refusal(lambda: tuner.search(X, Y, batch_size=2, verbose=0))


def test_values_outside_the_space_are_not_enqueued(tmp_path: Path) -> None:
    tuner = kt_suite.RandomSearch(network, "loss", directory=tmp_path, tensorboard=None)
    assert "units" in refusal(lambda: tuner.enqueue({"units": 9}))
    assert "be among" in refusal(lambda: tuner.enqueue({"unit": 2}))
