from __future__ import annotations

import inspect
import random
import threading
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

import kt_suite as kts
from kt_suite.errors import InputError, ProjectError
from kt_suite.testing import ToyHyperModel
from tests.black_box import black_box, parabola, table

DATA = ToyHyperModel.data()
FIT: dict[str, Any] = {"x": DATA[0], "y": DATA[1], "validation_data": DATA, "epochs": 2, "verbose": 0}


def build(hp: Any) -> Any:
    units = hp.Int("units", 1, 64)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units), keras.layers.Dense(1)])
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(
        keras.optimizers.SGD(rate), "mse", metrics=["mae"], run_eagerly=True
    )  # a few batches: tracing costs more
    return model


def random_search(hypermodel: Any = build, kind: Any = kts.RandomSearch, **options: Any) -> Any:
    settings = {"objective": "val_loss", "max_trials": 1, "seed": 0, "directory": "projects", "project_name": "search"}
    return kind(hypermodel, **{**settings, "tensorboard": None, **options})


def searched(hypermodel: Any = build, fit: Any = None, **options: Any) -> Any:
    tuner = random_search(hypermodel, **options)
    tuner.search(**{**FIT, **(fit or {})})
    return tuner


def checkpoints(tuner: Any) -> list[str]:
    return sorted(path.parent.parent.name for path in Path(tuner.project_dir).rglob("*.weights.h5"))


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Five trials of two runs, of which the weights of the best two stay."""
    directory = tmp_path_factory.mktemp("five")
    return searched(max_trials=5, executions_per_trial=2, keep_checkpoints=2, directory=directory)


# What a search of Keras models comes to


def test_the_best_models_have_the_scores_of_their_trials(five: Any) -> None:
    trials = five.oracle.get_best_trials(2)
    for trial, model in zip(trials, five.get_best_models(2), strict=True):
        loss = model.evaluate(*DATA, verbose=0, return_dict=True)["loss"]
        assert loss == pytest.approx(min(run.score for run in trial.runs), rel=1e-5)
        assert model.layers[0].units == trial.values["units"]


def test_weights_of_the_best_trials_stay_on_disk_and_no_others(five: Any) -> None:
    best = [f"trial_{trial.trial_id}" for trial in five.oracle.get_best_trials(2)]
    assert checkpoints(five) == sorted(best)
    with pytest.raises(ProjectError, match="keep_checkpoints"):
        five.get_best_models(3)


def test_the_curves_of_all_runs_are_kept(five: Any) -> None:
    for trial in five._storage.trials():
        curve = five._storage.reports(trial.trial_id)
        assert [(one.run, one.epoch) for one in curve] == [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert set(curve[0].metrics) == {"loss", "mae", "val_loss", "val_mae"}
        for run in trial.runs:
            losses = [one.metrics["val_loss"] for one in curve if one.run == run.index]
            assert run.score == min(losses)
            assert run.best_epoch == losses.index(min(losses))
            assert run.metrics["val_loss"] == run.score
            assert run.seconds > 0
        assert trial.score == pytest.approx(np.mean([run.score for run in trial.runs]))
        assert trial.epochs == 4


def test_every_run_has_a_seed_of_its_own(five: Any) -> None:
    seeds = [run.seed for trial in five._storage.trials() for run in trial.runs]
    assert len(set(seeds)) == len(seeds) == 10


def test_results_come_best_first_as_plain_rows(five: Any) -> None:
    rows = five.results()
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores)
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    best = five.get_best_hyperparameters()[0]
    assert best.values == rows[0]["values"]
    assert build(best).layers[0].units == rows[0]["values"]["units"]


def test_results_are_shown_as_a_table(five: Any, capsys: pytest.CaptureFixture[str]) -> None:
    five.results_summary(2)
    shown = capsys.readouterr().out
    assert "2 best of 5 trials by val_loss (min)" in shown
    assert five.oracle.get_best_trials()[0].trial_id in shown


def test_a_search_is_taken_up_by_a_new_tuner(five: Any) -> None:
    again = random_search(
        max_trials=5,
        executions_per_trial=2,
        keep_checkpoints=2,
        directory=five.directory,
        project_name=five.project_name,
    )
    assert table(again) == table(five)
    assert again.remaining_trials == 0
    loaded, original = (tuner.get_best_models()[0].get_weights() for tuner in (again, five))
    assert all(np.array_equal(one, other) for one, other in zip(loaded, original, strict=True))
    again.reload()
    assert len(again.results()) == 5


def test_one_seed_gives_one_search(five: Any) -> None:
    again = searched(max_trials=2, executions_per_trial=2)
    assert table(again) == table(five)[:2]


# Options


def test_no_weights_stay_where_none_are_wanted() -> None:
    tuner = searched(keep_checkpoints=0)
    assert checkpoints(tuner) == []
    with pytest.raises(ProjectError):
        tuner.get_best_models()


def test_all_weights_stay_as_in_keras_tuner_where_wanted() -> None:
    assert len(checkpoints(searched(max_trials=2, keep_checkpoints="all"))) == 2


def test_the_last_epoch_counts_where_asked() -> None:
    tuner = searched(fit={"epochs": 3}, score="last")
    last = tuner._storage.reports("0000")[-1]
    trial = tuner._storage.trials()[0]
    assert (trial.score, trial.best_epoch) == (last.metrics["val_loss"], 2)
    loss = tuner.get_best_models()[0].evaluate(*DATA, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(trial.score, rel=1e-5)


def test_models_that_are_too_large_fail_their_trials() -> None:
    tuner = random_search(max_trials=4, max_model_size=100, max_consecutive_failed_trials=10)
    tuner.search(**FIT)
    sizes = {trial.trial_id: 4 * trial.values["units"] + 1 for trial in tuner._storage.trials()}
    assert {row[0] for row in table(tuner) if row[1] == "FAILED"} == {key for key, size in sizes.items() if size > 100}
    assert all("max_model_size=100" in trial.message for trial in tuner._storage.trials() if trial.status == "FAILED")
    assert 0 < sum(size > 100 for size in sizes.values()) < 4


def test_compile_arguments_can_be_given_to_the_tuner() -> None:
    def uncompiled(hp: Any) -> Any:
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(hp.Int("units", 1, 2)), keras.layers.Dense(1)])

    tuner = searched(uncompiled, optimizer="sgd", loss="mse", metrics=["mae"])
    assert set(tuner._storage.trials()[0].metrics) == {"loss", "mae", "val_loss", "val_mae"}
    assert tuner.get_best_models()[0].loss == "mse"


# Training


class Noting(keras.callbacks.Callback):
    seen: list[Any] = []  # noqa: RUF012 - shared by the copies

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seen.append((id(self), epoch))


class Locked(Noting):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


@pytest.mark.filterwarnings("ignore:Locked cannot be copied:UserWarning")
@pytest.mark.parametrize(
    "callbacks",
    [None, Noting(), [Noting()], lambda: [Noting()], [Locked()]],
    ids=["none", "one", "list", "function", "that cannot be copied"],
)
def test_callbacks_come_in_all_ways(callbacks: Any) -> None:
    Noting.seen.clear()
    tuner = searched(fit={"callbacks": callbacks, "epochs": 1})
    assert table(tuner)[0][1] == "COMPLETED"
    assert len(Noting.seen) == (callbacks is not None)


def test_validation_need_not_happen_every_epoch() -> None:
    tuner = searched(fit={"epochs": 4, "validation_freq": 2})
    trial = tuner._storage.trials()[0]
    curve = tuner._storage.reports("0000")
    assert ["val_loss" in one.metrics for one in curve] == [False, True, False, True]
    assert trial.score == curve[trial.best_epoch].metrics["val_loss"]


def test_validation_that_never_happens_is_an_error_all_the_same() -> None:
    tuner = random_search()
    with pytest.raises(InputError, match="val_loss"):
        tuner.search(**{**FIT, "validation_data": None, "validation_freq": 2})


def test_a_metric_for_each_class_is_no_trouble() -> None:
    def classes(hp: Any) -> Any:
        model = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(hp.Int("units", 3, 3 + 1)), keras.layers.Dense(3, "softmax")]
        )
        model.compile("sgd", "categorical_crossentropy", metrics=[keras.metrics.F1Score()], run_eagerly=True)
        return model

    y = np.eye(3, dtype="float32")[np.arange(16) % 3]
    tuner = searched(classes, fit={"y": y, "validation_data": (DATA[0], y), "epochs": 1})
    assert set(tuner._storage.trials()[0].metrics) == {"loss", "val_loss"}


def test_a_search_leaves_the_global_generators_alone() -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - that is what must not be touched
    expected = (random.random(), np.random.rand())  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    searched(fit={"epochs": 1})
    assert (random.random(), np.random.rand()) == expected  # noqa: NPY002


class Tuned(kts.HyperModel):
    def build(self, hp: Any) -> Any:
        return build(hp)

    def fit_options(self, hp: Any) -> dict[str, Any]:
        return {"batch_size": hp.Choice("batch_size", [4, 8]), "epochs": hp.Int("epochs", 1, 3)}


def test_options_of_fit_are_tuned() -> None:
    tuner = random_search(Tuned(), max_trials=2)
    tuner.oracle.enqueue({"epochs": 3})
    tuner.oracle.enqueue({"epochs": 1})
    tuner.search(**{name: value for name, value in FIT.items() if name != "epochs"})
    assert [trial.epochs for trial in tuner._storage.trials()] == [3, 1]
    assert {"batch_size", "epochs"} <= set(tuner._storage.trials()[0].used)


def test_an_argument_that_is_tuned_must_not_be_given_too() -> None:
    with pytest.raises(InputError, match=r"epochs of search\(\)") as caught:
        random_search(Tuned()).search(**FIT)
    assert "Tuned.fit_options" in str(caught.value)


def test_options_of_fit_work_in_a_plain_keras_tuner(tmp_path: Path) -> None:
    tuner = keras_tuner.RandomSearch(Tuned(), "val_loss", max_trials=1, seed=3, directory=str(tmp_path))
    tuner.search(DATA[0], DATA[1], validation_data=DATA, verbose=0)
    assert "batch_size" in tuner.get_best_hyperparameters()[0].values


# Resuming with other code


def test_a_changed_range_counts_for_new_trials_and_is_told() -> None:
    def narrow(hp: Any) -> Any:
        hp.Int("units", 1, 4)
        return build(hp)

    def wide(hp: Any) -> Any:
        hp.Int("units", 100, 200)
        return build_with(hp)

    def build_with(hp: Any) -> Any:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(hp.get("units")), keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        return model

    def old(hp: Any) -> Any:
        hp.Int("units", 1, 4)
        return build_with(hp)

    searched(old, fit={"epochs": 1})
    with pytest.warns(UserWarning, match="'units' was .*max_value: 4.*new trials use .*max_value: 200"):
        tuner = random_search(wide, max_trials=2)
    tuner.search(**FIT)
    first, second = table(tuner)
    assert first[2]["units"] <= 4
    assert 100 <= second[2]["units"] <= 200


def test_a_new_hyperparameter_takes_its_default_in_old_trials() -> None:
    def older(hp: Any) -> Any:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(hp.Int("units", 1, 4)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        return model

    def newer(hp: Any) -> Any:
        hp.Float("dropout", 0.25, 0.5)
        return older(hp)

    searched(older, fit={"epochs": 1})
    tuner = random_search(newer, max_trials=2)
    tuner.search(**FIT)
    assert "dropout" not in table(tuner)[0][2]
    assert "dropout" in table(tuner)[1][2]
    assert len(tuner.get_best_models(2)) == 2


# KerasTuner's ways


# Our own surrogate has no use for the noise and the exploration of KerasTuner's, and finds its own.
DEVIATIONS = {"alpha", "beta"}


@pytest.mark.parametrize("name", ["RandomSearch", "GridSearch", "BayesianOptimization", "Hyperband", "Tuner"])
def test_tuners_take_all_arguments_of_keras_tuners(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(module, name).__init__).parameters for module in (kts, keras_tuner))
    own = list(ours)
    for position, (parameter, theirs_is) in enumerate(theirs.items()):
        if theirs_is.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        assert own[position] == parameter
        assert ours[parameter].default == theirs_is.default or parameter in DEVIATIONS


@pytest.mark.parametrize("name", ["RandomSearch", "GridSearch", "BayesianOptimization", "Hyperband", "Oracle"])
def test_oracles_take_all_arguments_of_keras_tuners(name: str) -> None:
    places = (kts, keras_tuner) if name == "Oracle" else (kts.oracles, keras_tuner.oracles)
    full = name if name == "Oracle" else f"{name}Oracle"
    ours, theirs = (inspect.signature(getattr(place, full).__init__).parameters for place in places)
    for parameter, theirs_is in theirs.items():
        assert ours[parameter].default == theirs_is.default or parameter in DEVIATIONS


def test_an_unknown_argument_is_named() -> None:
    with pytest.raises(TypeError, match="max_trails"):
        kts.RandomSearch(build, objective="val_loss", max_trails=3)


def test_hooks_of_epochs_and_batches_are_called() -> None:
    calls: list[Any] = []

    class Hooked(kts.RandomSearch):
        def on_epoch_begin(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
            super().on_epoch_begin(trial, model, epoch, logs=logs)
            calls.append(("epoch begin", epoch))

        def on_epoch_end(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
            super().on_epoch_end(trial, model, epoch, logs=logs)
            calls.append(("epoch end", trial.trial_id, type(model).__name__, epoch, "val_loss" in logs))

        def on_batch_begin(self, trial: Any, model: Any, batch: int, logs: Any = None) -> None:
            calls.append(("batch begin", batch))

        def on_batch_end(self, trial: Any, model: Any, batch: int, logs: Any = None) -> None:
            calls.append(("batch end", batch))

    searched(kind=Hooked, fit={"epochs": 1})
    assert calls == [
        ("epoch begin", 0),
        ("batch begin", 0),
        ("batch end", 0),
        ("epoch end", "0000", "Sequential", 0, True),
    ]


def test_a_failed_trial_is_never_best_with_an_oracle_of_keras_tuner() -> None:
    def run(trial: Any) -> float:
        loss = parabola(trial)
        if trial.number == 1:
            raise ValueError
        return loss

    tuner = black_box(run, keras_tuner.oracles.RandomSearchOracle(max_trials=3, seed=1))
    tuner.search(verbose=0)
    assert [row[1] for row in table(tuner)] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert len(tuner.get_best_hyperparameters(10)) == 2


def test_results_need_no_search_to_be_asked_for() -> None:
    tuner = random_search()
    assert tuner.results() == []
    assert tuner.get_best_hyperparameters() == []
    assert tuner.get_best_models() == []
    assert not Path("projects").exists()


def test_the_space_can_be_shown_before_the_search(capsys: pytest.CaptureFixture[str]) -> None:
    random_search().search_space_summary()
    assert "rate (Float)" in capsys.readouterr().out


def test_how_trials_run_is_explained_in_a_line() -> None:
    explained = random_search().explain_execution()
    assert explained.startswith("inline")
    assert len(str(explained).splitlines()) == 1
