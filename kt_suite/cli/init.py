"""``kt-suite init``: a project to start from."""

from __future__ import annotations

import keyword
import string
from importlib import resources
from pathlib import Path

import click

from kt_suite.errors import InputError, ProjectError, rule

# Path in the project to name of the template.
_FILES = {
    "README.md": "README.md",
    ".gitignore": "gitignore",
    "pyproject.toml": "pyproject.toml",
    "tune.py": "tune.py",
    "models/__init__.py": "models_init.py",
    "models/net.py": "net.py",
    "tests/test_net.py": "test_net.py",
    "tensorboard_logs/.gitignore": "logs_gitignore",
}


@click.command()
@click.argument("name")
def init(name: str) -> None:
    """Make a project in the new folder NAME: a model, a tuning script, tests and a log directory."""
    if not name.isidentifier() or keyword.iskeyword(name):
        must = "be a name of letters, digits and '_' that starts with no digit"
        raise InputError(rule("NAME", must, name, "It becomes a folder in the current one."))
    root = Path(name)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ProjectError(rule("NAME", "be a folder that does not exist, or is empty", name))
    templates = resources.files("kt_suite") / "templates"
    for path, template in _FILES.items():
        text = (templates / f"{template}.tmpl").read_text(encoding="utf-8")
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(string.Template(text).substitute(name=name), encoding="utf-8")
    click.echo(f"Made {name}: {', '.join(_FILES)}\nNext: cd {name} && python tune.py")
