from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kt_suite.errors import ProjectError
from kt_suite.project import create_project, find_project, project_path, versions
from kt_suite.storage import Storage
from kt_suite.trial import TrialRecord, TrialStatus

SETTINGS: dict[str, Any] = {
    "name": "search",
    "objective": "val_loss",
    "direction": "min",
    "objectives": [["val_loss", "min"]],
    "oracle": "RandomSearchOracle",
    "score": "best",
    "runs_per_trial": 1,
    "seed": 0,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "projects" / "search"


def find(path: Path, overwrite: bool = False, seed: int | None = None, **changed: Any) -> Storage | None:
    return find_project(path, {**SETTINGS, **changed}, overwrite=overwrite, seed=seed)


def make(path: Path, num_trials: int = 1) -> Storage:
    storage = create_project(path, SETTINGS)
    for number in range(num_trials):
        storage.write_attempt("end", TrialRecord(f"{number:04d}", number, TrialStatus.COMPLETED, score=1.0), {})
    return storage


def test_defaults_are_keras_tuners() -> None:
    assert project_path(None, None) == Path("untitled_project")
    assert project_path("logs", "mine") == Path("logs/mine")
    assert project_path(Path("logs"), "a/b") == Path("logs/a/b")


@pytest.mark.parametrize("name", ["../elsewhere", "a/../../b", "/etc/thing", ".."])
def test_a_name_leads_nowhere_outside_the_directory(name: str) -> None:
    with pytest.raises(ProjectError, match="project_name"):
        project_path("projects", name)


def test_looking_for_a_project_makes_nothing(path: Path) -> None:
    assert find(path) is None
    assert not path.exists()
    path.mkdir(parents=True)
    assert find(path) is None


def test_a_project_is_found_again_with_its_facts(path: Path) -> None:
    make(path)
    found = find(path)
    assert found is not None
    assert found.fact("objective") == "val_loss"
    assert found.fact("search_id")
    assert found.fact("versions")["python"]
    assert len(found.trials()) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("objective", "loss"),
        ("direction", "max"),
        ("oracle", "GridSearchOracle"),
        ("score", "last"),
        ("runs_per_trial", 2),
    ],
)
def test_a_search_with_other_settings_is_refused_in_one_line(path: Path, name: str, value: Any) -> None:
    make(path)
    with pytest.raises(ProjectError, match=name) as caught:
        find(path, **{name: value})
    assert repr(SETTINGS[name]) in str(caught.value)
    assert repr(value) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_another_seed_is_refused_and_no_seed_is_fine(path: Path) -> None:
    make(path)
    with pytest.raises(ProjectError, match="seed"):
        find(path, seed=1)
    assert find(path, seed=0) is not None
    assert find(path, seed=None) is not None


def test_what_never_finished_a_trial_may_be_started_with_other_settings(path: Path) -> None:
    make(path, num_trials=0).close()
    assert find(path, objective="loss") is None
    create_project(path, {**SETTINGS, "objective": "loss"}).close()


def test_a_search_that_died_while_being_made_does_not_block_the_next(path: Path) -> None:
    path.mkdir(parents=True)
    for name in ("search.db.4711.new", "search.db.4711.new-journal"):
        (path / name).write_bytes(b"half")
    assert find(path) is None
    make(path)
    assert find(path) is not None


def test_overwriting_removes_a_search(path: Path) -> None:
    make(path).close()
    assert find(path, overwrite=True, objective="loss") is None
    assert not path.exists()


def test_overwriting_spares_a_search_that_is_running(path: Path) -> None:
    storage = make(path)
    with storage.lock(), pytest.raises(ProjectError, match="one process at a time"):
        find(path, overwrite=True)
    assert len(storage.trials()) == 1
    assert Storage.exists(path)


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_files_of_another_program_are_left_alone(path: Path, overwrite: bool) -> None:
    path.mkdir(parents=True)
    (path / "thesis.tex").write_text("years of work")
    with pytest.raises(ProjectError, match="search") as caught:
        find(path, overwrite=overwrite)
    assert str(path) in str(caught.value)
    assert (path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_in_place_of_a_directory_is_left_alone(path: Path, overwrite: bool) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("a file")
    with pytest.raises(ProjectError):
        find(path, overwrite=overwrite)
    assert path.read_text() == "a file"


def test_a_project_of_keras_tuner_is_named_and_may_be_overwritten(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "oracle.json").write_text("{}")
    with pytest.raises(ProjectError, match="KerasTuner's"):
        find(path)
    assert find(path, overwrite=True) is None
    assert not path.exists()


def test_versions_tell_what_a_result_may_depend_on() -> None:
    assert {"python", "keras", "tensorflow", "keras-tuner", "numpy"} <= set(versions())
