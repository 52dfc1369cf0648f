from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from click.testing import CliRunner
from made_search import SPACE, made_trials, store

from kt_suite.cli.report import report
from kt_suite.errors import InputError, MissingExtraError, ProjectError, StorageError
from kt_suite.report import plot, write_pictures, write_report
from kt_suite.report import report as report_module
from kt_suite.report.report import view_of
from kt_suite_tensorboard.figures import VIEWS


@pytest.fixture
def project(tmp_path: Path) -> Path:
    store(tmp_path / "digits", made_trials(20))
    return tmp_path / "digits"


def stored(path: Path) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="stored">(.*?)</script>', path.read_text(encoding="utf-8"))
    assert match is not None
    return dict(json.loads(match.group(1)))


def test_a_report_holds_all_views_trials_and_no_address(project: Path, tmp_path: Path) -> None:
    path = write_report(project, tmp_path / "out" / "report.html")
    answers = stored(path)
    assert set(answers["figures"]) == set(VIEWS)
    assert len(answers["search"]["rows"]) == len(answers["trials"]) == 20
    assert set(answers["figures"]["slice"]) >= {"", "learning_rate", "units"}
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"""<(?:script|link|img)[^>]*(?:src|href)=""", text)
    assert not re.search(r"^(?:import|export) ", text, flags=re.MULTILINE)


def test_names_cannot_leave_their_place_in_a_report(tmp_path: Path) -> None:
    nasty = "</script><script>alert(1)</script>"
    entry = {"class_name": "Choice", "config": {"name": nasty, "values": [nasty, "b"], "conditions": []}}
    trials = made_trials(10)
    for trial in trials:
        trial.values[nasty], trial.used = nasty, None
    store(tmp_path / "n", trials, space=[*SPACE, entry], name=nasty)
    path = write_report(tmp_path / "n", tmp_path / "report.html")
    assert "<script>alert" not in path.read_text(encoding="utf-8")
    assert stored(path)["search"]["name"] == nasty


def test_figures_are_those_of_the_tab(project: Path) -> None:
    figure = plot(project, "history")
    assert figure.data[-1].name == "best so far"
    assert plot(project, "slice", parameter="units").layout.xaxis.title.text == "units"


@pytest.mark.parametrize(
    ("view", "options", "message"),
    [
        ("histroy", {}, "Did you mean 'history'"),
        ("slice", {"parametr": "units"}, "Did you mean 'parameter'"),
        ("slice", {"parameter": "unit"}, "Did you mean 'units'"),
    ],
)
def test_a_figure_that_does_not_exist_is_refused(
    project: Path, view: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        plot(project, view, **options)


def test_a_directory_without_a_sound_search_is_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(ProjectError):
        write_report(tmp_path, tmp_path / "report.html")
    (project / "search.db").write_bytes(b"torn")
    with pytest.raises(StorageError):
        write_report(project, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_without_plotly_a_report_says_what_is_missing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "plotly_path", lambda: None)
    with pytest.raises(MissingExtraError, match="Plotly"):
        write_report(project, "report.html")


def test_without_kaleido_pictures_say_what_is_missing(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"Kaleido.*kt-suite\[report\]"):
        write_pictures(project, tmp_path / "report")


@pytest.mark.slow
def test_every_view_with_something_to_show_becomes_a_picture(project: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(report, [str(project), "--format", "png", "-o", "pictures"])
    assert result.exit_code == 0, result.output
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert result.output.split() == [f"pictures/{name}.png" for name in VIEWS if view_of(project, name).data]
    assert sorted(result.output.split()) == [f"pictures/{picture.name}" for picture in pictures]
    for picture in pictures:
        pixels = tf.io.decode_png(picture.read_bytes(), channels=3).numpy()
        assert pixels.shape[0] >= 1120
        assert pixels.shape[1] == 2000
        assert len({tuple(pixel) for pixel in pixels[::4, ::4].reshape(-1, 3)}) > 50  # neither blank nor a message


def test_the_command_writes_the_file(project: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(report, [str(project), "-o", "r.html"])
    assert (result.exit_code, result.output) == (0, "r.html\n")
    assert (tmp_path / "r.html").is_file()
