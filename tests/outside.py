"""A search that a script of its own runs, as others see it: its storage, what its trials write down, its processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from kt_suite.storage import Storage

# Seconds that a very loaded machine may take for what takes a few: a bound for what hangs, no claim about time.
PATIENCE = 900


def wait_for(claim: Callable[[], Any], what: Callable[[], str]) -> Any:
    """Returns the first truth that ``claim`` comes to; ``what`` describes what was waited for in vain."""
    deadline = time.monotonic() + PATIENCE
    while not (found := claim()):
        assert time.monotonic() < deadline, f"not seen within {PATIENCE} s: {what()}"
        time.sleep(0.1)
    return found


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE  # where nobody collects orphans
    except psutil.NoSuchProcess:
        return True


class OutsideSearch:
    """A search in ``<directory>/search``, run by a script that is called with the directory and more arguments.

    Its trials append to ``<directory>/notes.txt``.
    """

    def __init__(self, directory: Path, script: str, *arguments: str) -> None:
        self.directory = directory
        path = directory / "script.py"
        path.write_text(textwrap.dedent(script))
        self.command = [sys.executable, str(path), str(directory), *arguments]

    def start(self) -> subprocess.Popen[bytes]:
        with open(self.directory / "driver.log", "ab") as log:
            return subprocess.Popen(self.command, stdout=log, stderr=log)

    def log(self) -> str:
        return (self.directory / "driver.log").read_text(errors="replace")[-4000:]

    def notes(self) -> list[list[str]]:
        """Returns the words of each line that trials have written."""
        path = self.directory / "notes.txt"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def read(self, query: Callable[[Storage], Any]) -> Any:
        if not Storage.exists(self.directory / "search"):
            return []
        storage = Storage.open(self.directory / "search", read_only=True)
        try:
            return query(storage)
        finally:
            storage.close()

    def trials(self) -> list[Any]:
        return list(self.read(lambda storage: storage.trials()))

    def events(self, kind: str) -> list[Any]:
        return [event for event in self.read(lambda storage: storage.events()) if event["kind"] == kind]
