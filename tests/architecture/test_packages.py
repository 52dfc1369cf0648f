"""What the metadata says is what the tree holds, and the repository names no place of one machine."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("kt_suite", "kt_suite_tensorboard")
# Folders that hold people's checkouts and installations; `(?<!...)` lets addresses and relative paths pass.
MACHINE_PATH = re.compile(r"(?<![\w.:/~{}$-])/(?:home|root|Users|work|opt|mnt)/[\w.-]+")


@pytest.fixture(scope="module")
def metadata() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def words(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def repository_files() -> list[Path]:
    """Returns the files that belong to the repository: those git knows or would not ignore."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing tells the repository's files from others")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def test_packages_are_those_of_the_tree(metadata: configparser.ConfigParser) -> None:
    found = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for package in SHIPPED
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert sorted(words(metadata["options"]["packages"])) == sorted(found)


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for package in SHIPPED for path in (ROOT / package).rglob("*.py")}
    assert {str(folder) for folder in folders if not (folder / "__init__.py").exists()} == set()


def test_everything_that_is_no_code_is_declared_as_data(metadata: configparser.ConfigParser) -> None:
    patterns = {package: words(text) for package, text in metadata["options.package_data"].items()}
    data = [
        path
        for package in SHIPPED
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".py"
    ]
    declared = {
        path
        for package, globs in patterns.items()
        for glob in globs
        for path in (ROOT / package.replace(".", "/")).glob(glob)
    }
    assert [path.relative_to(ROOT).as_posix() for path in data if path not in declared] == []
    assert (ROOT / "kt_suite" / "py.typed") in declared


def test_the_extra_all_holds_every_feature(metadata: configparser.ConfigParser) -> None:
    extras = set(metadata["options.extras_require"]) - {"test", "all"}
    named = re.fullmatch(r"kt-suite\[(.*)\]", metadata["options.extras_require"]["all"].strip())
    assert named is not None
    assert set(named.group(1).split(",")) == extras


def test_models_stand_at_the_top_level_as_a_link() -> None:
    link = ROOT / "models"
    assert link.is_symlink()
    assert os.readlink(link) == "kt_suite/models"


def test_the_default_log_directory_keeps_only_its_ignore_file() -> None:
    folder = ROOT / "tensorboard_logs"
    assert [path for path in repository_files() if path.is_relative_to(folder)] == [folder / ".gitignore"]


def test_no_file_names_a_path_of_one_machine() -> None:
    found = []
    for path in repository_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if str(ROOT) in line or MACHINE_PATH.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("see " + "/home" + "/ann/data.csv", True),
        ('"' + "/opt" + '/env/bin/python"', True),
        ("https://example.org/home/page", False),
        ("the oracle's work/rest ratio", False),
    ],
)
def test_paths_of_machines_are_recognised(line: str, is_found: bool) -> None:
    assert bool(MACHINE_PATH.search(line)) == is_found
