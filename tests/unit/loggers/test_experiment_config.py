from __future__ import annotations

import json
import subprocess
import sys
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kt_suite.loggers.experiment_config import publish_columns, stored_columns
from kt_suite.loggers.hparams import SearchColumns
from tests.unit.loggers.fake_search import SPACE, entry
from tests.unit.loggers.log_reader import read_config


def columns(*names: str) -> SearchColumns:
    return SearchColumns("max a", [entry("Boolean", name) for name in names], ["a/train"])


def config_names(logdir: Path) -> set[str]:
    return {info.name for info in read_config(logdir).hparam_infos}


def publish_one(logdir: str, index: int) -> None:
    for num_names in range(1, 6):
        publish_columns(Path(logdir) / f"search-{index}", columns(*(f"{index}.{name}" for name in range(num_names))))


def test_columns_found_later_replace_the_config(tmp_path: Path) -> None:
    publish_columns(tmp_path / "search", columns("a"))
    publish_columns(tmp_path / "search", columns("a", "b"))
    assert config_names(tmp_path) == {"a", "b"}


def test_the_config_holds_the_columns_of_all_searches(tmp_path: Path) -> None:
    publish_columns(tmp_path / "one", columns("a"))
    publish_columns(tmp_path / "other", columns("b"))
    assert config_names(tmp_path) == {"a", "b"}


def test_columns_that_are_known_change_no_file(tmp_path: Path) -> None:
    publish_columns(tmp_path / "one", columns("a"))
    before = sorted(tmp_path.glob("_hparams-*/*"))
    publish_columns(tmp_path / "other", columns("a"))
    assert sorted(tmp_path.glob("_hparams-*/*")) == before


def test_a_config_cut_off_by_a_crash_is_written_again(tmp_path: Path) -> None:
    publish_columns(tmp_path / "search", columns("a"))
    (path,) = tmp_path.glob("_hparams-*/*")
    path.write_bytes(path.read_bytes()[:30])
    publish_columns(tmp_path / "search", columns("a"))
    assert config_names(tmp_path) == {"a"}


def test_searches_at_once_end_with_one_config_of_all_columns(tmp_path: Path) -> None:
    num_searches = 8
    with ThreadPoolExecutor(num_searches) as pool:
        list(pool.map(publish_one, [str(tmp_path)] * num_searches, range(num_searches)))
    assert config_names(tmp_path) == {f"{index}.{name}" for index in range(num_searches) for name in range(5)}


def test_a_search_in_another_process_is_waited_for(tmp_path: Path) -> None:
    code = (
        "import sqlite3, sys, time\n"
        f"connection = sqlite3.connect({str(tmp_path / '.columns.lock')!r})\n"
        "connection.execute('BEGIN EXCLUSIVE')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(publish_columns, tmp_path / "search", columns("a"))
            with pytest.raises(futures.TimeoutError):
                future.result(timeout=0.3)
            other.kill()
            future.result(timeout=60)
    assert config_names(tmp_path) == {"a"}


def test_stored_columns_come_back(tmp_path: Path) -> None:
    assert stored_columns(tmp_path / "search") is None
    written = SearchColumns("max a", SPACE, ["a/train"])
    publish_columns(tmp_path / "search", written)
    assert stored_columns(tmp_path / "search") == written


@pytest.mark.parametrize("content", ["{", "[]", '{"space": []}', '{"objective": "max a", "space": [{}]}'])
def test_columns_that_cannot_be_read_are_named_and_left_out(content: str, tmp_path: Path) -> None:
    path = tmp_path / "broken" / "_search" / "columns.json"
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    with pytest.warns(UserWarning, match="broken"):
        publish_columns(tmp_path / "search", columns("a"))
    assert config_names(tmp_path) == {"a"}


def test_directories_that_are_no_configs_stay(tmp_path: Path) -> None:
    for name in ("_hparams-mine", "_hparams-0123456789abcdef0"):
        (tmp_path / name).mkdir()
    publish_columns(tmp_path / "search", columns("a"))
    assert (tmp_path / "_hparams-mine").is_dir()
    assert (tmp_path / "_hparams-0123456789abcdef0").is_dir()


def test_columns_are_readable_by_people(tmp_path: Path) -> None:
    publish_columns(tmp_path / "search", columns("a"))
    stored = json.loads((tmp_path / "search" / "_search" / "columns.json").read_text(encoding="utf-8"))
    assert stored["objective"] == "max a"
