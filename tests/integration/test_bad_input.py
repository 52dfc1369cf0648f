"""What cannot work is said in one line before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

import kt_suite as kts
from kt_suite.errors import InputError, KTSuiteError, ObjectiveError, ProjectError
from kt_suite.storage import Storage
from kt_suite.testing import ToyHyperModel
from tests.black_box import black_box, parabola

X, Y = ToyHyperModel.data()


def build(hp: Any) -> Any:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(hp.Int("units", 1, 4)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    return model


def tuner_of(hypermodel: Any = build, **options: Any) -> Any:
    settings = {"objective": "val_loss", "max_trials": 2, "seed": 0, "directory": "projects", "project_name": "search"}
    return kts.RandomSearch(hypermodel, **{**settings, "tensorboard": None, **options})


def search(hypermodel: Any = build, fit: Any = None, **options: Any) -> Any:
    data = {"x": X, "y": Y, "validation_data": (X, Y), "epochs": 3, "verbose": 0}
    tuner = tuner_of(hypermodel, **options)
    tuner.search(**{**data, **(fit or {})})
    return tuner


def message_of(error: type[Exception], call: Callable[[], Any]) -> str:
    """Returns the message of the error that a call must raise: one line, and nothing trained."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert len(message.splitlines()) == 1, message
    assert num_epochs() == 0
    return message


def num_epochs() -> int:
    """Returns how many epochs the search in this directory has trained."""
    if not Storage.exists("projects/search"):
        return 0
    storage = Storage.open("projects/search")
    return sum(len(storage.reports(trial.trial_id)) for trial in storage.trials())


# The objective


def test_an_objective_that_no_metric_produces_is_told_after_one_epoch() -> None:
    with pytest.raises(ObjectiveError) as caught:
        search(objective=kts.Objective("val_accuracy", "max"))
    message = str(caught.value)
    assert "'val_accuracy'" in message
    assert "['loss', 'val_loss']" in message
    assert len(message.splitlines()) == 1
    assert len(Storage.open("projects/search").trials()) == 1


def test_an_objective_of_validation_without_validation_names_the_remedy() -> None:
    assert "validation_data=" in message_of(ObjectiveError, lambda: search(fit={"validation_data": None}))


def test_a_misspelt_objective_is_corrected() -> None:
    with pytest.raises(ObjectiveError, match="Did you mean 'val_loss'"):
        search(objective=kts.Objective("val_lost", "min"))


def test_after_a_mistyped_objective_the_same_project_can_be_used() -> None:
    with pytest.raises(ObjectiveError):
        search(objective=kts.Objective("val_accuracy", "max"))
    assert [row["status"] for row in search().results()] == ["COMPLETED"] * 2


def test_an_objective_of_unknown_direction_asks_for_it() -> None:
    assert "kt_suite.Objective('score', direction=" in message_of(InputError, lambda: tuner_of(objective="score"))


def test_no_objective_at_all_is_told_before_training() -> None:
    assert 'objective="val_loss"' in message_of(InputError, lambda: search(objective=None))


# The data


@pytest.mark.parametrize(
    ("fit", "named"),
    [
        ({"y": Y[:-1]}, r"The length of y must equal that of x \(16\), but got 15"),
        ({"y": list(range(15))}, "15"),
        ({"validation_data": (X, Y[:3])}, r"validation_y must equal that of validation_x \(16\), but got 3"),
        ({"x": {"a": X, "b": X}, "y": Y[:9]}, "9"),
        ({"x": [X, X], "y": Y[:9]}, "9"),
    ],
)
def test_targets_of_the_wrong_length_are_told(fit: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        search(fit=fit)
    assert not Path("projects").exists()


def test_lengths_are_not_checked_where_they_are_the_users_business() -> None:
    class Own(kts.HyperModel):
        def build(self, hp: Any) -> Any:
            return build(hp)

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> float:
            return 0.5

    tuner = tuner_of(Own(), objective=None)
    tuner.search(["a.npy", "b.npy"], ["vocabulary"], verbose=0)
    assert len(tuner.results()) == 2


def test_callbacks_that_are_none_are_named() -> None:
    assert "callbacks" in message_of(InputError, lambda: search(fit={"callbacks": ["tensorboard"]}))


# The space and the build


def test_an_empty_space_is_told() -> None:
    def fixed(hp: Any) -> Any:
        hp.Fixed("units", 3)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    assert "at least one hyperparameter" in message_of(InputError, lambda: search(fixed))


@pytest.mark.parametrize("returned", [None, 3, "model", [1]], ids=repr)
def test_a_build_that_returns_no_model_is_told(returned: Any) -> None:
    def build_nothing(hp: Any) -> Any:
        hp.Int("units", 1, 4)
        return returned

    message = message_of(InputError, lambda: tuner_of(build_nothing))
    assert repr(returned) in message
    assert "compiled keras.Model" in message


def test_a_build_that_does_not_compile_is_told() -> None:
    def uncompiled(hp: Any) -> Any:
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(hp.Int("units", 1, 4))])

    assert "model.compile" in message_of(InputError, lambda: tuner_of(uncompiled))


@pytest.mark.parametrize(
    "hypermodel", [None, 3, "mlp", ToyHyperModel, [build]], ids=["none", "number", "name", "class", "list"]
)
def test_what_is_no_hypermodel_is_told(hypermodel: Any) -> None:
    assert "hypermodel" in message_of(InputError, lambda: tuner_of(hypermodel))


def test_an_illegal_scope_is_told() -> None:
    def illegal(hp: Any) -> Any:
        hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", ["zzz"]):
            hp.Int("n", 1, 2)
        return build(hp)

    assert "'zzz'" in message_of(InputError, lambda: tuner_of(illegal))


# Arguments


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_trials", 0),
        ("max_trials", "ten"),
        ("seed", -1),
        ("max_retries_per_trial", -1),
        ("max_consecutive_failed_trials", 0),
        ("executions_per_trial", 0),
        ("executions_per_trial", 1.5),
        ("score", "median"),
        ("keep_checkpoints", -1),
        ("keep_checkpoints", "some"),
        ("executor", "inlin"),
        ("time_budget", -5),
        ("time_budget", "1h"),
        ("patience", 0),
        ("target", "good"),
        ("pruner", "medain"),
        ("project_name", "../elsewhere"),
    ],
)
def test_a_bad_argument_is_named(name: str, value: Any) -> None:
    message = message_of(KTSuiteError, lambda: tuner_of(**{name: value}))
    assert name in message
    assert repr(value) in message
    assert not Path("projects").exists()


@pytest.mark.parametrize(("name", "value", "near"), [("executor", "inlin", "inline"), ("pruner", "medain", "median")])
def test_a_misspelt_name_is_corrected(name: str, value: str, near: str) -> None:
    assert f"Did you mean {near!r}?" in message_of(InputError, lambda: tuner_of(**{name: value}))


def test_something_that_is_no_oracle_is_named() -> None:
    assert "oracle" in message_of(InputError, lambda: kts.Tuner("random", build))
    assert "oracle" in message_of(InputError, lambda: kts.Tuner(kts.oracles.RandomSearchOracle, build))


def test_keras_tuners_chief_and_workers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    assert "KERASTUNER_ORACLE_IP" in message_of(InputError, search)


# The project


def test_a_directory_of_another_program_is_left_alone() -> None:
    path = Path("projects/search")
    path.mkdir(parents=True)
    (path / "thesis.tex").write_text("years of work")
    assert "projects/search" in message_of(ProjectError, tuner_of)
    assert "projects/search" in message_of(ProjectError, lambda: tuner_of(overwrite=True))
    assert (path / "thesis.tex").read_text() == "years of work"


def test_a_project_of_keras_tuner_is_named() -> None:
    theirs = keras_tuner.RandomSearch(build, "val_loss", max_trials=1, directory="projects", project_name="search")
    theirs.search(X, Y, validation_data=(X, Y), verbose=0)
    assert "KerasTuner's" in message_of(ProjectError, tuner_of)
    assert [row["status"] for row in search(overwrite=True).results()] == ["COMPLETED"] * 2


def test_a_torn_search_is_named_and_not_overwritten() -> None:
    search()._storage.close()
    path = Path("projects/search/search.db")
    torn = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(torn)
    for overwrite in (False, True):
        with pytest.raises(KTSuiteError, match=r"search\.db"):
            tuner_of(overwrite=overwrite)
    assert path.read_bytes() == torn


@pytest.mark.parametrize(
    "options", [{"objective": "loss"}, {"seed": 1}, {"executions_per_trial": 2}, {"score": "last"}]
)
def test_a_search_with_other_settings_is_named(options: dict[str, Any]) -> None:
    search()
    with pytest.raises(ProjectError, match=next(iter(options)).replace("executions", "runs")) as caught:
        tuner_of(**options)
    assert "overwrite=True" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_nan_in_targets_fails_trials_with_that_reason() -> None:
    with pytest.raises(kts.errors.SearchFailedError, match="val_loss' is nan"):
        search(
            fit={"y": np.full_like(Y, np.nan), "validation_data": (X, np.full_like(Y, np.nan)), "epochs": 1},
            max_trials=5,
        )


def test_a_pruner_that_gets_no_epochs_to_judge_is_told() -> None:
    tuner = black_box(parabola, pruner="median", max_trials=2)
    assert "report_epoch" in message_of(InputError, lambda: tuner.search(verbose=0))
