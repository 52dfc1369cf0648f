from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_search import append, log, made_trials, running, store
from werkzeug.test import Client
from werkzeug.wrappers import Response

from kt_suite.loggers.base import SearchInfo
from kt_suite.loggers.tensorboard import TensorBoardLogger
from kt_suite.storage import FILE_NAME, Storage
from kt_suite.trial import RunRecord, incumbent
from kt_suite_tensorboard import plugin as plugin_module
from kt_suite_tensorboard.loader import TuningLoader
from kt_suite_tensorboard.logs import split_logdirs
from kt_suite_tensorboard.plugin import TuningPlugin

NASTY = "a \"b\"/<script>alert(1)</script> 'ü' & %{x}"


class Tab:
    """The plugin without TensorBoard around it."""

    def __init__(self, logdir: Path) -> None:
        context = SimpleNamespace(logdir=str(logdir), flags=SimpleNamespace(logdir_spec=""))
        self.apps = TuningPlugin(context).get_plugin_apps()

    def get(self, route: str, **query: Any) -> Any:
        response = Client(self.apps[route], Response).get(query_string=query)
        assert response.status_code == 200
        return json.loads(response.get_data(), parse_constant=pytest.fail)

    def keys(self) -> list[str]:
        return [search["key"] for search in self.get("/searches")["searches"]]


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture
def project(tmp_path: Path, logdir: Path) -> Path:
    """Returns the directory of a search of 20 trials, with a log."""
    store(tmp_path / "projects" / "digits", made_trials(20))
    log(tmp_path / "projects" / "digits", logdir)
    return tmp_path / "projects" / "digits"


@pytest.fixture
def tab(project: Path, logdir: Path) -> Tab:
    return Tab(logdir)


def rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]


def test_rows_are_what_storage_holds(tab: Tab, project: Path) -> None:
    answer = tab.get("/search", search=tab.keys()[0])
    with contextlib.closing(Storage.open(project, read_only=True)) as storage:
        trials = storage.trials()
    assert len(answer["rows"]) == len(trials) == 20
    for row, trial in zip(rows(answer), trials, strict=True):
        assert (row["id"], row["status"], row["score"], row["std"]) == (
            trial.trial_id,
            trial.status,
            trial.score,
            trial.score_std,
        )
        values = dict(zip(answer["parameters"], row["values"], strict=True))
        assert {name: value for name, value in values.items() if value is not None} == trial.values


@pytest.mark.parametrize(("tasks", "error"), [(["left", "right"], None), ([None, None], 0.075)])
def test_rows_hold_the_scores_of_each_task_or_the_standard_error(
    tmp_path: Path, logdir: Path, tasks: list[str | None], error: float | None
) -> None:
    trials = made_trials(3)
    for trial in trials:
        trial.runs = [
            RunRecord(index, index, score, fold=index // 2, task=tasks[index % 2])
            for index, score in enumerate([0.5, 0.7, 0.6, 0.9])
        ]
        trial.score, trial.score_std = 0.675, 0.2
    store(tmp_path / "tasks", trials)
    log(tmp_path / "tasks", logdir)
    tab = Tab(logdir)
    answer = tab.get("/search", search=tab.keys()[0])
    if tasks[0] is not None:
        assert answer["tasks"] == tasks
        assert rows(answer)[0]["tasks"] == pytest.approx([0.55, 0.8])
    with contextlib.closing(Storage.open(tmp_path / "tasks", read_only=True)) as storage:
        expected = [trial.standard_error for trial in storage.trials()]
    assert [row["error"] for row in rows(answer)] == pytest.approx(expected)
    # Of 0.6 and 0.75, the means of the two folds; a score over tasks is relative to other trials, and has none.
    assert rows(answer)[0]["error"] == (None if error is None else pytest.approx(error))


def test_only_changed_trials_are_sent_again(tab: Tab, project: Path) -> None:
    key = tab.keys()[0]
    first = tab.get("/search", search=key)
    assert tab.get("/search", search=key, after=first["event"])["rows"] == []
    new = made_trials(22)[20:]
    with contextlib.closing(sqlite3.connect(project / FILE_NAME)) as connection, connection:
        append(connection, [running(trial) for trial in new])
    second = tab.get("/search", search=key, after=first["event"])
    assert [(row["id"], row["status"]) for row in rows(second)] == [("0020", "RUNNING"), ("0021", "RUNNING")]
    with contextlib.closing(sqlite3.connect(project / FILE_NAME)) as connection, connection:
        append(connection, new[:1])
    third = tab.get("/search", search=key, after=second["event"])
    assert [(row["id"], row["status"]) for row in rows(third)] == [("0020", "COMPLETED")]
    assert len(tab.get("/search", search=key)["rows"]) == 22


def test_the_logger_leaves_word_of_the_project(tmp_path: Path, logdir: Path) -> None:
    project = tmp_path / "p"
    store(project, made_trials(3))
    logger = TensorBoardLogger(logdir)
    logger.on_search_begin(SearchInfo("p", f"{'p':x<16}", str(project), "val_accuracy", "max"))
    logger.on_search_end("done")
    tab = Tab(logdir)
    assert len(tab.get("/search", search=tab.keys()[0])["rows"]) == 3
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.move(project, moved / "p")
    shutil.move(logdir, moved / "logs")
    tab = Tab(moved / "logs")
    assert len(tab.get("/search", search=tab.keys()[0])["rows"]) == 3


def test_two_searches_stay_apart(tab: Tab, tmp_path: Path, logdir: Path) -> None:
    space = [{"class_name": "Boolean", "config": {"name": "deep", "conditions": []}}]
    store(tmp_path / "projects" / "other", made_trials(3, seed=1), space=space, objective="loss", direction="min")
    log(tmp_path / "projects" / "other", logdir)
    first, second = tab.keys()
    assert len(tab.get("/search", search=first)["rows"]) == 20
    other = tab.get("/search", search=second)
    assert (len(other["rows"]), other["parameters"], other["direction"]) == (3, ["deep"], "min")
    names = [trace["name"] for trace in figure(tab, "history", search=[first, second])["data"]]
    assert names[-2:] == ["best of digits", "best of other"]


def figure(tab: Tab, view: str, **options: Any) -> dict[str, Any]:
    answer = tab.get("/figure", view=view, **{"search": tab.keys()[0], **options})
    assert "error" not in answer
    return dict(answer)


def test_a_project_directory_is_a_log_directory_too(project: Path) -> None:
    assert Tab(project).keys() == ["digits"]
    assert Tab(project.parent).keys() == ["digits"]


def test_a_missing_search_db_is_told(tab: Tab, project: Path) -> None:
    (project / FILE_NAME).unlink()
    answer = tab.get("/search", search=tab.keys()[0])
    assert str(project / FILE_NAME) in answer["error"]
    assert "error" in tab.get("/figure", view="history", search=tab.keys()[0])
    assert tab.get("/searches")["searches"][0]["problem"] == answer["error"]


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_corrupt_search_db_is_told(tab: Tab, project: Path, content: bytes) -> None:
    tab.get("/search", search=tab.keys()[0])
    (project / FILE_NAME).write_bytes(content)
    assert str(project / FILE_NAME) in tab.get("/search", search=tab.keys()[0])["error"]
    assert str(project / FILE_NAME) in tab.get("/trial", search=tab.keys()[0], id="0000")["error"]


def test_an_overwritten_search_is_told_and_not_shown_as_the_old_one(tab: Tab, project: Path) -> None:
    shutil.rmtree(project)
    store(project, made_trials(2), search_id="new")
    assert "another search" in tab.get("/search", search=tab.keys()[0])["error"]


def test_a_newer_format_is_refused(tab: Tab, project: Path) -> None:
    with contextlib.closing(sqlite3.connect(project / FILE_NAME)) as connection:
        connection.execute("PRAGMA user_version = 99")
    assert "Upgrade kt_suite" in tab.get("/search", search=tab.keys()[0])["error"]


def test_a_torn_note_hides_no_search(tab: Tab, logdir: Path) -> None:
    next(logdir.glob("*/_search/project.json")).write_text("{")
    assert "error" in tab.get("/search", search=tab.keys()[0])


def test_a_key_that_is_no_search_opens_no_file(tab: Tab, project: Path) -> None:
    for key in ("../projects/digits", str(project), ""):
        assert "There is no search" in tab.get("/search", search=key)["error"]


def test_details_hold_runs_and_traceback(tab: Tab) -> None:
    key = tab.keys()[0]
    assert [run["index"] for run in tab.get("/trial", search=key, id="0000")["runs"]] == [0, 1]
    assert tab.get("/trial", search=key, id="0003")["message"].startswith("Traceback")
    assert tab.get("/trial", search=key, id="none") == {}


def test_history_shows_every_trial_and_the_incumbent(tab: Tab, project: Path) -> None:
    with contextlib.closing(Storage.open(project, read_only=True)) as storage:
        trials = storage.trials()
    for x in ("trial", "minutes"):
        shown = figure(tab, "history", x=x)["data"]
        scores = {id: y for trace in shown[:1] for id, y in zip(trace["customdata"], trace["y"], strict=True)}
        assert scores == {trial.trial_id: trial.score for trial in trials if trial.status == "COMPLETED"}
        assert sorted(id for trace in shown for id in trace.get("customdata", [])) == [t.trial_id for t in trials]
        best = shown[-1]["y"]
        assert best == sorted(best)
        assert best[-1] == incumbent(trials, "max").score  # type: ignore[union-attr]


def test_scores_that_are_not_finite_are_json(tab: Tab, project: Path) -> None:
    with contextlib.closing(sqlite3.connect(project / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE trial SET score = 9e999, metrics = '{\"loss\": NaN}' WHERE number = 0")
    key = tab.keys()[0]
    assert rows(tab.get("/search", search=key))[0]["score"] is None
    assert tab.get("/trial", search=key, id="0000")["metrics"] == {"loss": None}
    figure(tab, "history")


def test_every_asset_is_served_and_nothing_else_is_a_route(tab: Tab) -> None:
    assert {"/index.js", "/page.js", "/style.css", "/plotly.min.js"} <= set(tab.apps)
    for route in ("/index.js", "/style.css", "/plotly.min.js"):
        response = Client(tab.apps[route], Response).get()
        assert response.status_code == 200
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_without_plotly_the_tab_says_so(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_module, "plotly_path", lambda: None)
    assert tab.get("/searches")["plotly"] is False
    assert Client(tab.apps["/plotly.min.js"], Response).get().status_code == 404


def test_an_empty_log_directory_has_no_search(tmp_path: Path) -> None:
    assert Tab(tmp_path / "none").keys() == []


def test_a_broken_plugin_is_left_out(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "kt_suite_tensorboard.plugin", None)
    assert TuningLoader().load(SimpleNamespace(logdir="", flags=None)) is None
    assert "could not be loaded" in caplog.text


def test_the_plugin_imports_neither_kt_suite_nor_tensorflow() -> None:
    code = """
import sys
import kt_suite_tensorboard.loader, kt_suite_tensorboard.plugin
heavy = {"kt_suite", "tensorflow", "keras", "plotly", "numpy.random"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("logdir", "spec", "expected"),
    [("a", "", ["a"]), ("", "x:a,b", ["a", "b"]), ("gs://bucket", None, []), (None, None, [])],
)
def test_log_directories_are_read_from_the_flags(logdir: str | None, spec: str | None, expected: list[str]) -> None:
    assert split_logdirs(logdir, spec) == expected
