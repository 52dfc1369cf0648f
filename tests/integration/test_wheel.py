"""What is shipped is complete, and works outside the checkout."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("kt_suite", "kt_suite_tensorboard")

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    """Runs a command as a user would who has no checkout; returns what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Returns the sdist, and the wheel that is built from it and from nothing else.

    A copy is built: what earlier builds left in the checkout would otherwise slip in.
    """
    folder = tmp_path_factory.mktemp("dist")
    ignored = shutil.ignore_patterns(".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, folder / "checkout", symlinks=True, ignore=ignored)
    run(sys.executable, "-m", "build", "--outdir", folder, folder / "checkout", cwd=folder)
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def shipped_files() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for package in SHIPPED
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_module_and_nothing_else(distributions: tuple[Path, Path]) -> None:
    names = zipfile.ZipFile(distributions[1]).namelist()
    assert {name for name in names if ".dist-info/" not in name} == shipped_files()
    assert any(name.endswith("LICENSE") for name in names)


def test_the_sdist_holds_what_tests_and_checks_need(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[0]) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    tests = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")}
    others = {
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "pyproject.toml",
        "setup.cfg",
        "scripts/check",
        "scripts/test",
        ".ci/run",
    }
    assert shipped_files() | tests | others <= names
    assert not any(name.startswith("models/") for name in names)


def test_the_wheel_works_outside_the_checkout(distributions: tuple[Path, Path], tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", distributions[1], cwd=tmp_path)
    # The dependencies are those of the running environment; a plain path to it brings no editable install.
    own = Path(run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=tmp_path).strip())
    (own / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")

    where = run(python, "-c", "import kt_suite; print(kt_suite.__file__, kt_suite.__version__)", cwd=tmp_path)
    assert where.startswith(str(own))
    assert "tune" in run(tmp_path / "venv" / "bin" / "kt-suite", "--help", cwd=tmp_path)

    found = run(
        tmp_path / "venv" / "bin" / "kt-suite",
        *("tune", "mlp", "--data", "iris", "--max-trials", "2", "--epochs", "2", "--seed", "0", "--json"),
        cwd=tmp_path,
    )
    assert '"trials": 2' in found
