from __future__ import annotations

import math
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

import kt_suite as kts
from kt_suite.errors import InputError, ObjectiveError
from kt_suite.objective import (
    DefaultObjective,
    MultiObjective,
    check_reported,
    create_objective,
    mean_metrics,
    names,
    scalars,
    score_curve,
    score_result,
    sign,
    to_loss,
)

LOSS = kts.Objective("val_loss", "min")
ACCURACY = kts.Objective("val_accuracy", "max")
BOTH = create_objective([LOSS, ACCURACY])


def history(**curves: list[float]) -> Any:
    made = keras.callbacks.History()
    made.history = curves
    return made


# Objectives


@pytest.mark.parametrize(
    ("direction", "name"),
    [
        ("min", name)
        for name in ("loss", "val_loss", "mean_absolute_error", "val_mse", "false_positives", "kl_divergence")
    ]
    + [
        ("max", name)
        for name in ("acc", "val_accuracy", "AUC", "val_auc", "precision", "recall", "val_binary_accuracy")
    ],
)
def test_directions_are_inferred_as_in_keras_tuner(name: str, direction: str) -> None:
    assert create_objective(name).direction == direction == keras_tuner.Oracle(name).objective.direction


@pytest.mark.parametrize("name", ["f1_score", "val_f1_score", "r2_score", "binary_io_u", "weighted_f1_score"])
def test_scores_that_keras_tuner_would_minimise_are_maximised(name: str) -> None:
    assert create_objective(name).direction == "max"


@pytest.mark.parametrize("objective", ["score", 3, object, {"a": 1}, kts.Objective("x", "up"), ["val_loss", "score"]])
def test_what_is_no_objective_is_named_in_one_line(objective: Any) -> None:
    with pytest.raises(InputError) as caught:
        create_objective(objective)
    assert len(str(caught.value).splitlines()) == 1


def test_nothing_and_lists_are_keras_tuners_objectives() -> None:
    assert isinstance(create_objective(None), DefaultObjective)
    assert isinstance(BOTH, MultiObjective)
    assert create_objective(LOSS) is LOSS
    assert (names(LOSS), names(BOTH)) == (["val_loss"], ["val_loss", "val_accuracy"])
    assert kts.Objective is keras_tuner.Objective


def test_the_sign_flips_here_and_back() -> None:
    assert (sign("min"), sign("max")) == (1.0, -1.0)
    assert to_loss(to_loss(0.3, "max"), "max") == 0.3
    assert to_loss(0.9, "max") < to_loss(0.8, "max")
    assert to_loss(0.8, "min") < to_loss(0.9, "min")


# What was reported


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"loss": 1.0}, "Pass validation_data="),
        ({"loss": 1.0, "val_los": 1.0}, "Did you mean 'val_los'"),
        ({"loss": 1.0, "val_mae": 1.0}, r"\['loss', 'val_mae'\]"),
        ({}, "val_loss"),
    ],
)
def test_a_missing_objective_is_named_with_those_that_exist(metrics: dict[str, float], said: str) -> None:
    with pytest.raises(ObjectiveError, match=said) as caught:
        check_reported(LOSS, metrics)
    assert "'val_loss'" in str(caught.value)


def test_all_parts_of_a_sum_must_be_reported() -> None:
    check_reported(BOTH, {"val_loss": 1, "val_accuracy": 1})
    with pytest.raises(ObjectiveError, match="val_accuracy"):
        check_reported(BOTH, {"val_loss": 1, "val_mae": 1})


# Curves


@pytest.mark.parametrize(
    ("objective", "curve", "which", "epoch"),
    [
        (LOSS, [3.0, 1.0, 2.0], "best", 1),
        (LOSS, [3.0, 1.0, 2.0], "last", 2),
        (ACCURACY, [0.1, 0.9, 0.5], "best", 1),
        (LOSS, [1.0, 1.0], "best", 0),
        (LOSS, [math.nan, 2.0, 1.0], "best", 2),
        (LOSS, [2.0, 1.0, math.nan], "best", 1),
        (ACCURACY, [math.nan, 0.2], "best", 1),
        (LOSS, [math.nan, math.nan], "best", 0),
        (LOSS, [1.0, math.nan], "last", 1),
        (LOSS, [math.inf, 5.0], "best", 1),
        (LOSS, [7.0], "best", 0),
    ],
)
def test_the_epoch_that_counts(objective: Any, curve: list[float], which: str, epoch: int) -> None:
    scored = score_curve(objective, [{objective.name: value, "x": i} for i, value in enumerate(curve)], which)
    assert (scored.epoch, scored.metrics["x"], scored.epochs) == (epoch, epoch, len(curve))
    assert scored.score == curve[epoch] or math.isnan(curve[epoch])


def test_a_sum_is_minimised_with_its_signs() -> None:
    curve = [{"val_loss": 1.0, "val_accuracy": 0.5}, {"val_loss": 1.2, "val_accuracy": 0.9}]
    scored = score_curve(BOTH, curve, "best")
    assert scored.epoch == 1
    assert scored.score == pytest.approx(0.3)


# Results, in all the ways that KerasTuner lets them be returned

CURVE = {"val_loss": [3.0, 1.0, 2.0], "loss": [5.0, 4.0, 3.0]}


@pytest.mark.parametrize(
    ("result", "scores"),
    [
        (0.5, [0.5]),
        (2, [2.0]),
        (np.float32(0.5), [0.5]),
        (np.int64(2), [2.0]),
        ({"val_loss": 0.25, "other": 9}, [0.25]),
        ({"val_loss": np.float32(0.25)}, [0.25]),
        (history(**CURVE), [1.0]),
        ([0.5, 0.7], [0.5, 0.7]),
        ((0.5, 0.7), [0.5, 0.7]),
        ([history(**CURVE), {"val_loss": 2.0}, 3.0], [1.0, 2.0, 3.0]),
        ([[0.5, 0.7], [0.9]], [0.5, 0.7, 0.9]),
    ],
)
def test_all_kinds_of_results_are_scored(result: Any, scores: list[float]) -> None:
    scored = score_result(LOSS, result)
    assert [one.score for one in scored] == scores
    assert all(type(value) is float for one in scored for value in one.metrics.values())
    assert all(one.metrics["val_loss"] == one.score for one in scored)


@pytest.mark.parametrize("result", [None, "0.5", [], {}, True, object(), [0.5, None], lambda: 0.5])
def test_what_is_no_result_stops_the_search_and_is_shown(result: Any) -> None:
    with pytest.raises(keras_tuner.errors.FatalTypeError, match=r"MyTuner\.run_trial\(\) must be a History"):
        score_result(LOSS, result, source="MyTuner.run_trial()")


def test_forgetting_to_return_is_guessed() -> None:
    with pytest.raises(keras_tuner.errors.FatalTypeError, match="forget"):
        score_result(LOSS, None)


@pytest.mark.parametrize("result", [{"loss": 1.0}, history(loss=[1.0])])
def test_a_result_without_the_objective_is_an_error(result: Any) -> None:
    with pytest.raises(ObjectiveError, match="val_loss"):
        score_result(LOSS, result)


def test_the_last_epoch_counts_where_asked() -> None:
    scored = score_result(LOSS, history(**CURVE), "last")[0]
    assert (scored.score, scored.epoch, scored.epochs) == (2.0, 2, 3)


def test_a_metric_for_each_class_is_left_out() -> None:
    scored = score_result(LOSS, history(val_loss=[1.0, 0.5], f1=[np.array([0.1, 0.2]), np.array([0.3, 0.4])]))[0]
    assert scored.metrics == {"val_loss": 0.5}
    assert score_result(LOSS, {"val_loss": 1.0, "f1": np.array([0.1, 0.2])})[0].metrics == {"val_loss": 1.0}
    assert scalars({"a": 1, "b": np.array(2.0), "c": [1, 2]}) == {"a": 1.0, "b": 2.0}


def test_epochs_without_validation_are_passed_over() -> None:
    # validation_freq=2: half as many validation losses as losses.
    scored = score_result(LOSS, history(loss=[4.0, 3.0, 2.0, 1.0], val_loss=[2.0, 1.0]))[0]
    assert scored.score == 1.0


def test_the_default_objective_is_a_returned_float() -> None:
    objective = create_objective(None)
    assert score_result(objective, 0.5)[0].score == 0.5
    assert score_result(objective, {"default_objective": 0.5})[0].score == 0.5


def test_a_sum_can_be_returned_in_parts_or_as_a_number() -> None:
    assert score_result(BOTH, {"val_loss": 1.0, "val_accuracy": 0.25})[0].score == 0.75
    assert score_result(BOTH, 0.5)[0].score == 0.5


# Means


def test_metrics_are_averaged_over_the_runs_that_have_them() -> None:
    assert mean_metrics([{"a": 1.0, "b": 2.0}, {"a": 3.0}]) == {"a": 2.0, "b": 2.0}
    assert mean_metrics([]) == {}


@pytest.mark.parametrize("values", [(math.inf, -math.inf), (math.nan, 1.0), (1.7e308, 1.7e308)])
def test_averaging_what_has_no_mean_raises_nothing(values: tuple[float, float]) -> None:
    assert not math.isfinite(mean_metrics({"a": value} for value in values)["a"])
