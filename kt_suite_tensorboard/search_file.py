"""A ``search.db``, read as far as it has changed.

The tables are those of ``kt_suite.storage.schema``; they are read here without importing kt_suite.
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kt_suite_tensorboard.search import Attempt, Curve, Run, Search, Trial, field_names

_APPLICATION_ID = 0x6B747331
_VERSION = 1
_BATCH = 500  # SQLite takes a limited number of arguments a query
_NOT_SHOWN = ("oracle_state",)  # large, and of no use to a reader


class SearchFileError(Exception):
    """A ``search.db`` that cannot be shown; the message says why, for the user."""


class SearchFile:
    """A ``search.db``, which may grow, be replaced or vanish at any time.

    **Thread safety**: methods may be called from any thread.

    Args:
        path: The file.
        search_id: The id of the search expected there, or its beginning; ``None`` for any.
    """

    def __init__(self, path: Path, search_id: str | None = None) -> None:
        self.path = path
        self._search_id = search_id
        self._mutex = threading.Lock()
        self._search: Search | None = None

    def read(self) -> Search:
        """Returns the search as it is now. Only trials that changed since the last call are read again.

        Raises:
            SearchFileError: The file is missing, torn, foreign, or holds another search.
        """
        with self._mutex, self._open() as connection:
            facts = _facts(connection)
            search_id = str(facts.get("search_id"))
            if self._search_id is not None and not search_id.startswith(self._search_id):
                raise SearchFileError(
                    f"{self.path} now holds another search: this one was overwritten. Its curves remain in the other "
                    "tabs."
                )
            before = self._search if self._search is not None and self._search.facts["search_id"] == search_id else None
            trials = {trial.number: trial for trial in before.trials} if before is not None else {}
            for trial in _trials(connection, before.event if before is not None else None):
                trials[trial.number] = trial
            event, event_time = _last(connection, "event")
            report, report_time = _last(connection, "report")
            self._search = Search(
                facts={**facts, "search_id": search_id},
                trials=[trials[number] for number in sorted(trials)],
                event=event,
                report=report,
                time=max(event_time, report_time),
                file=self,
            )
            return self._search

    def curves(self, trials: Iterable[Trial], metric: str) -> list[Curve]:
        """Returns the learning curves of the last attempts of trials, one a run.

        Raises:
            SearchFileError: The file is missing or torn.
        """
        by_id = {trial.trial_id: trial for trial in trials}
        points: dict[tuple[str, int], dict[int, float]] = {}
        ids = list(by_id)
        with self._mutex, self._open() as connection:
            for start in range(0, len(ids), _BATCH):
                batch = ids[start : start + _BATCH]
                sql = f"""SELECT trial_id, attempt, run, epoch, metrics FROM report
                    WHERE trial_id IN ({", ".join("?" * len(batch))}) ORDER BY id"""  # noqa: S608 - marks only
                for row in connection.execute(sql, batch):
                    value = json.loads(row["metrics"]).get(metric)
                    if row["attempt"] == by_id[row["trial_id"]].attempt and value is not None and math.isfinite(value):
                        points.setdefault((row["trial_id"], row["run"]), {})[row["epoch"]] = value
        return [Curve(by_id[trial_id], run, dict(sorted(curve.items()))) for (trial_id, run), curve in points.items()]

    def details(self, trial_id: str | None = None) -> dict[str, dict[str, Any]]:
        """Returns all that is stored of one trial (of all for ``None``) and its runs, for display, by id.

        Raises:
            SearchFileError: The file is missing or torn.
        """
        where, arguments = ("", ()) if trial_id is None else ("WHERE trial_id = ?", (trial_id,))
        with self._mutex, self._open() as connection:
            trials = map(_row, connection.execute(f"SELECT * FROM trial {where}", arguments))  # noqa: S608
            found: dict[str, dict[str, Any]] = {trial["trial_id"]: {**trial, "runs": []} for trial in trials}
            for run in connection.execute(f'SELECT * FROM run {where} ORDER BY "index"', arguments):  # noqa: S608
                found[run["trial_id"]]["runs"].append(_row(run))
        return found

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Opens the file for reading, everything inside seeing the same moment of it."""
        if not self.path.is_file():
            raise SearchFileError(
                f"There is no {self.path}: the project was moved or removed, or is on another machine."
            )
        try:
            with contextlib.closing(_connect(self.path)) as connection:
                connection.execute("BEGIN")
                yield connection
        except (sqlite3.Error, ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
            self._search = None
            raise SearchFileError(f"{self.path} is not an intact search.db: {error}.") from error


def _connect(path: Path) -> sqlite3.Connection:
    address = path.resolve().as_uri() + "?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=10.0, isolation_level=None)
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
    except sqlite3.OperationalError:  # in a directory that cannot be written there is no place for SQLite's own files
        connection.close()
        connection = sqlite3.connect(address + "&immutable=1", uri=True, timeout=10.0, isolation_level=None)
        application = connection.execute("PRAGMA application_id").fetchone()[0]
    connection.row_factory = sqlite3.Row
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION_ID:
        connection.close()
        raise SearchFileError(f"{path} was not written by kt_suite.")
    if version > _VERSION:
        connection.close()
        raise SearchFileError(f"{path} is of format {version}, newer than {_VERSION}. Upgrade kt_suite.")
    return connection


def _facts(connection: sqlite3.Connection) -> dict[str, Any]:
    marks = ", ".join("?" * len(_NOT_SHOWN))
    rows = connection.execute(f"SELECT name, value FROM fact WHERE name NOT IN ({marks})", _NOT_SHOWN)  # noqa: S608
    return {row["name"]: json.loads(row["value"]) for row in rows}


def _last(connection: sqlite3.Connection, table: str) -> tuple[int, float]:
    """Returns id and time of the last row of a log."""
    row = connection.execute(f"SELECT id, time FROM {table} ORDER BY id DESC LIMIT 1").fetchone()  # noqa: S608
    return (0, 0.0) if row is None else (int(row["id"]), float(row["time"]))


def _trials(connection: sqlite3.Connection, after_event: int | None) -> list[Trial]:
    where, arguments = "", []
    if after_event is not None:
        where = "WHERE trial_id IN (SELECT trial_id FROM event WHERE id > ?)"
        arguments = [after_event]
    names = field_names()
    columns = ", ".join(f'"{name}"' for name in names)
    rows = connection.execute(f"SELECT {columns} FROM trial {where}", arguments).fetchall()  # noqa: S608
    runs: dict[str, list[Run]] = {}
    sql = f'SELECT trial_id, "index", score, fold, task, repeat FROM run {where} ORDER BY trial_id, "index"'  # noqa: S608
    for trial_id, *run in connection.execute(sql, arguments):
        runs.setdefault(trial_id, []).append(Run(*run))
    sql = "SELECT trial_id, MAX(id) FROM event WHERE id > ? GROUP BY trial_id"
    events = dict(map(tuple, connection.execute(sql, (after_event or 0,))))
    earlier = _earlier_attempts(connection, [row["trial_id"] for row in rows if row["attempt"] > 1])
    trials = []
    for row in rows:
        fields = {name: row[name] for name in names}
        for name in ("values", "used", "metrics"):
            fields[name] = json.loads(fields[name]) if fields[name] is not None else None
        trial_id = fields["trial_id"]
        before = [attempt for attempt in earlier.get(trial_id, []) if attempt.attempt < fields["attempt"]]
        trials.append(Trial(**fields, runs=runs.get(trial_id, []), earlier=before, event=events.get(trial_id, 0)))
    return trials


def _earlier_attempts(connection: sqlite3.Connection, trial_ids: list[str]) -> dict[str, list[Attempt]]:
    """Returns what is known of all attempts of trials: when each began and ended, and how."""
    found: dict[str, dict[int, Attempt]] = {}
    for start in range(0, len(trial_ids), _BATCH):
        batch = trial_ids[start : start + _BATCH]
        sql = f"""SELECT time, kind, trial_id, attempt, detail FROM event
            WHERE kind IN ('begin', 'end') AND trial_id IN ({", ".join("?" * len(batch))}) ORDER BY id"""  # noqa: S608
        for row in connection.execute(sql, batch):
            detail = json.loads(row["detail"])
            attempts = found.setdefault(row["trial_id"], {})
            attempt = attempts.setdefault(row["attempt"], Attempt(row["attempt"], row["time"]))
            attempt.slot = detail.get("slot") or attempt.slot
            if row["kind"] == "begin":
                attempt.started = row["time"]
            else:
                attempt.ended = row["time"]
                attempt.status = str(detail.get("status"))
                attempt.message = detail.get("message")
    return {trial_id: list(attempts.values()) for trial_id, attempts in found.items()}


def _row(row: sqlite3.Row) -> dict[str, Any]:
    return {
        name: json.loads(value) if name in ("values", "used", "metrics") and value is not None else value
        for name, value in dict(row).items()
    }
