from __future__ import annotations

from pathlib import Path

import pytest

from kt_suite.loggers.layout import attempt_directory, group_name, run_directory, safe_name, search_directory
from tests.unit.loggers.fake_search import make_info

NAMES = [
    "..",
    ".",
    "",
    "/",
    "a/b",
    "../../etc/passwd",
    "C:\\x",
    "_hparams-0123456789abcdef",
    "a\0b",
    "x" * 300,
    "é" * 300,
]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_out_of_the_log_directory(name: str, tmp_path: Path) -> None:
    directory = search_directory(make_info(name), tmp_path)
    assert directory.parent == tmp_path
    directory.mkdir()
    assert directory.resolve().parent == tmp_path.resolve()
    assert not directory.name.startswith(("_", "."))


def test_safe_names_keep_letters_of_all_languages() -> None:
    assert safe_name("Größe μ 大") == "Größe_μ_大"


def test_searches_of_one_name_have_directories_and_groups_of_their_own() -> None:
    one, other = make_info(search_id="1" * 32), make_info(search_id="2" * 32)
    assert search_directory(one, "logs") != search_directory(other, "logs")
    assert group_name(one, "0001", 1) != group_name(other, "0001", 1)


def test_names_that_become_the_same_have_directories_of_their_own() -> None:
    assert search_directory(make_info("a/b"), "logs") != search_directory(make_info("a?b"), "logs")


def test_attempts_and_runs_lie_inside_their_trial() -> None:
    trial = attempt_directory(Path("search"), "0007", 1)
    retry = attempt_directory(Path("search"), "0007", 3)
    assert run_directory(trial, 0) == Path("search/trial_0007")
    assert run_directory(trial, 2) == Path("search/trial_0007/exec_2")
    assert run_directory(retry, 1) == Path("search/trial_0007/retry_2/exec_1")


def test_groups_start_with_what_tells_rows_apart() -> None:
    assert group_name(make_info(search_id="abcdef0123456789"), "0007", 1) == "0007 · digits · abcdef01"
    assert group_name(make_info(search_id="abcdef0123456789"), "0007", 2).startswith("0007 retry 1 · ")
