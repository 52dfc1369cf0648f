"""Imports go down only, optional packages stay optional, and `import kt_suite` stays light."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "kt_suite"

# A module may import its own part and those of lower floors; parts of one floor are strangers to each other.
FLOORS = [
    {"errors", "seeds", "collector", "_version"},
    {"scorers"},
    {"hyperparameters", "objective", "trial", "data", "rows"},
    {
        "space",
        "hypermodel",
        "checks",
        "discovery",
        "limits",
        "pareto",
        "leaderboard",
        "runs",
        "folds",
        "racing",
        "ensemble",
        "tasks",
    },
    {"planning", "estimators", "predictions"},
    {"scoring"},
    {"brackets", "surrogates", "storage", "distribution"},
    {"acquisition", "pruners", "loggers", "project", "report"},
    {"oracles", "executors"},
    {"flight"},
    {"search"},
    {"retention", "runner", "follower"},
    {"fold_models"},
    {"results"},
    {"tuner"},
    {"tuners", "nested"},
    {"applications", "engine"},
    {"__init__"},  # the public names, of all floors, and therefore lazy
    {"cli", "models", "sklearn", "testing"},
    {"__main__"},
]
HEIGHT = {part: height for height, parts in enumerate(FLOORS) for part in parts}
PUBLIC = {"kt_suite", "kt_suite.errors"}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part(module: str) -> str:
    """Returns the room of the house that a module of kt_suite belongs to."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(path: Path, *, at_start_only: bool = False) -> Iterator[tuple[int, str]]:
    """Yields line and full name of everything a file imports: anywhere, or on being imported itself."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if at_start_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{source}.{alias.name}" if is_module(f"{source}.{alias.name}") else source


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_every_part_has_its_floor() -> None:
    assert {part(module_name(path)) for path in sources()} - set(HEIGHT) == set(), "give it a floor in FLOORS"


def test_imports_go_down_only() -> None:
    upward = []
    for path in sources():
        own = part(module_name(path))
        if own == "__init__":
            continue
        for line, name in imports(path):
            if name.split(".")[0] != "kt_suite":
                continue
            other = part(name)
            if other != own and HEIGHT[other] >= HEIGHT[own]:
                upward.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert upward == []


def test_the_plugin_is_loaded_with_nothing_but_what_every_tensorboard_has() -> None:
    allowed = {*sys.stdlib_module_names, "kt_suite_tensorboard", "tensorboard", "werkzeug"}
    others = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sorted((ROOT / "kt_suite_tensorboard").rglob("*.py"))
        for line, name in imports(path, at_start_only=True)
        if name.split(".")[0] not in allowed
    ]
    assert others == []


def test_models_import_only_public_names() -> None:
    private = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sorted((PACKAGE / "models").rglob("*.py"))
        for line, name in imports(path)
        if name.startswith("kt_suite") and name not in PUBLIC and not name.startswith("kt_suite.models")
    ]
    assert private == []


def test_nothing_in_the_framework_imports_the_models() -> None:
    importers = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources()
        if part(module_name(path)) not in ("__init__", "models")  # the public names hold `models`, lazily
        for line, name in imports(path)
        if name.startswith("kt_suite.models")
    ]
    assert importers == []


def test_only_the_ray_executor_imports_ray() -> None:
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in sources()
        for _, name in imports(path)
        if name.split(".")[0] == "ray"
    }
    assert importers <= {"executors/ray.py"}


def test_every_imported_package_is_declared() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    lines = parser["options"]["install_requires"].splitlines()
    lines += [
        line
        for extra, text in parser["options.extras_require"].items()
        if extra not in ("all", "test")
        for line in text.splitlines()
    ]
    declared = {re.split(r"[^\w-]", line.strip())[0].lower().replace("-", "_") for line in lines if line.strip()}
    known = declared | set(sys.stdlib_module_names) | {"kt_suite", "kt_suite_tensorboard", "sklearn"}
    known_to_tests = known | {"pytest"}
    unknown = {
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sources()
        for line, name in imports(path)
        if name.split(".")[0] not in (known_to_tests if part(module_name(path)) == "testing" else known)
    }
    assert unknown == set()


@pytest.mark.parametrize("module", ["kt_suite", "kt_suite.cli"])
def test_import_takes_no_tensorflow(module: str, tmp_path: Path) -> None:
    heavy = {
        "tensorflow",
        "keras",
        "keras_tuner",
        "sklearn",
        "scipy",
        "pandas",
        "optuna",
        "ray",
        "jax",
        "plotly",
    }
    code = f"import sys, {module}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == []


def test_the_link_at_the_top_level_names_the_package_it_links_to(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import models"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "ImportError" in done.stderr.splitlines()[-1]
    assert "kt_suite.models" in done.stderr.splitlines()[-1]
