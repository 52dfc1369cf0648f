"""The README is true: its scripts and commands run as written, and its install lines are those of CI."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
INSTALL_AND_RUN = "python3 -m venv .venv && . .venv/bin/activate && pip install . && "
INSTALL_AND_TEST = "python3 -m venv .venv && . .venv/bin/activate && pip install -e '.[test]' && scripts/test"


def lines(language: str) -> list[str]:
    return [line for kind, text in BLOCKS if kind == language for line in text.splitlines()]


def commands() -> list[str]:
    """Returns the commands of the README, without those that install something or never end."""
    return [line for line in lines("bash") if line.startswith(("kt-suite ", "python "))]


def environment(folder: Path) -> dict[str, str]:
    """Returns an environment in which `kt-suite` and `python` are those under test, installed or not."""
    binaries = folder / "bin"
    binaries.mkdir()
    start = f"#!/bin/sh\nexec {shlex.quote(sys.executable)}"
    for name, code in {"kt-suite": " -c 'from kt_suite.cli import main; main()'", "python": ""}.items():
        (binaries / name).write_text(f'{start}{code} "$@"\n')
        (binaries / name).chmod(0o755)
    return {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}


def run(command: str, folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_scripts_and_commands_run_in_the_order_of_the_readme(tmp_path: Path) -> None:
    env = environment(tmp_path)
    folder = tmp_path / "project"
    folder.mkdir()
    for kind, text in BLOCKS:
        if kind == "python":
            named = re.match(r"# ([\w/]+\.py)\n", text)
            path = folder / (named.group(1) if named else "snippet.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            run(f"python {path.relative_to(folder)}", folder, env)
        elif kind == "bash":
            for line in text.splitlines():
                if line in commands():
                    run(line, folder, env)
    assert (folder / "tensorboard_logs").is_dir()


def test_one_line_installs_and_searches() -> None:
    assert f"{INSTALL_AND_RUN}kt-suite tune cnn --data digits" in lines("bash")


def test_one_line_installs_and_tests_and_ci_does_the_same() -> None:
    assert INSTALL_AND_TEST in lines("bash")
    steps = INSTALL_AND_TEST.split(" && ")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert f"\n    {steps[2]}\n" in ci
    assert f"\nstage fast {steps[3]}\n" in ci
    assert INSTALL_AND_TEST in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_links_lead_to_files() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []


@pytest.mark.slow
def test_the_first_line_finds_a_good_model(tmp_path: Path) -> None:
    env = environment(tmp_path)
    shown = run("kt-suite tune cnn --data digits --seed 0", tmp_path, env)
    assert "tensorboard --logdir " in shown
    shutil.rmtree(tmp_path / "bin")
