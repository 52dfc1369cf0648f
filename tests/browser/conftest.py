"""A real TensorBoard and a real browser."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",  # WebGL, which Plotly needs for many points, without a graphics card
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
Serve = Callable[..., str]


@pytest.fixture(scope="session")
def entry_point(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a directory that makes the checkout an installed package to TensorBoard."""
    folder = tmp_path_factory.mktemp("installed")
    metadata = folder / "kt_suite-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: kt-suite\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text(
        "[tensorboard_plugins]\nkt_suite = kt_suite_tensorboard.loader:TuningLoader\n"
    )
    return folder


@pytest.fixture(scope="module")
def serve(entry_point: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Returns what starts TensorBoard on a log directory and returns its address."""
    with contextlib.ExitStack() as stack:

        def start(logdir: Path, *, without: str = "") -> str:
            paths = [str(entry_point), str(ROOT)]
            if without:  # a package that cannot be found
                paths.insert(0, str(_hiding(without, tmp_path_factory.mktemp("hiding"))))
            log = tmp_path_factory.mktemp("server") / "log"
            command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--host", "127.0.0.1"]
            with log.open("w") as output:
                process = subprocess.Popen(
                    [*command, "--port", "0", "--reload_interval", "2"],
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                    stdout=output,
                    stderr=output,
                )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return _address(process, log)

        yield start


def _hiding(package: str, folder: Path) -> Path:
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hider:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] == {package!r}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hider())\n"
    )
    return folder


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        match = re.search(r"http://127\.0\.0\.1:\d+/", log.read_text())
        if match is not None:
            return match.group()
        time.sleep(0.2)
    pytest.fail(f"TensorBoard did not start:\n{log.read_text()}")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """Returns a Chromium of 1280 by 900 points, with a fresh profile."""
    selenium = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs chromium and chromedriver")
    options = selenium.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    browser.set_script_timeout(60)
    yield browser
    browser.quit()
