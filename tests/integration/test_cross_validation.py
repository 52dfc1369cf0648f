"""Cross-validated searches: what a trial's folds train on, what they come to, and which models remain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.model_selection import GroupKFold, StratifiedKFold

import kt_suite as kts
from kt_suite.errors import InputError, ProjectError
from kt_suite.seeds import trial_seed
from tests.black_box import black_box, parabola

RANDOM = np.random.default_rng(0)
Y = np.arange(24) % 2
X = (RANDOM.normal(size=(24, 3)) + Y[:, None]).astype("float32")
WEIGHTS = RANDOM.uniform(0.5, 2.0, size=24)


def build(hp: Any) -> Any:
    units = hp.Int("units", 2, 16)
    layers = [keras.Input((3,)), keras.layers.Dense(units, "relu"), keras.layers.Dropout(0.2), keras.layers.Dense(2)]
    model = keras.Sequential([*layers, keras.layers.Softmax()])
    # Eager: a few batches cost less than tracing.
    model.compile(
        keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True
    )
    return model


def tuner_of(hypermodel: Any = build, **options: Any) -> Any:
    settings = {"objective": "val_loss", "max_trials": 1, "seed": 3, "directory": "projects", "project_name": "folds"}
    return kts.RandomSearch(hypermodel, **{**settings, "cross_validation": 3, "tensorboard": None, **options})


def searched(*data: Any, **options: Any) -> Any:
    fit = {name: options.pop(name) for name in ("epochs", "batch_size", "sample_weight", "groups") if name in options}
    tuner = tuner_of(**options)
    tuner.search(*(data or (X, Y)), **{"epochs": 2, "verbose": 0, **fit})
    return tuner


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two trials of two folds and two repetitions, with weights for the samples."""
    directory = tmp_path_factory.mktemp("two")
    return searched(
        max_trials=2, cross_validation=2, executions_per_trial=2, sample_weight=WEIGHTS, directory=directory
    )


def test_fold_scores_are_those_of_a_loop_of_fit_and_evaluate(two: Any) -> None:
    splits = list(StratifiedKFold(2, shuffle=True, random_state=3).split(X, Y))
    for trial in two.oracle.get_best_trials(2):
        by_hand = []
        for run in range(4):
            rows, held_out = splits[run // 2]
            keras.utils.set_random_seed(trial_seed(trial.seed, run))
            model = build(trial.hyperparameters)
            losses = []
            for epoch in range(2):
                model.fit(
                    X[rows],
                    Y[rows],
                    sample_weight=WEIGHTS[rows],
                    initial_epoch=epoch,
                    epochs=epoch + 1,
                    verbose=0,
                )
                losses.append(
                    model.evaluate(
                        X[held_out], Y[held_out], sample_weight=WEIGHTS[held_out], verbose=0, return_dict=True
                    )
                )
            by_hand.append(min(loss["loss"] for loss in losses))
        assert [run.score for run in trial.runs] == pytest.approx(by_hand, rel=1e-6)
        assert trial.score == pytest.approx(np.mean(by_hand))
        folds = np.reshape(by_hand, (2, 2)).mean(axis=1)
        assert trial.record.fold_scores == pytest.approx(folds)
        assert trial.record.standard_error == pytest.approx(folds.std(ddof=1) / np.sqrt(2))


def test_all_trials_have_the_same_folds_and_runs_know_theirs(two: Any) -> None:
    for trial in two.oracle.get_best_trials(2):
        assert [(run.fold, run.repeat) for run in trial.runs] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    row = two.results()[0]
    assert row["standard_error"] > 0
    assert len(row["fold_scores"]) == 2


def test_the_models_of_the_folds_have_their_scores(two: Any) -> None:
    trial = two.oracle.get_best_trials()[0]
    models = two.cross_val_models(trial)
    for model, run, plan in zip(models, trial.runs, two.run_plans(), strict=True):
        rows = plan.validation_rows
        loss = model.evaluate(X[rows], Y[rows], sample_weight=WEIGHTS[rows], verbose=0)[0]
        assert loss == pytest.approx(run.score, rel=1e-5)


def test_the_ensemble_gives_the_mean_of_the_folds_and_plain_keras_loads_it(two: Any, tmp_path: Path) -> None:
    ensemble = two.get_best_models(refit="ensemble")[0]
    mean = np.mean([model(X) for model in two.cross_val_models(two.oracle.get_best_trials()[0])], axis=0)
    assert np.allclose(ensemble(X), mean, atol=1e-6)
    assert set(ensemble.evaluate(X, Y, verbose=0, return_dict=True)) == {"loss", "accuracy"}
    ensemble.save(tmp_path / "ensemble.keras")
    assert np.allclose(keras.models.load_model(tmp_path / "ensemble.keras")(X), mean, atol=1e-6)


def test_the_best_model_is_retrained_on_all_samples_once(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = two.oracle.get_best_trials()[0]
    keras.utils.set_random_seed(trial.seed)
    by_hand = build(trial.hyperparameters)
    epochs = round(np.mean([run.best_epoch + 1 for run in trial.runs]))
    by_hand.fit(X, Y, sample_weight=WEIGHTS, epochs=epochs, verbose=0)
    assert np.allclose(two.get_best_models()[0](X), by_hand(X), atol=1e-6)
    monkeypatch.delattr(two, "_fit_args")  # as in a new process, without the data
    assert np.allclose(two.get_best_models()[0](X), by_hand(X), atol=1e-6)
    with pytest.raises(ProjectError, match="Call search"):
        two.get_best_models(2)


@pytest.mark.slow
def test_a_search_goes_on_with_the_same_data_and_splits_only() -> None:
    searched()
    searched(max_trials=2)
    with pytest.raises(ProjectError, match="The data of a resumed search"):
        searched(X + 1, Y, max_trials=2)
    with pytest.raises(ProjectError, match="cross_validation of a resumed search"):
        searched(max_trials=2, cross_validation=4)
    tuner = tuner_of(max_trials=3, cross_validation=None)
    with pytest.raises(ProjectError, match="cross_validation of a resumed search"):
        tuner.search(X, Y, validation_data=(X, Y), verbose=0)


@pytest.mark.slow
def test_only_the_best_trials_keep_the_weights_of_their_folds() -> None:
    tuner = searched(max_trials=3, epochs=1, keep_checkpoints=1)
    best, *others = tuner.oracle.get_best_trials(3)
    assert len(tuner.cross_val_models(best.trial_id)) == 3
    for trial in others:
        with pytest.raises(ProjectError, match="keep_checkpoints"):
            tuner.cross_val_models(trial)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The fold scores of one trial on arrays, in batches of eight."""
    scores: list[float] = searched(batch_size=8, directory=tmp_path_factory.mktemp("one")).results()[0]["fold_scores"]
    return scores


@pytest.mark.parametrize("kind", ["frame", "data set", "dict", "lists"])
def test_data_of_every_kind_give_the_same_scores(kind: str, expected: list[float]) -> None:
    class Named(kts.HyperModel):
        def build(self, hp: Any) -> Any:
            model = build(hp)
            if kind != "dict":
                return model
            named = keras.Input((3,), name="rows")
            wrapped = keras.Model({"rows": named}, model(named))
            wrapped.compile(keras.optimizers.Adam(0.05), model.loss, metrics=["accuracy"], run_eagerly=True)
            return wrapped

    data = {
        "frame": (pd.DataFrame(X, columns=list("abc")), pd.Series(Y)),
        "data set": (tf.data.Dataset.from_tensor_slices((X, Y)).batch(8),),
        "dict": ({"rows": X}, Y),
        "lists": (X.tolist(), Y.tolist()),
    }[kind]
    options = {} if kind == "data set" else {"batch_size": 8}
    tuner = searched(*data, hypermodel=Named(), **options)
    assert tuner.results()[0]["fold_scores"] == pytest.approx(expected, rel=1e-4)


def test_preprocessing_is_fitted_on_the_training_rows_of_each_fold() -> None:
    x = X.copy()
    x[Y == 1, 0] += 100.0  # a normalisation of all rows would differ from that of any fold

    class Normalised(kts.HyperModel):
        def build(self, hp: Any) -> Any:
            layers = [keras.Input((3,)), keras.layers.Normalization(), keras.layers.Dense(hp.Int("units", 2, 8))]
            model = keras.Sequential([*layers, keras.layers.Dense(2, "softmax")])
            model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
            return model

        def adapt(self, model: Any, x: Any, y: Any = None) -> None:
            model.layers[0].adapt(np.asarray(x))

    tuner = searched(x, Y, hypermodel=Normalised())
    trial = tuner.oracle.get_best_trials()[0]
    for model, run, plan in zip(tuner.cross_val_models(trial), trial.runs, tuner.run_plans(), strict=True):
        rows, held_out = plan.rows, plan.validation_rows
        mean = np.ravel(model.layers[0].mean)
        assert mean == pytest.approx(x[rows].mean(axis=0), rel=1e-4)
        assert model.evaluate(x[held_out], Y[held_out], verbose=0) == pytest.approx(run.score, rel=1e-5)
        model.layers[0].adapt(x)  # the leak
        assert np.ravel(model.layers[0].mean) != pytest.approx(mean, rel=1e-4)
        assert model.evaluate(x[held_out], Y[held_out], verbose=0) != pytest.approx(run.score, rel=1e-4)


def test_groups_are_kept_together() -> None:
    groups = np.arange(24) // 4
    tuner = searched(cross_validation=GroupKFold(3), groups=groups, epochs=1)
    for plan in tuner.run_plans():
        assert not set(groups[plan.rows]) & set(groups[plan.validation_rows])


@pytest.mark.parametrize(
    ("options", "fit", "message"),
    [
        ({"cross_validation": 13}, {}, "smallest class"),
        ({"cross_validation": GroupKFold(3)}, {}, "groups must be given"),
        ({"cross_validation": None}, {"groups": Y}, "without cross-validation"),
        ({}, {"validation_data": (X, Y)}, "validation_data must be left out"),
        ({}, {"validation_split": 0.5}, "validation_split must be left out"),
    ],
)
def test_what_cannot_be_cross_validated_is_refused_before_training(options: Any, fit: Any, message: str) -> None:
    tuner = tuner_of(**options)
    with pytest.raises(InputError, match=message):
        tuner.search(X, Y, **fit)
    assert not tuner.oracle.trials
    assert not Path("projects").exists()


def test_folds_are_no_part_of_a_tuner_that_trains_in_its_own_way() -> None:
    with pytest.raises(InputError, match="run_trial is overridden"):
        black_box(parabola, cross_validation=3)


def test_fold_models_are_no_part_of_a_search_without_folds() -> None:
    tuner = tuner_of(cross_validation=None)
    tuner.search(X, Y, validation_data=(X, Y), verbose=0)
    with pytest.raises(InputError, match="with cross_validation"):
        tuner.cross_val_models("0000")
    with pytest.raises(InputError, match="with cross_validation"):
        tuner.get_best_models(refit="ensemble")
    with pytest.raises(InputError, match="refit must be one of"):
        tuner.get_best_models(refit="retrained")


@pytest.mark.slow
def test_worker_processes_give_the_same_fold_scores() -> None:
    inline = searched(max_trials=2, project_name="inline")
    processes = searched(max_trials=2, executor="processes", workers=2, project_name="processes")
    expected = {row["trial_id"]: row["fold_scores"] for row in inline.results()}
    for row in processes.results():
        assert row["fold_scores"] == pytest.approx(expected[row["trial_id"]], rel=1e-6)
    assert len(processes.cross_val_models("0000")) == 3
