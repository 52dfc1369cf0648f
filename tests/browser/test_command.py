"""``kt-suite tensorboard`` with a real TensorBoard."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.unit.tensorboard_plugin.made_search import made_trials, store

START = "from kt_suite.cli.tensorboard import tensorboard; tensorboard()"


@pytest.mark.slow
def test_the_command_serves_the_tab_on_this_machine_only(tmp_path: Path) -> None:
    store(tmp_path / "digits", made_trials(4), tensorboard=str(tmp_path / "logs"))
    command = [sys.executable, "-c", START, str(tmp_path / "digits"), "--port", "0", "--rebuild"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            log, address = process.stdout.readline().strip(), process.stdout.readline().strip()
            assert log.startswith("logs/digits-")
            assert address.startswith("http://127.0.0.1:")
            base, fragment = address.split("#")
            assert fragment == "kt_suite"
            with urllib.request.urlopen(f"{base}data/plugin/kt_suite/searches") as response:
                assert json.load(response)["searches"] == [{"key": "digits-digitsxx", "problem": None}]
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0
