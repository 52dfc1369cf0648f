"""The tables of ``search.db`` and how records become rows.

One row a trial (its last attempt), one a run, one a report; ``event`` is an append-only log of every state change;
``fact`` holds what concerns the whole search. Values of any JSON type are kept as JSON text.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from kt_suite.trial import Report, RunRecord, TrialRecord

APPLICATION_ID = 0x6B747331  # "kts1"
VERSION = 1

TABLES = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE trial (
    trial_id TEXT PRIMARY KEY, number INTEGER UNIQUE NOT NULL, status TEXT NOT NULL, "values" TEXT NOT NULL,
    used TEXT, score REAL, score_std REAL, best_epoch INTEGER, metrics TEXT NOT NULL, seed INTEGER NOT NULL,
    budget INTEGER, initial_epoch INTEGER NOT NULL, rung INTEGER, bracket INTEGER, parent TEXT,
    data_share REAL NOT NULL, fidelity REAL NOT NULL, slot TEXT, attempt INTEGER NOT NULL, message TEXT,
    started REAL, ended REAL, epochs INTEGER NOT NULL
);
CREATE TABLE run (
    trial_id TEXT NOT NULL REFERENCES trial, "index" INTEGER NOT NULL, seed INTEGER NOT NULL, score REAL,
    best_epoch INTEGER, metrics TEXT NOT NULL, fold INTEGER, task TEXT, repeat INTEGER, seconds REAL,
    PRIMARY KEY (trial_id, "index")
);
CREATE TABLE report (
    id INTEGER PRIMARY KEY AUTOINCREMENT, trial_id TEXT NOT NULL REFERENCES trial, attempt INTEGER NOT NULL,
    run INTEGER NOT NULL, epoch INTEGER NOT NULL, metrics TEXT NOT NULL, time REAL NOT NULL
);
CREATE INDEX report_of_trial ON report (trial_id, attempt, run, epoch);
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, kind TEXT NOT NULL, trial_id TEXT,
    attempt INTEGER, detail TEXT NOT NULL
);
"""

TRIAL_COLUMNS = (
    *(
        "trial_id",
        "number",
        "status",
        "values",
        "used",
        "score",
        "score_std",
        "best_epoch",
        "metrics",
        "seed",
        "budget",
    ),
    *(
        "initial_epoch",
        "rung",
        "bracket",
        "parent",
        "data_share",
        "fidelity",
        "slot",
        "attempt",
        "message",
        "started",
        "ended",
        "epochs",
    ),
)
RUN_COLUMNS = ("index", "seed", "score", "best_epoch", "metrics", "fold", "task", "repeat", "seconds")
_JSON_COLUMNS = frozenset({"values", "used", "metrics"})


def quoted(columns: tuple[str, ...]) -> str:
    """Returns the columns as SQL, each quoted."""
    return ", ".join(f'"{column}"' for column in columns)


def row_of(record: TrialRecord | RunRecord, columns: tuple[str, ...]) -> tuple[Any, ...]:
    """Returns a record's fields in the order of ``columns``, nested ones as JSON."""
    return tuple(
        json.dumps(getattr(record, column)) if column in _JSON_COLUMNS else getattr(record, column)
        for column in columns
    )


def _fields(row: sqlite3.Row, columns: tuple[str, ...]) -> dict[str, Any]:
    return {column: _load(row[column]) if column in _JSON_COLUMNS else row[column] for column in columns}


def _load(text: str) -> Any:
    return json.loads(text)


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def trial_of(row: sqlite3.Row, runs: list[RunRecord]) -> TrialRecord:
    """Returns the trial of a row; lists among its values were tuples before JSON."""
    fields = _fields(row, TRIAL_COLUMNS)
    fields["values"] = {name: _as_tuples(value) for name, value in fields["values"].items()}
    return TrialRecord(**fields, runs=runs)


def run_of(row: sqlite3.Row) -> RunRecord:
    """Returns the run of a row."""
    return RunRecord(**_fields(row, RUN_COLUMNS))


def report_of(row: sqlite3.Row) -> Report:
    """Returns the report of a row."""
    return Report(row["run"], row["epoch"], json.loads(row["metrics"]), time=row["time"], attempt=row["attempt"])
