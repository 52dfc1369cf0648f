"""The tab as a test drives it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

PATIENCE = 180.0  # seconds, on a busy machine


class Tab:
    """The tab "Tuning" in a browser.

    Args:
        browser: A selenium driver.
        address: Address of TensorBoard; ``None`` where the browser shows the page by itself.
    """

    def __init__(self, browser: Any, address: str | None = None) -> None:
        self.browser = browser
        if address is None:
            return
        browser.get(f"{address}#kt_suite")
        frame = 'iframe[src*="plugin_entry"]'
        wait(lambda: browser.find_elements("css selector", frame), "the frame of the tab")
        browser.switch_to.frame(browser.find_element("css selector", frame))

    def script(self, code: str, *arguments: Any) -> Any:
        """Returns what a function body returns."""
        return self.browser.execute_script(code, *arguments)

    def text(self, selector: str) -> list[str]:
        """Returns the texts of elements."""
        code = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)"
        return list(self.script(code, selector))

    def click(self, selector: str) -> None:
        """Clicks an element."""
        self.script("document.querySelector(arguments[0]).click()", selector)

    def wait_for(self, selector: str) -> None:
        """Waits for an element."""
        wait(lambda: self.script("return document.querySelector(arguments[0]) !== null", selector), selector)

    def num_trials(self) -> int:
        """Returns how many trials the page says there are."""
        summary = "".join(self.text(".summary"))
        return int(summary.split(" ")[0]) if summary else 0

    def show_rows(self, number: int) -> None:
        """Has the leaderboard show up to so many trials at once."""
        self.choose('select[data-key="rows"]', str(number))

    def choose(self, selector: str, value: str) -> None:
        """Chooses an option by its value."""
        code = """
            const control = document.querySelector(arguments[0]);
            control.value = arguments[1];
            control.dispatchEvent(new Event("change"));"""
        self.script(code, selector, value)

    def column(self, key: str) -> dict[str, float]:
        """Returns the numbers of a column of the leaderboard, by trial."""
        code = """
            return [...document.querySelectorAll("tr[data-trial]")]
                .map((row) => [row.dataset.trial, [...row.cells].find((cell) => cell.dataset.column === arguments[0])])
                .filter(([, cell]) => cell && cell.dataset.value !== undefined)
                .map(([trial, cell]) => [trial, Number(cell.dataset.value)])"""
        return dict(self.script(code, key))

    def draw(self, view: str) -> str:
        """Brings a view into sight, and returns its note once it is up to date."""
        selector = f'[data-view="{view}"]'
        self.script("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        drawn = """
            const panel = document.querySelector(arguments[0]);
            const note = panel.querySelector(".note").textContent;
            return panel.dataset.drawn || note ? {note} : null"""
        found: dict[str, str] = {}
        wait(lambda: found.update(self.script(drawn, selector) or {}) or bool(found), f"the view {view}")
        return found["note"]

    def problems(self) -> list[str]:
        """Returns the errors of the page's console, TensorBoard's own left out."""
        return [
            entry["message"]
            for entry in self.browser.get_log("browser")
            if entry["level"] == "SEVERE" and "kt_suite" in entry["message"]
        ]

    def picture(self, name: str) -> None:
        """Saves a screenshot where the variable SCREENSHOTS says so."""
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            self.browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def wait(is_true: Callable[[], Any], what: str) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + PATIENCE
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"never came: {what}")
        time.sleep(0.1)


def computed(browser: Any) -> float:
    """Returns the processor time, in seconds, that a browser has used so far."""
    processes = psutil.Process(browser.service.process.pid).children(recursive=True)
    times = [process.cpu_times() for process in processes if process.is_running()]
    return float(sum(one.user + one.system for one in times))
