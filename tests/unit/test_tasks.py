"""Values for several data sets at once."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from scipy.stats import rankdata

import kt_suite as kts
from kt_suite.errors import InputError, ProjectError
from kt_suite.tasks import by_rank, by_scale, read_tasks, relative_scores
from kt_suite.trial import RunRecord, TrialRecord, TrialStatus

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(16, 2)).astype("float32")
TASKS = {"sum": (X, X.sum(axis=1)), "difference": (X, 100 * (X[:, 0] - X[:, 1]))}
LOSSES = RANDOM.integers(0, 5, size=(9, 3)).astype(float)


def record(number: int, losses: Any, status: str = TrialStatus.COMPLETED) -> TrialRecord:
    runs = [RunRecord(index, 0, float(loss), task=f"task{index}") for index, loss in enumerate(losses)]
    return TrialRecord(f"{number:04d}", number, status, score=0.0, runs=runs)


def test_mean_rank_is_that_of_scipy() -> None:
    expected = (rankdata(LOSSES, axis=0) - 1).mean(axis=1) / (len(LOSSES) - 1)
    assert by_rank(LOSSES) == pytest.approx(expected)
    assert by_rank(LOSSES[:1]) == pytest.approx([0.0])


def test_scaled_scores_are_distances_to_the_best_in_units_of_the_median() -> None:
    distance = LOSSES - LOSSES.min(axis=0)
    assert by_scale(LOSSES) == pytest.approx((distance / np.median(distance, axis=0)).mean(axis=1))
    assert by_scale(LOSSES * [1, 1000, 1]) == pytest.approx(by_scale(LOSSES))
    assert by_scale(np.array([[1.0], [1.0], [3.0]])) == pytest.approx([0.0, 0.0, 1.0])
    assert by_scale(np.ones((1, 2))) == pytest.approx([0.0])


def test_scores_depend_on_completed_trials_alone_and_not_on_their_order() -> None:
    records = [record(number, losses) for number, losses in enumerate(LOSSES)]
    scores = relative_scores(records, "min", "rank")
    assert relative_scores(records[::-1], "min", "rank") == scores
    failed = record(9, [0.0] * 3, TrialStatus.FAILED)
    assert relative_scores([*records, failed], "min", "rank") == scores
    pruned = record(10, [0.0], TrialStatus.PRUNED)
    assert relative_scores([*records, pruned], "min", "rank") == {**scores, "0010": max(scores.values())}


def test_more_is_better_where_the_objective_is_maximised() -> None:
    lowest = relative_scores([record(n, losses) for n, losses in enumerate(LOSSES)], "min", "scaled")
    highest = relative_scores([record(n, -losses) for n, losses in enumerate(LOSSES)], "max", "scaled")
    assert highest == pytest.approx({trial_id: 1 - score for trial_id, score in lowest.items()})


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({"a": (X, X[:, 0]), "b": (X[:, :1], X[:, 0])}, r"inputs of task 'b' must have the shape .*\[\(2,\)\]"),
        ({"a": (X, X[:, 0]), "b": (X, X)}, "targets of task 'b'"),
        ({"a": (X, X[:3, 0])}, "length of y of task 'a'"),
        ({"a": X}, "Task 'a' must be"),
        ({}, "be a dict"),
        ([X, X], "be a dict"),
    ],
)
def test_what_are_no_tasks_is_refused(tasks: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_tasks(tasks)


# Searches


def build(hp: Any) -> Any:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(hp.Float("rate", 1e-3, 1e-1, sampling="log")), "mse", run_eagerly=True)
    return model


def tuner_of(kind: Any = kts.RandomSearch, **options: Any) -> Any:
    settings = {
        "objective": "val_loss",
        "seed": 0,
        "directory": "projects",
        "tensorboard": None,
        "project_name": "tasks",
    }
    return kind(build, **{**settings, **({"max_trials": 3} if kind is kts.RandomSearch else {}), **options})


def table(tuner: Any) -> list[Any]:
    return sorted((row["trial_id"], row["score"], tuple(row["task_scores"].items())) for row in tuner.results())


@pytest.mark.slow
def test_a_search_over_tasks_keeps_shows_and_resumes_its_results(capsys: pytest.CaptureFixture[str]) -> None:
    whole = tuner_of(cross_validation=2, project_name="whole")
    whole.search(tasks=TASKS, verbose=0)
    for trial in whole.oracle.trials.values():
        assert [(run.task, run.fold) for run in trial.runs] == [
            ("sum", 0),
            ("sum", 1),
            ("difference", 0),
            ("difference", 1),
        ]
        assert trial.record.standard_error is None
    losses = np.array(
        [list(row["task_scores"].values()) for row in sorted(whole.results(), key=lambda r: r["trial_id"])]
    )
    assert [score for _, score, _ in table(whole)] == pytest.approx(by_rank(losses))
    assert [trial.score for trial in whole._storage.trials()] == pytest.approx(by_rank(losses))
    whole.results_summary()
    assert "difference" in capsys.readouterr().out
    assert len(whole.cross_val_models("0000")) == 4
    with pytest.raises(InputError, match="cross_val_models"):
        whole.get_best_models()
    tuner_of(cross_validation=2, max_trials=2).search(tasks=TASKS, verbose=0)
    resumed = tuner_of(cross_validation=2)
    resumed.search(tasks=TASKS, verbose=1)
    assert table(resumed) == table(whole)
    with pytest.raises(ProjectError, match="tasks of a resumed search"):
        tuner_of(cross_validation=2, max_trials=4).search(tasks={**TASKS, "sum": TASKS["difference"]}, verbose=0)


def test_tasks_are_validated_on_data_of_their_own() -> None:
    held_out = {name: (x[:8], y[:8], (x[8:], y[8:])) for name, (x, y) in TASKS.items()}
    tuner = tuner_of(task_score="scaled", max_trials=2)
    tuner.search(tasks=held_out, verbose=0)
    split = tuner_of(task_score="scaled", max_trials=2, project_name="split")
    split.search(tasks=TASKS, validation_split=0.5, verbose=0)
    assert table(split) == table(tuner)


@pytest.mark.parametrize(
    ("options", "fit", "message"),
    [
        ({}, {"tasks": TASKS}, "Task 'sum' must be validated"),
        ({}, {"tasks": TASKS, "x": X}, "x must be left out"),
        ({"kind": kts.Hyperband}, {"tasks": TASKS, "validation_split": 0.5}, "read scores afresh"),
        ({"cross_validation": 2}, {"tasks": TASKS, "validation_split": 0.5}, "folds validate"),
    ],
)
def test_tasks_that_cannot_be_searched_are_refused(options: Any, fit: Any, message: str) -> None:
    tuner = tuner_of(**options)
    with pytest.raises(InputError, match=message):
        tuner.search(**fit)
    with pytest.raises(InputError, match="task_score must be one of"):
        tuner_of(task_score="ranks")
