"""The table of results: the order of trials, the rows, and what a terminal shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from rich.console import Console

from kt_suite.leaderboard import busy_seconds, duration, number, ranked, render, rows
from kt_suite.trial import RunRecord, TrialRecord, TrialStatus


def record(
    number: int, score: float | None = None, status: str = TrialStatus.COMPLETED, **fields: object
) -> TrialRecord:
    fields.setdefault("values", {"units": 8 * (number + 1), "optimizer": "adam"})
    return TrialRecord(f"{number:04d}", number, status, score=score, **fields)


def text(*records: TrialRecord, direction: str = "max", num_trials: int | None = None, width: int = 100) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(render(list(records), direction, "val_accuracy", num_trials))
    return captured.get()


def test_trials_are_ranked_by_score_in_the_direction_and_by_number_if_equal():
    trials = [record(0, 0.5), record(1, 0.9), record(2, 0.9), record(3, 0.1)]
    assert [trial.number for trial in ranked(trials, "max")] == [1, 2, 0, 3]
    assert [trial.number for trial in ranked(trials, "min")] == [3, 0, 1, 2]


def test_trials_without_a_result_follow_and_have_no_rank():
    trials = [
        record(0, status=TrialStatus.FAILED, message="boom"),
        record(1, status=TrialStatus.RUNNING),
        record(2, 0.99, status=TrialStatus.PRUNED),
        record(3, 0.1),
    ]
    found = rows(trials, "max")
    assert [(row["rank"], row["trial_id"]) for row in found] == [
        (1, "0003"),
        (None, "0002"),
        (None, "0001"),
        (None, "0000"),
    ]
    assert found[-1]["message"] == "boom"


def test_rows_are_plain_data_of_their_own():
    trial = record(0, 0.5, metrics={"loss": 1.0}, started=10.0, ended=12.5)
    (row,) = rows([trial], "max")
    assert json.loads(json.dumps(row)) == row
    assert row["seconds"] == 2.5
    row["values"]["units"] = -1
    assert trial.values["units"] == 8


def test_the_table_shows_the_best_and_says_how_many_there_are():
    shown = text(*(record(i, i / 10) for i in range(5)), num_trials=2)
    assert "2 best of 5 trials by val_accuracy (max)" in shown
    assert "0004" in shown
    assert "0003" in shown
    assert "0002" not in shown
    assert shown.index("0004") < shown.index("0003")


def test_values_that_all_trials_share_stand_once():
    shown = text(record(0, 0.5), record(1, 0.6))
    assert shown.count("optimizer=adam") == 1
    assert "the same in all: optimizer=adam" in shown
    assert "units=8" in shown
    assert "units=16" in shown


def test_a_value_only_some_trials_have_is_not_shared():
    shown = text(record(0, 0.5, values={"a": 1, "b": None}), record(1, 0.6, values={"a": 1}))
    assert re.search(r"the same in all: a=1 *\n", shown)
    assert "b=None" in shown


def test_a_failed_trial_says_why_in_one_line():
    trace = "Traceback (most recent call last):\n  File x\nValueError: [bold]too deep\n"
    shown = text(record(0, 0.5), record(1, status=TrialStatus.FAILED, message=trace), width=160)
    assert "FAILED: ValueError: [bold]too deep" in shown
    assert "1 completed, 1 failed" in shown


def test_scores_of_several_runs_show_their_standard_error_and_epochs_are_counted_from_one():
    runs = [RunRecord(0, 1, 0.89), RunRecord(1, 2, 0.91)]
    shown = text(record(0, 0.9, best_epoch=4, epochs=20, runs=runs))
    assert "0.9000 ± 0.0100" in shown
    assert "5/10" in shown


def test_an_empty_search_has_an_empty_table():
    assert "0 trials" in text()
    assert rows([], "min") == []


def test_small_and_large_numbers_keep_their_digits():
    assert [number(value) for value in (0.0, 0.98765, 1e-5, 123456.0, -2.0)] == [
        "0.0000",
        "0.9877",
        "1e-05",
        "1.235e+05",
        "-2.0000",
    ]


def test_durations_are_read_at_a_glance():
    assert [duration(value) for value in (0.04, 59.94, 60, 187, 7500)] == [
        "0.0s",
        "59.9s",
        "1m 00s",
        "3m 07s",
        "2h 05m",
    ]


def test_trials_side_by_side_count_once_in_the_time():
    spans = [(0.0, 10.0), (2.0, 5.0), (8.0, 12.0), (20.0, 21.0), (30.0, None)]
    assert busy_seconds(record(i, started=start, ended=end) for i, (start, end) in enumerate(spans)) == 13.0


def test_the_module_needs_no_tensorflow():
    code = "import sys, kt_suite.leaderboard; print({'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
