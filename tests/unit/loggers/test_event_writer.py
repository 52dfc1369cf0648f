from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from kt_suite.loggers.event_writer import EventWriter, event_files, read_events
from tests.unit.loggers.log_reader import read_log


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    with EventWriter(tmp_path / "run") as writer:
        writer.scalars({"loss/train": 0.5, "ключ": 2.0}, step=3, wall_time=7.0)
        writer.text("note", "**grün**", step=4)
    run = read_log(tmp_path)["run"]
    assert run.scalars == {"loss/train": [(3, 0.5)], "ключ": [(3, 2.0)]}
    assert run.texts == {"note": [(4, "**grün**")]}
    assert run.wall_times == [7.0, 7.0]


def test_records_are_on_disk_before_the_writer_is_closed(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "run")
    writer.scalars({"loss/train": 0.5}, step=0)
    assert read_log(tmp_path)["run"].scalars == {"loss/train": [(0, 0.5)]}
    writer.close()
    writer.close()


def test_writers_of_one_run_have_a_file_each(tmp_path: Path) -> None:
    with EventWriter(tmp_path) as first, EventWriter(tmp_path) as second:
        first.scalars({"a": 1.0}, step=0)
        second.scalars({"a": 2.0}, step=1)
    assert len(event_files(tmp_path)) == 2
    assert read_log(tmp_path)["."].scalars == {"a": [(0, 1.0), (1, 2.0)]}


def test_files_of_other_writers_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.1.host.v2").touch()
    assert event_files(tmp_path) == []


def test_a_torn_record_ends_the_reading(tmp_path: Path) -> None:
    with EventWriter(tmp_path) as writer:
        writer.scalars({"a": 1.0}, step=0)
        writer.scalars({"a": 2.0}, step=1)
    (path,) = event_files(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    assert [event.step for event in read_events(path) if event.HasField("summary")] == [0]


def test_text_that_is_no_unicode_is_replaced(tmp_path: Path) -> None:
    with EventWriter(tmp_path) as writer:
        writer.text("note", "a\udcffb")
        writer.scalars({"a\udcffb": 1.0}, step=0)
    run = read_log(tmp_path)["."]
    assert run.texts["note"] == [(0, "a?b")]
    assert run.scalars == {"a?b": [(0, 1.0)]}


def test_writing_starts_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    with EventWriter(tmp_path) as writer:
        writer.scalars({"a": 1.0}, step=0)
        assert threading.active_count() == before


def test_loggers_import_neither_tensorflow_nor_keras_tuner(tmp_path: Path) -> None:
    code = (
        "import sys, kt_suite.loggers.console, kt_suite.loggers.tensorboard as t\n"
        f"t.TensorBoardLogger({str(tmp_path)!r}).on_search_begin("
        "t.SearchInfo('a', 'b', 'c', 'loss', 'min'))\n"
        "print(sorted({'tensorflow', 'keras', 'keras_tuner', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
