"""Searches over estimators of scikit-learn, and Keras models judged by its scorers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score, make_scorer, mean_absolute_error
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kt_suite as kts
from kt_suite.errors import InputError, ObjectiveError

X, Y = load_iris(return_X_y=True)
FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)


def forest(hp: Any) -> Any:
    return RandomForestClassifier(
        n_estimators=hp.Choice("n_estimators", [3, 6]), max_depth=hp.Choice("max_depth", [None, 2]), random_state=0
    )


def logistic(hp: Any) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=hp.Float("C", 0.01, 10.0, sampling="log")))


def tuner_of(build: Any, kind: Any = kts.RandomSearch, **options: Any) -> Any:
    settings = {"objective": "f1_macro", "max_trials": 3, "seed": 0, "directory": "projects", "project_name": "search"}
    return kind(build, **{**settings, "cross_validation": FOLDS, "tensorboard": None, **options})


def test_a_grid_of_forests_gives_what_grid_search_gives() -> None:
    tuner = tuner_of(forest, kts.GridSearch, max_trials=None)
    tuner.search(X, Y, verbose=0)
    grid = {"n_estimators": [3, 6], "max_depth": [None, 2]}
    theirs = GridSearchCV(RandomForestClassifier(random_state=0), grid, cv=FOLDS, scoring="f1_macro").fit(X, Y)
    ours = {tuple(row["values"].values()): row["score"] for row in tuner.results()}
    for values, score in zip(theirs.cv_results_["params"], theirs.cv_results_["mean_test_score"], strict=True):
        assert ours[values["n_estimators"], values["max_depth"]] == pytest.approx(score)
    assert tuner.results()[0]["score"] == pytest.approx(theirs.best_score_)
    assert len(tuner.results()[0]["fold_scores"]) == 5


def test_the_best_estimator_is_fitted_again_on_all_samples_and_leaves_no_file() -> None:
    tuner = tuner_of(logistic)
    tuner.search(X, Y, verbose=0)
    trial = tuner.oracle.get_best_trials()[0]
    by_hand = logistic(trial.hyperparameters).fit(X, Y)
    assert np.allclose(tuner.get_best_models()[0].predict_proba(X), by_hand.predict_proba(X))
    models = tuner.cross_val_models(trial)
    scores = [
        f1_score(Y[plan.validation_rows], model.predict(X[plan.validation_rows]), average="macro")
        for model, plan in zip(models, tuner.run_plans(), strict=True)
    ]
    assert trial.record.fold_scores == pytest.approx(scores)
    ensemble = tuner.get_best_models(refit="ensemble")[0]
    assert np.allclose(ensemble.predict_proba(X), np.mean([one.predict_proba(X) for one in models], axis=0))
    assert ensemble.score(X, Y) > 0.9
    assert not [path for path in Path("projects").rglob("*") if path.is_file() and "search." not in path.name]


def test_estimators_that_draw_at_random_are_the_same_again() -> None:
    def build(hp: Any) -> Any:
        return RandomForestClassifier(hp.Choice("n_estimators", [3, 6]))

    tuner = tuner_of(build, max_trials=1)
    tuner.search(X, Y, verbose=0)
    trial = tuner.oracle.get_best_trials()[0]
    for model, run, plan in zip(tuner.cross_val_models(trial), trial.runs, tuner.run_plans(), strict=True):
        rows = plan.validation_rows
        assert f1_score(Y[rows], model.predict(X[rows]), average="macro") == pytest.approx(run.score)


@pytest.mark.parametrize("kind", [kts.BayesianOptimization, kts.QuasiRandomSearch])
def test_other_tuners_tune_estimators_too(kind: Any) -> None:
    tuner = tuner_of(logistic, kind, objective=kts.Objective("score", "max"), cross_validation=3)
    tuner.search(pd.DataFrame(X), pd.Series(Y), sample_weight=np.ones(len(Y)), verbose=0)
    assert tuner.results()[0]["score"] > 0.9


def test_estimators_are_scored_on_validation_data_too() -> None:
    order = np.random.default_rng(0).permutation(len(Y))
    x, y = X[order], Y[order]
    tuner = tuner_of(logistic, cross_validation=None)
    tuner.search(x, y, validation_split=0.5, verbose=0)
    hp = tuner.get_best_hyperparameters()[0]
    expected = f1_score(y[75:], logistic(hp).fit(x[:75], y[:75]).predict(x[75:]), average="macro")
    assert tuner.results()[0]["score"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "fit", "message"),
    [
        ({"objective": "val_loss"}, {}, "or the name of a scorer"),
        ({"objective": "accuracy"}, {}, 'Give "val_accuracy"'),
        ({"objective": kts.Objective("val_f1_makro", "max")}, {}, "scorer of scikit-learn"),
        ({"cross_validation": None}, {}, "scored on other samples"),
        ({}, {"epochs": 3}, "epochs of search.. must be left out for estimators"),
    ],
)
def test_a_search_that_cannot_score_estimators_is_refused_before_training(options: Any, fit: Any, message: str) -> None:
    tuner = tuner_of(logistic, **options)
    with pytest.raises(InputError, match=message):
        tuner.search(X, Y, **fit)
    assert not tuner.oracle.trials


def test_the_tuner_of_keras_tuner_keeps_its_arguments() -> None:
    rows = np.random.default_rng(0).permutation(len(Y))[:90]
    x, y, groups, weights = X[rows], X[rows, 0] * 2, np.arange(90) % 3, np.random.default_rng(1).uniform(size=90)
    tuner = kts.SklearnTuner(
        oracle=kts.oracles.RandomSearchOracle(objective=kts.Objective("score", "max"), max_trials=2, seed=0),
        hypermodel=lambda hp: Ridge(hp.Float("alpha", 1e-3, 10.0, sampling="log")),
        scoring="neg_mean_squared_error",
        metrics=mean_absolute_error,
        cv=GroupKFold(3),
        directory="projects",
        tensorboard=None,
    )
    tuner.search(x, y, sample_weight=weights, groups=groups)
    row = tuner.results()[0]
    squared, absolute = [], []
    for train, test in GroupKFold(3).split(x, y, groups):
        model = Ridge(row["values"]["alpha"]).fit(x[train], y[train], sample_weight=weights[train])
        errors = model.predict(x[test]) - y[test]
        squared.append(-np.average(errors**2, weights=weights[test]))
        absolute.append(np.average(np.abs(errors), weights=weights[test]))
    assert row["score"] == pytest.approx(np.mean(squared))
    assert row["metrics"]["mean_absolute_error"] == pytest.approx(np.mean(absolute))


# Keras models


def network(hp: Any) -> Any:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 4, 8), "relu")])
    model.add(keras.layers.Dense(3, "softmax"))
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", run_eagerly=True)
    return model


def test_keras_models_are_ranked_by_scorers_on_the_rows_of_each_fold() -> None:
    tuner = tuner_of(network, objective=make_scorer(f1_score, average="macro"), max_trials=1, cross_validation=2)
    stopping = keras.callbacks.EarlyStopping("val_f1_score", mode="max", patience=5)
    tuner.search(X, Y, epochs=2, batch_size=75, callbacks=[stopping], verbose=0)
    trial = tuner.oracle.get_best_trials()[0]
    for model, run, plan in zip(tuner.cross_val_models(trial), trial.runs, tuner.run_plans(), strict=True):
        predicted = np.argmax(model(X[plan.validation_rows]), axis=1)
        assert run.score == pytest.approx(f1_score(Y[plan.validation_rows], predicted, average="macro"))
    assert "val_f1_score" in tuner.results()[0]["metrics"]


@pytest.mark.slow
def test_a_search_by_scorer_that_goes_on_ends_as_one_in_one_go() -> None:
    def rows_of(name: str, *steps: int) -> list[dict[str, Any]]:
        for max_trials in steps:
            scorer = make_scorer(f1_score, average="macro")
            tuner = tuner_of(network, objective=scorer, max_trials=max_trials, cross_validation=2, project_name=name)
            tuner.search(X, Y, epochs=2, batch_size=75, verbose=0)
        return [{key: row[key] for key in ("trial_id", "values", "fold_scores")} for row in tuner.results()]

    assert rows_of("in parts", 1, 3) == rows_of("at once", 3)


def test_an_unknown_scorer_ends_the_search_with_the_first_epoch() -> None:
    tuner = tuner_of(network, objective=kts.Objective("val_f1_makro", "max"), cross_validation=2)
    with pytest.raises(ObjectiveError, match="val_f1_makro"):
        tuner.search(X, Y, batch_size=75, verbose=0)


@pytest.mark.slow
def test_estimators_are_tuned_in_worker_processes() -> None:
    tuner = tuner_of(logistic, executor="processes", workers=2, max_trials=4)
    tuner.search(X, Y, verbose=0)
    for row in tuner.results():
        model = make_pipeline(StandardScaler(), LogisticRegression(C=row["values"]["C"]))
        assert row["fold_scores"] == pytest.approx(cross_val_score(model, X, Y, cv=FOLDS, scoring="f1_macro"))
