"""Stored searches for tests of what is shown: made up, yet written as a search writes them."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kt_suite.loggers.base import SearchInfo
from kt_suite.loggers.layout import PROJECT_FILE, SEARCH_RUN, search_directory
from kt_suite.storage import FILE_NAME, Storage, schema
from kt_suite.trial import Report, RunRecord, TrialRecord, TrialStatus

BEGIN = 1_700_000_000.0
NUM_EPOCHS = 6
SPACE = [
    {"class_name": "Choice", "config": {"name": "optimizer", "values": ["adam", "sgd"], "conditions": []}},
    {
        "class_name": "Float",
        "config": {
            "name": "learning_rate",
            "min_value": 1e-4,
            "max_value": 1e-1,
            "sampling": "log",
            "step": None,
            "conditions": [],
        },
    },
    {
        "class_name": "Float",
        "config": {
            "name": "momentum",
            "min_value": 0.0,
            "max_value": 0.99,
            "sampling": "linear",
            "step": None,
            "conditions": [{"class_name": "Parent", "config": {"name": "optimizer", "values": ["sgd"]}}],
        },
    },
    {
        "class_name": "Int",
        "config": {
            "name": "units",
            "min_value": 8,
            "max_value": 64,
            "sampling": "linear",
            "step": 8,
            "conditions": [],
        },
    },
    {"class_name": "Boolean", "config": {"name": "use bias", "default": False, "conditions": []}},
]


def made_trials(num_trials: int, *, seed: int = 0, with_rungs: bool = False) -> list[TrialRecord]:
    """Returns trials, of each ten of which one failed, one (the fifth) was pruned, and one needed a second attempt."""
    rng = np.random.default_rng(seed)
    trials = []
    for number in range(num_trials):
        values: dict[str, Any] = {
            "optimizer": ["adam", "sgd"][int(rng.integers(2))],
            "learning_rate": float(10 ** rng.uniform(-4, -1)),
            "units": int(rng.integers(1, 9)) * 8,
            "use bias": bool(rng.integers(2)),
        }
        if values["optimizer"] == "sgd":
            values["momentum"] = float(rng.uniform(0, 0.99))
        started = BEGIN + 10.0 * (number // 2)
        trial = TrialRecord(f"{number:04d}", number, values=values, used=list(values), started=started)
        trial.slot = f"slot{number % 2}"
        trial.attempt = 2 if number % 10 == 7 else 1
        if with_rungs:
            trial.bracket, trial.rung = number % 2, min(number // 4, 2)
            trial.budget = 3**trial.rung
        _end(trial, rng)
        trials.append(trial)
    return trials


def _end(trial: TrialRecord, rng: np.random.Generator) -> None:
    trial.ended = (trial.started or 0.0) + float(rng.uniform(3, 9))
    if trial.number % 10 == 3:
        trial.status = TrialStatus.FAILED
        trial.message = f"Traceback (most recent call last):\nValueError: <b>bad</b> {trial.number}"
        return
    trial.epochs = 2 * NUM_EPOCHS
    if trial.number % 10 == 4:
        trial.status, trial.epochs = TrialStatus.PRUNED, 2
        return
    trial.status = TrialStatus.COMPLETED
    distance = abs(np.log10(trial.values["learning_rate"]) + 2.5)
    scores = 0.95 - 0.1 * distance + 0.001 * trial.values["units"] + rng.normal(0, 0.01, 2)
    trial.runs = [RunRecord(index, index, float(score), NUM_EPOCHS - 1) for index, score in enumerate(scores)]
    trial.score, trial.score_std = float(scores.mean()), float(scores.std(ddof=1))
    trial.best_epoch = NUM_EPOCHS - 1
    trial.metrics = {"val_accuracy": trial.score, "val_loss": 1 - trial.score, "loss": 0.9 - trial.score / 2}


def made_reports(trial: TrialRecord) -> list[Report]:
    """Returns two runs of learning curves; one short run where the trial was pruned; none where it failed."""
    if trial.status == TrialStatus.FAILED:
        return []
    num_runs, num_epochs = (1, 2) if trial.status == TrialStatus.PRUNED else (2, NUM_EPOCHS)
    reports = []
    for run in range(num_runs):
        final = trial.runs[run].score if trial.runs else 0.5
        for epoch in range(num_epochs):
            value = float(final or 0.5) * (1 - 0.5 ** (epoch + 1)) / (1 - 0.5**num_epochs)
            metrics = {"val_accuracy": value, "val_loss": 1 - value}
            reports.append(Report(run, epoch, metrics, time=trial.started or 0.0, attempt=trial.attempt))
    return reports


def store(directory: Path, trials: list[TrialRecord], **facts: Any) -> None:
    """Writes a search in one transaction."""
    known = {
        "name": directory.name,
        "search_id": f"{directory.name:x<16}",
        "objective": "val_accuracy",
        "direction": "max",
        "oracle": "RandomSearchOracle",
        "seed": 5,
        "max_trials": len(trials),
        "executor": "inline",
        "versions": {"python": "3.11", "keras": "3.15"},
        "space": SPACE,
        "created": BEGIN,
        "oracle_state": {"large": True},
    }
    Storage.create(directory, {**known, **facts}).close()
    with contextlib.closing(sqlite3.connect(directory / FILE_NAME)) as connection, connection:
        append(connection, trials)


def append(connection: sqlite3.Connection, trials: list[TrialRecord]) -> None:
    """Writes trials, their runs, reports and events."""
    marks = ", ".join("?" * len(schema.TRIAL_COLUMNS))
    connection.executemany(
        f"INSERT OR REPLACE INTO trial ({schema.quoted(schema.TRIAL_COLUMNS)}) VALUES ({marks})",
        [schema.row_of(trial, schema.TRIAL_COLUMNS) for trial in trials],
    )
    marks = ", ".join("?" * (len(schema.RUN_COLUMNS) + 1))
    connection.executemany(
        f"INSERT OR REPLACE INTO run (trial_id, {schema.quoted(schema.RUN_COLUMNS)}) VALUES ({marks})",
        [(trial.trial_id, *schema.row_of(run, schema.RUN_COLUMNS)) for trial in trials for run in trial.runs],
    )
    connection.executemany(
        "INSERT INTO report (trial_id, attempt, run, epoch, metrics, time) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (trial.trial_id, report.attempt, report.run, report.epoch, json.dumps(report.metrics), report.time)
            for trial in trials
            for report in made_reports(trial)
        ],
    )
    connection.executemany(
        "INSERT INTO event (time, kind, trial_id, attempt, detail) VALUES (?, ?, ?, ?, ?)",
        [event for trial in trials for event in _events(trial)],
    )


def _events(trial: TrialRecord) -> list[tuple[Any, ...]]:
    events = []
    for attempt in range(1, trial.attempt + 1):
        is_last = attempt == trial.attempt
        started, ended = (
            (trial.started, trial.ended) if is_last else ((trial.started or 0) - 4, (trial.started or 0) - 1)
        )
        status = trial.status if is_last else TrialStatus.FAILED
        detail = {"status": TrialStatus.RUNNING, "slot": trial.slot, "score": None}
        events.append((started, "begin", trial.trial_id, attempt, json.dumps(detail)))
        if ended is not None:
            detail = {"status": status, "slot": trial.slot, "score": trial.score if is_last else None}
            events.append((ended, "end", trial.trial_id, attempt, json.dumps(detail)))
    return events


def log(project: Path, logdir: Path) -> Path:
    """Leaves what the TensorBoard logger leaves of a stored search for the tab, and returns the search's log."""
    with contextlib.closing(Storage.open(project, read_only=True)) as storage:
        facts = storage.facts
    info = SearchInfo(facts["name"], facts["search_id"], str(project), facts["objective"], facts["direction"])
    directory = search_directory(info, logdir)
    (directory / SEARCH_RUN).mkdir(parents=True)
    note = {"search_id": info.search_id, "directory": str(project)}
    (directory / SEARCH_RUN / PROJECT_FILE).write_text(json.dumps(note), encoding="utf-8")
    return directory


def running(trial: TrialRecord) -> TrialRecord:
    """Returns the trial as it was while it ran."""
    return replace(
        trial, status=TrialStatus.RUNNING, score=None, score_std=None, ended=None, metrics={}, runs=[], message=None
    )
