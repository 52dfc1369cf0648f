"""Nested cross-validation against a loop by hand."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

import kt_suite as kts
from kt_suite.errors import InputError

X, Y = load_iris(return_X_y=True)


def neighbours(**project: Any) -> Any:
    def build(hp: Any) -> Any:
        return KNeighborsClassifier(hp.Choice("n_neighbors", [1, 5, 25]))

    return kts.GridSearch(build, "f1_macro", cross_validation=3, tensorboard=None, seed=0, **project)


@pytest.mark.slow
def test_scores_are_those_of_scikit_learns_nested_loops() -> None:
    inner, outer = (StratifiedKFold(num, shuffle=True, random_state=0) for num in (3, 4))
    grid = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 5, 25]}, cv=inner, scoring="f1_macro")
    expected = cross_val_score(grid, X, Y, cv=outer, scoring="f1_macro")
    result = kts.nested_cross_validate(neighbours, X, Y, outer=4, verbose=0)
    assert result.scores == pytest.approx(expected)
    assert result.mean == pytest.approx(expected.mean())
    assert result.standard_error == pytest.approx(expected.std(ddof=1) / 2)
    assert len(result.values) == len(result.inner_scores) == 4
    assert kts.nested_cross_validate(neighbours, X, Y, outer=4, verbose=0) == result  # taken up, not run again


def test_groups_stay_together_in_outer_and_inner_folds() -> None:
    groups = np.arange(150) % 6

    def make_tuner(**project: Any) -> Any:
        tuner = neighbours(**project)
        tuner._planner.cross_validation = GroupKFold(2)
        return tuner

    result = kts.nested_cross_validate(make_tuner, X, Y, outer=GroupKFold(3), groups=groups, verbose=0)
    assert len(result.scores) == 3
    with pytest.raises(InputError, match="groups must be given"):
        kts.nested_cross_validate(make_tuner, X, Y, outer=GroupKFold(3), verbose=0)


@pytest.mark.parametrize("objective", ["val_loss", "f1_macro"])
def test_keras_models_are_judged_on_what_their_search_never_saw(objective: str) -> None:
    tuners = []

    def make_tuner(**project: Any) -> Any:
        def build(hp: Any) -> Any:
            model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
            rate = hp.Float("rate", 1e-3, 1e-1)
            model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", run_eagerly=True)
            return model

        settings = {"max_trials": 1, "cross_validation": 2, "tensorboard": None, "seed": 0}
        tuners.append(kts.RandomSearch(build, objective, **settings, **project))
        return tuners[-1]

    result = kts.nested_cross_validate(make_tuner, X, Y, outer=2, epochs=1, batch_size=75, verbose=0, refit="ensemble")
    for tuner, score, (rows, held_out) in zip(
        tuners, result.scores, StratifiedKFold(2, shuffle=True, random_state=0).split(X, Y), strict=True
    ):
        assert len(tuner._fit_args[0]) == len(rows)
        model = tuner.get_best_models(refit="ensemble")[0]
        if objective == "val_loss":
            assert score == pytest.approx(model.evaluate(X[held_out], Y[held_out], verbose=0))
        else:
            predicted = np.argmax(model(X[held_out]), axis=1)
            assert score == pytest.approx(f1_score(Y[held_out], predicted, average="macro"))
