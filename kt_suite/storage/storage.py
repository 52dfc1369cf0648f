"""The truth about a search: one SQLite file in its project directory."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kt_suite.errors import ProjectError, StorageError, rule
from kt_suite.storage import schema
from kt_suite.trial import Report, RunRecord, TrialRecord, TrialStatus

FILE_NAME = "search.db"


class Storage:
    """A search on disk: facts, trials, runs, learning curves and the log of what happened.

    Every report and every change of state is one transaction, so that a process killed at any instant leaves the search
    as it was after the last of them. The file is in WAL mode: others may read while the search writes.

    **Thread safety**: methods may be called from any thread. **Processes**: one writer at a time (see :meth:`lock`),
        any
    number of readers. **Ownership**: records passed in are written at once and not kept; those returned are the
    caller's.

    Use :meth:`create` or :meth:`open` in place of the constructor.

    Args:
        path: The file.
        read_only: Whether writing is refused.

    Raises:
        StorageError: The file is torn, foreign, or from a newer version.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._mutex = threading.RLock()
        self._is_together = False
        self._connection = _connect(path, read_only)

    @classmethod
    def exists(cls, directory: str | os.PathLike[str]) -> bool:
        """Whether ``directory`` holds a search."""
        return (Path(directory) / FILE_NAME).is_file()

    @classmethod
    def create(cls, directory: str | os.PathLike[str], facts: Mapping[str, Any]) -> Storage:
        """Makes ``directory`` if need be, and a new search in it.

        The file appears in one step, complete with its facts: a process killed here leaves no half-made search.
        """
        path = Path(directory) / FILE_NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{FILE_NAME}.{os.getpid()}.new")
        draft.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(draft)) as connection:
            connection.executescript(
                f"PRAGMA application_id = {schema.APPLICATION_ID}; PRAGMA user_version = {schema.VERSION};"
                + schema.TABLES
            )
            _write_facts(connection, facts)
            connection.commit()
        try:
            os.link(draft, path)  # unlike a rename, it refuses to take the place of a search that appeared meanwhile
        except FileExistsError:
            raise ProjectError(rule("A new search", "have a directory of its own", str(directory))) from None
        finally:
            draft.unlink()
        return cls(path)

    @classmethod
    def open(cls, directory: str | os.PathLike[str], *, read_only: bool = False) -> Storage:
        """Opens the search in ``directory``.

        Raises:
            ProjectError: There is none.
            StorageError: It is torn, foreign, or from a newer version.
        """
        path = Path(directory) / FILE_NAME
        if not path.is_file():
            raise ProjectError(rule("A project directory", f"hold a {FILE_NAME}", str(directory)))
        return cls(path, read_only=read_only)

    def close(self) -> None:
        """Closes the file. Closing twice is fine."""
        with self._mutex:
            self._connection.close()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the right to run this search; the system takes it back when the process dies.

        Raises:
            ProjectError: Another process is running the search.
        """
        with open(self.path.with_name("search.lock"), "a+") as file:
            if not _try_lock(file):
                remedy = "Wait for it to end, or give another project_name."
                raise ProjectError(rule("A search", "run in one process at a time", str(self.path.parent), remedy))
            yield

    # Writing

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            if self._is_together:
                yield self._connection
                return
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Has all that is written inside be one transaction: on leaving, whatever happens, it is stored at once.

        Nothing that follows from what is written may be acted on before.
        """
        with self._mutex:
            if self._is_together:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._is_together = True
            try:
                yield
            finally:
                self._is_together = False
                self._connection.execute("COMMIT")

    def update_facts(self, facts: Mapping[str, Any]) -> None:
        """Adds or replaces facts of the search; each value must be JSON-able."""
        with self._transaction() as connection:
            _write_facts(connection, facts)

    def write_attempt(self, kind: str, trial: TrialRecord, facts: Mapping[str, Any]) -> None:
        """Stores a step in the life of an attempt, with facts that changed in the same step (the oracle's state).

        Args:
            kind: ``"propose"``, ``"begin"`` or ``"end"``.
            trial: The trial as it is now.
            facts: Facts by name; each must be JSON-able.
        """
        columns = schema.quoted(schema.TRIAL_COLUMNS)
        marks = ", ".join("?" * len(schema.TRIAL_COLUMNS))
        with self._transaction() as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO trial ({columns}) VALUES ({marks})",  # noqa: S608 - our own column names
                schema.row_of(trial, schema.TRIAL_COLUMNS),
            )
            connection.execute("DELETE FROM run WHERE trial_id = ?", (trial.trial_id,))
            marks = ", ".join("?" * (len(schema.RUN_COLUMNS) + 1))
            connection.executemany(
                f"INSERT INTO run (trial_id, {schema.quoted(schema.RUN_COLUMNS)}) VALUES ({marks})",  # noqa: S608
                [(trial.trial_id, *schema.row_of(run, schema.RUN_COLUMNS)) for run in trial.runs],
            )
            _write_facts(connection, facts)
            detail = {"status": trial.status, "slot": trial.slot, "score": trial.score}
            if kind == "end" and trial.status in (TrialStatus.FAILED, TrialStatus.INVALID):
                detail["message"] = trial.message
            _write_event(connection, kind, trial.trial_id, trial.attempt, detail)

    def update_scores(self, scores: Mapping[str, float]) -> None:
        """Replaces the scores of trials, by id."""
        with self._transaction() as connection:
            rows = [(score, trial_id) for trial_id, score in scores.items()]
            connection.executemany("UPDATE trial SET score = ? WHERE trial_id = ?", rows)

    def add_report(self, trial_id: str, report: Report) -> None:
        """Stores the metrics of one epoch."""
        metrics = json.dumps({name: float(value) for name, value in report.metrics.items()})
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO report (trial_id, attempt, run, epoch, metrics, time) VALUES (?, ?, ?, ?, ?, ?)",
                (trial_id, report.attempt, report.run, report.epoch, metrics, report.time),
            )

    def add_event(self, kind: str, trial_id: str | None = None, attempt: int | None = None, **detail: Any) -> None:
        """Appends to the log of what happened."""
        with self._transaction() as connection:
            _write_event(connection, kind, trial_id, attempt, detail)

    # Reading

    def _rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        with self._mutex:
            try:
                return self._connection.execute(sql, parameters).fetchall()
            except sqlite3.DatabaseError as error:
                raise _torn(self.path, error) from error

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Has all that is read inside belong to one moment."""
        with self._mutex:
            if self._is_together:
                yield
                return
            try:
                self._connection.execute("BEGIN")
                yield
            except sqlite3.DatabaseError as error:
                raise _torn(self.path, error) from error
            finally:
                with contextlib.suppress(sqlite3.Error):  # nothing was written; a torn file has been named already
                    self._connection.execute("ROLLBACK")

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of the search as a whole."""
        return {row["name"]: json.loads(row["value"]) for row in self._rows("SELECT name, value FROM fact")}

    def fact(self, name: str, default: Any = None) -> Any:
        """Returns one fact, or ``default``."""
        rows = self._rows("SELECT value FROM fact WHERE name = ?", (name,))
        return json.loads(rows[0]["value"]) if rows else default

    def space(self) -> list[dict[str, Any]]:
        """Returns the hyperparameters as configs, in the order in which they were met."""
        return list(self.fact("space", []))

    def trials(self) -> list[TrialRecord]:
        """Returns all trials in the order of their proposal."""
        runs: dict[str, list[RunRecord]] = {}
        with self._snapshot():
            for row in self._rows('SELECT * FROM run ORDER BY trial_id, "index"'):
                runs.setdefault(row["trial_id"], []).append(schema.run_of(row))
            rows = self._rows("SELECT * FROM trial ORDER BY number")
        return [schema.trial_of(row, runs.get(row["trial_id"], [])) for row in rows]

    def reports(self, trial_id: str, attempt: int | None = None) -> list[Report]:
        """Returns the learning curves of a trial's last attempt (or of the one named), by run and epoch."""
        if attempt is None:
            last = self._rows("SELECT attempt FROM trial WHERE trial_id = ?", (trial_id,))
            attempt = last[0]["attempt"] if last else 1
        sql = "SELECT * FROM report WHERE trial_id = ? AND attempt = ? ORDER BY run, epoch, id"
        return [schema.report_of(row) for row in self._rows(sql, (trial_id, attempt))]

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """Returns the log from the event after id ``after`` on, each with id, time, kind, trial_id, attempt and
        details.
        """
        rows = self._rows("SELECT * FROM event WHERE id > ? ORDER BY id", (after,))
        keys = ("id", "time", "kind", "trial_id", "attempt")
        return [{**{key: row[key] for key in keys}, **json.loads(row["detail"])} for row in rows]


def is_draft(path: Path) -> bool:
    """Whether a file is what a process left that was killed while it made a search."""
    return path.name.startswith(f"{FILE_NAME}.") and ".new" in path.name


def _connect(path: Path, read_only: bool) -> sqlite3.Connection:
    uri = path.resolve().as_uri() + ("?mode=ro" if read_only else "?mode=rw")
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=30.0, check_same_thread=False, isolation_level=None)
        connection.row_factory = sqlite3.Row
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            # NORMAL survives any death of the process; only a crash of the machine may cost the last transactions.
            connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.DatabaseError as error:
        raise _torn(path, error) from error
    if application != schema.APPLICATION_ID:
        connection.close()
        raise StorageError(
            rule("A search.db", "be written by kt_suite", str(path), "Move it away, or choose another directory.")
        )
    if version > schema.VERSION:
        connection.close()
        raise StorageError(
            rule("The format of a search.db", f"be at most {schema.VERSION}", version, "Upgrade kt_suite.")
        )
    return connection


def _torn(path: Path, error: Exception) -> StorageError:
    remedy = f"SQLite says: {error}. Restore it from a copy, or move it away to start anew."
    return StorageError(rule("A search.db", "be an intact SQLite file", str(path), remedy))


def _write_facts(connection: sqlite3.Connection, facts: Mapping[str, Any]) -> None:
    rows = [(name, json.dumps(value)) for name, value in facts.items()]
    connection.executemany("INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)", rows)


def _write_event(
    connection: sqlite3.Connection, kind: str, trial_id: str | None, attempt: int | None, detail: Mapping[str, Any]
) -> None:
    connection.execute(
        "INSERT INTO event (time, kind, trial_id, attempt, detail) VALUES (?, ?, ?, ?, ?)",
        (time.time(), kind, trial_id, attempt, json.dumps(detail)),
    )


def _try_lock(file: Any) -> bool:
    try:
        import fcntl
    except ImportError:  # no such locks on this system: the user sees to it
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
