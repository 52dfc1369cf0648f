"""The README is true: its scripts and commands run as written, and its install lines are those of CI."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kt_suite.cli import main

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
INSTALL_AND_RUN = "python3 -m venv .venv && . .venv/bin/activate && pip install . && "
INSTALL_AND_TEST = "python3 -m venv .venv && . .venv/bin/activate && pip install -e '.[test]' && scripts/test"


def lines(language: str) -> list[str]:
    return [line for kind, text in BLOCKS if kind == language for line in text.splitlines()]


@pytest.mark.slow
def test_scripts_and_commands_run_in_the_order_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for kind, text in BLOCKS:
        if kind == "python":
            named = re.match(r"# (\w+)\.py\n", text)
            path = tmp_path / f"{named.group(1) if named else 'snippet'}.py"
            path.write_text(text, encoding="utf-8")
            runpy.run_path(str(path), run_name="__main__")
        for line in text.splitlines():
            if kind == "bash" and line.startswith("kt-suite "):
                main(shlex.split(line)[1:], prog_name="kt-suite", standalone_mode=False)
    monkeypatch.delitem(sys.modules, "net")
    shown = capsys.readouterr().out
    assert "tensorboard --logdir tensorboard_logs" in shown
    assert "'trial_id'" in shown
    assert (tmp_path / "searches" / "iris" / "search.db").is_file()
    assert (tmp_path / "tensorboard_logs").is_dir()


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
    (line,) = [line for line in lines("bash") if line.startswith(INSTALL_AND_RUN)]
    command = shlex.split(line.removeprefix(INSTALL_AND_RUN))
    done = subprocess.run(
        [sys.executable, "-m", "kt_suite", *command[1:], "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1800,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["trials"] >= 10
    assert found["failed"] == 0
    assert found["test"]["accuracy"] >= 0.97
