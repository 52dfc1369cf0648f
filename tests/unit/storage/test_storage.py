from __future__ import annotations

import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from kt_suite.errors import StorageError
from kt_suite.storage import FILE_NAME, Storage
from kt_suite.storage.schema import VERSION
from kt_suite.trial import Report, RunRecord, TrialRecord, TrialStatus


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.create(tmp_path, {"seed": 0})


def connect(storage: Storage) -> sqlite3.Connection:
    return sqlite3.connect(storage.path)


def test_a_new_search_is_one_file(tmp_path: Path) -> None:
    Storage.create(tmp_path, {}).close()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_readers_do_not_wait_for_a_writer(storage: Storage) -> None:
    with connect(storage) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with storage._transaction():
        assert Storage.open(storage.path.parent, read_only=True).fact("seed") == 0


def test_a_reader_cannot_write(storage: Storage) -> None:
    reader = Storage.open(storage.path.parent, read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.update_facts({"seed": 1})
    assert storage.fact("seed") == 0


def test_what_cannot_be_stored_leaves_nothing_behind(storage: Storage) -> None:
    trial = TrialRecord("0000", 0)
    with pytest.raises(TypeError):
        storage.write_attempt("begin", trial, {"oracle_state": object()})
    assert (storage.trials(), storage.events()) == ([], [])
    storage.write_attempt("begin", trial, {})
    assert len(storage.trials()) == 1


def test_every_step_is_an_event(storage: Storage) -> None:
    trial = TrialRecord("0000", 0, slot="tuner0")
    storage.write_attempt("begin", trial, {})
    trial.status, trial.message = TrialStatus.INVALID, "Traceback"
    storage.write_attempt("end", trial, {})
    storage.add_event("interrupted")
    begin, end, interrupted = storage.events()
    assert (begin["kind"], begin["trial_id"], begin["attempt"], begin["slot"]) == ("begin", "0000", 1, "tuner0")
    assert (end["kind"], end["status"], end["message"]) == ("end", "INVALID", "Traceback")
    assert (interrupted["kind"], interrupted["trial_id"]) == ("interrupted", None)


def test_a_message_with_a_thousand_lines_survives(storage: Storage) -> None:
    trial = TrialRecord("0000", 0, TrialStatus.FAILED, message="line\n" * 1000)
    storage.write_attempt("end", trial, {})
    assert storage.trials()[0].message == trial.message


def test_a_run_that_came_to_nan_has_no_score_but_its_metrics(storage: Storage) -> None:
    trial = TrialRecord("0000", 0, runs=[RunRecord(0, 1, math.nan, 0, {"loss": math.nan})])
    storage.write_attempt("end", trial, {})
    run = storage.trials()[0].runs[0]
    assert run.score is None
    assert math.isnan(run.metrics["loss"])


def test_trials_come_in_the_order_of_their_proposal(storage: Storage) -> None:
    for number in (2, 0, 1, 10):
        storage.write_attempt("begin", TrialRecord(f"t{number}", number), {})
    assert [trial.number for trial in storage.trials()] == [0, 1, 2, 10]


def test_curves_of_unknown_trials_are_empty(storage: Storage) -> None:
    assert storage.reports("nobody") == []


def test_a_trial_is_read_with_its_own_runs_only(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial ends while another process is reading: it sees all of that, or nothing."""
    trial = TrialRecord("0000", 0)
    storage.write_attempt("begin", trial, {})
    reader = Storage.open(storage.path.parent, read_only=True)
    read = reader._rows

    def interrupted_read(sql: str, *parameters: Any) -> Any:
        rows = read(sql, *parameters)
        trial.status, trial.runs = TrialStatus.COMPLETED, [RunRecord(0, 0)]
        storage.write_attempt("end", trial, {})
        return rows

    monkeypatch.setattr(reader, "_rows", interrupted_read)
    seen = reader.trials()[0]
    assert len(seen.runs) == seen.is_finished


def test_a_newer_format_is_refused_with_the_remedy(storage: Storage) -> None:
    with connect(storage) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StorageError, match="Upgrade kt_suite"):
        Storage.open(storage.path.parent)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("CREATE TABLE trial (name TEXT)")
    with pytest.raises(StorageError, match=r"search\.db"):
        Storage.open(tmp_path)


def test_a_file_that_lost_a_table_is_named(storage: Storage) -> None:
    with connect(storage) as connection:
        connection.execute("DROP TABLE run")
    with pytest.raises(StorageError, match=r"search\.db"):
        storage.trials()


def test_garbage_in_the_middle_is_named(storage: Storage) -> None:
    for number in range(200):
        storage.write_attempt("begin", TrialRecord(f"{number:04d}", number, values={"text": "x" * 200}), {})
    storage.close()
    content = bytearray(storage.path.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    storage.path.write_bytes(bytes(content))
    with pytest.raises(StorageError, match=r"search\.db"):
        Storage.open(storage.path.parent).trials()


def test_a_search_can_be_moved(storage: Storage, tmp_path: Path) -> None:
    storage.write_attempt("begin", TrialRecord("0000", 0), {})
    storage.add_report("0000", Report(0, 0, {"loss": 1.0}))
    storage.close()
    storage.close()
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    storage.path.rename(moved / FILE_NAME)
    assert len(Storage.open(moved).reports("0000")) == 1
