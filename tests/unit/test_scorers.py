"""Scorers of scikit-learn as objectives, and Keras models as scorers see them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from sklearn import metrics
from sklearn.metrics import get_scorer, make_scorer

from kt_suite.errors import InputError
from kt_suite.objective import Objective, create_objective
from kt_suite.predictions import as_estimator
from kt_suite.scorers import call_scorer, scorer_names, scorer_of
from kt_suite.scoring import Scoring, scorers_for, with_scoring

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(30, 3)).astype("float32")
BINARY = np.arange(30) % 2
CLASSES = np.arange(30) % 3
NUMBERS = RANDOM.normal(size=30)


def model_of(units: int, activation: str | None, loss: Any) -> Any:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, activation, kernel_initializer="normal")])
    model.compile("sgd", loss, run_eagerly=True)
    return model


def scored(model: Any, y: Any, name: str) -> float:
    estimator, targets = as_estimator(model, X, y)
    return call_scorer(get_scorer(name), estimator, X, targets)


# Objectives


@pytest.mark.parametrize("name", ["f1_macro", "roc_auc", "precision", "recall", "r2", "balanced_accuracy"])
def test_a_scorers_name_means_its_score_on_validation_samples(name: str) -> None:
    for given in (name, f"val_{name}"):
        objective = create_objective(given)
        assert (objective.name, objective.direction) == (f"val_{name}", "max")


def test_every_scorer_is_maximised_and_found_again() -> None:
    for name in scorer_names():
        objective = create_objective(f"val_{name}")
        assert objective.direction == "max"
        assert scorer_of(objective) is not None


def test_names_of_keras_keep_their_meaning() -> None:
    assert create_objective("accuracy").name == "accuracy"
    assert create_objective("val_loss").direction == "min"
    assert create_objective("val_mean_absolute_error").direction == "min"
    assert scorers_for(create_objective("val_loss")) == {}
    assert scorers_for(create_objective("val_accuracy")) == {}


def test_a_callable_is_an_objective_under_its_name() -> None:
    def of_predictions(estimator: Any, x: Any, y: Any) -> float:
        return float(np.mean(estimator.predict(x) == y))

    for scorer, name in ((of_predictions, "val_of_predictions"), (make_scorer(metrics.f1_score), "val_f1_score")):
        objective = create_objective(scorer)
        assert (objective.name, objective.direction) == (name, "max")
        assert scorers_for(objective) == {name: scorer}
    with pytest.raises(InputError, match=r"make_scorer\(f1_score\)"):
        create_objective(metrics.f1_score)


def test_an_unknown_name_names_the_near_ones() -> None:
    with pytest.raises(InputError, match="Did you mean 'f1_macro'"):
        create_objective("f1_makro")


# Models as estimators


def test_one_output_is_the_probability_of_the_second_class() -> None:
    model = model_of(1, "sigmoid", "binary_crossentropy")
    p = np.ravel(model(X))
    for y in (BINARY, BINARY[:, None].astype("float32")):
        assert scored(model, y, "roc_auc") == pytest.approx(metrics.roc_auc_score(BINARY, p))
        assert scored(model, y, "f1") == pytest.approx(metrics.f1_score(BINARY, p > 0.5))
        assert scored(model, y, "neg_log_loss") == pytest.approx(-metrics.log_loss(BINARY, p), rel=1e-5)


def test_logits_become_probabilities() -> None:
    model = model_of(1, None, keras.losses.BinaryCrossentropy(from_logits=True))
    logits = np.ravel(model(X)).astype(float)
    assert scored(model, BINARY, "recall") == pytest.approx(metrics.recall_score(BINARY, logits > 0))
    expected = -metrics.log_loss(BINARY, 1 / (1 + np.exp(-logits)))
    assert scored(model, BINARY, "neg_log_loss") == pytest.approx(expected, rel=1e-5)
    model = model_of(3, None, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    p = np.exp(np.asarray(model(X), dtype=float))
    expected = metrics.roc_auc_score(CLASSES, p / p.sum(axis=1, keepdims=True), multi_class="ovr")
    assert scored(model, CLASSES, "roc_auc_ovr") == pytest.approx(expected)


def test_several_outputs_are_the_probabilities_of_classes() -> None:
    p = np.asarray((model := model_of(3, "softmax", "sparse_categorical_crossentropy"))(X))
    expected = metrics.f1_score(CLASSES, p.argmax(axis=1), average="macro")
    assert scored(model, CLASSES, "f1_macro") == pytest.approx(expected)
    model.compile(loss="categorical_crossentropy", run_eagerly=True)
    assert scored(model, np.eye(3)[CLASSES], "f1_macro") == pytest.approx(expected)


def test_labels_are_judged_one_by_one() -> None:
    y = RANDOM.integers(0, 2, size=(30, 3))
    p = np.asarray((model := model_of(3, "sigmoid", "binary_crossentropy"))(X))
    assert scored(model, y, "f1_macro") == pytest.approx(metrics.f1_score(y, p > 0.5, average="macro"))
    assert scored(model, y, "roc_auc") == pytest.approx(metrics.roc_auc_score(y, p))


def test_numbers_are_compared_as_they_are() -> None:
    outputs = np.ravel((model := model_of(1, None, "mse"))(X))
    for y in (NUMBERS, NUMBERS[:, None]):
        assert scored(model, y, "r2") == pytest.approx(metrics.r2_score(NUMBERS, outputs))
    counts = np.arange(30)  # integers, and yet no classes
    assert scored(model, counts, "r2") == pytest.approx(metrics.r2_score(counts, outputs))


def test_a_model_of_several_outputs_is_refused() -> None:
    inputs = keras.Input((3,))
    model = keras.Model(inputs, [keras.layers.Dense(1)(inputs), keras.layers.Dense(1)(inputs)])
    with pytest.raises(InputError, match="one output"):
        as_estimator(model, X, NUMBERS)


# In training


def test_scores_stand_in_the_history_of_each_epoch_that_is_validated() -> None:
    seen: list[float] = []

    class Watcher(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append(logs.get("val_f1_macro"))

    model = model_of(3, "softmax", "sparse_categorical_crossentropy")
    scorers = scorers_for(create_objective("f1_macro"))
    args, kwargs, callbacks = with_scoring(scorers, (X, CLASSES), {"validation_split": 0.4, "validation_freq": 2})
    history = model.fit(*args, **kwargs, epochs=4, verbose=0, callbacks=[*callbacks, Watcher()]).history
    assert seen == [None, history["val_f1_macro"][0], None, history["val_f1_macro"][1]]
    expected = metrics.f1_score(CLASSES[18:], np.argmax(model(X[18:]), axis=1), average="macro")
    assert history["val_f1_macro"][-1] == pytest.approx(expected)


def test_what_the_model_reports_itself_stays() -> None:
    scoring = Scoring({"val_precision": get_scorer("precision")}, (X, BINARY))
    logs = {"val_precision": 0.5}
    scoring.on_epoch_end(0, logs)
    assert logs == {"val_precision": 0.5}


def test_scores_are_weighted_as_the_samples_are() -> None:
    weights = RANDOM.uniform(0.1, 1.0, size=30)
    model = model_of(1, "sigmoid", "binary_crossentropy")
    scoring = Scoring({"val_f1": scorer_of(Objective("val_f1", "max"))}, (X, BINARY, weights))
    scoring.set_model(model)
    logs: dict[str, Any] = {}
    scoring.on_epoch_end(0, logs)
    predicted = np.ravel(model(X)) > 0.5
    assert logs["val_f1"] == pytest.approx(metrics.f1_score(BINARY, predicted, sample_weight=weights))
