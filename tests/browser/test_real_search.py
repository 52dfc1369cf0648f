"""A search that trains: what TensorBoard's tabs show of it, while it runs and after."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tab import Tab, wait

from kt_suite.storage import Storage
from kt_suite.trial import TrialRecord
from kt_suite_tensorboard.figures import VIEWS
from tests.browser.cnn_search import FAILED, NUM_TRIALS, OWN_RUNS, PRUNED

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("cnn_search.py")
MINUTES_TO_TRAIN = 20  # on a busy machine

pytestmark = pytest.mark.slow


@dataclass
class RealSearch:
    """A search in a process of its own, and a TensorBoard that watches it."""

    directory: Path
    process: subprocess.Popen[bytes]
    address: str

    def trials(self) -> list[TrialRecord]:
        with contextlib.closing(Storage.open(self.directory / "digits", read_only=True)) as storage:
            return storage.trials()

    def results(self) -> list[dict[str, Any]]:
        """Returns the rows of ``tuner.results()``, once the search is over."""
        assert self.process.wait(timeout=60 * MINUTES_TO_TRAIN) == 0, (self.directory / "log").read_text()
        return list(json.loads((self.directory / "results.json").read_text()))

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}data/{path}", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def groups(self) -> list[dict[str, Any]]:
        """Returns the rows of the HParams tab."""
        statuses = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
        request = {"startIndex": 0, "sliceSize": 100, "allowedStatuses": statuses, "colParams": []}
        return list(self.ask("plugin/hparams/session_groups", request).get("sessionGroups", []))


@pytest.fixture(scope="module")
def search(serve: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSearch]:
    directory = tmp_path_factory.mktemp("real")
    logdir = directory / "logs"
    logdir.mkdir()
    address = serve(logdir)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (directory / "log").open("w") as output:
        command = [sys.executable, str(SCRIPT), str(directory), str(logdir)]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    yield RealSearch(directory, process, address)
    process.kill()
    process.wait()


def test_the_page_grows_with_the_search_until_it_is_over(search: RealSearch, browser: Any) -> None:
    wait(lambda: (search.directory / "digits" / "search.db").is_file(), "the search")
    tab = Tab(browser, search.address)
    tab.wait_for("tr[data-trial]")
    tab.draw("history")
    seen = {tab.num_trials()}
    while search.process.poll() is None:
        wait(lambda: tab.num_trials() not in seen or search.process.poll() is not None, "another trial")
        seen.add(tab.num_trials())
    assert search.process.returncode == 0, (search.directory / "log").read_text()
    assert len(seen) > 3  # it grew several times before the search ended
    wait(lambda: tab.num_trials() == NUM_TRIALS and "running" not in tab.text(".summary")[0], "the last trial")
    shown = "return document.querySelector('.history .figure').data.flatMap((trace) => trace.customdata ?? []).length"
    wait(lambda: tab.script(shown) == NUM_TRIALS, "all trials in the history")
    assert tab.problems() == []


def test_the_hparams_tab_holds_every_trial_with_its_values_and_the_score_that_ranks_it(search: RealSearch) -> None:
    rows = {row["trial_id"]: row for row in search.results()}
    trials = {trial.trial_id: trial for trial in search.trials()}
    wait(lambda: sum(bool(group["sessions"]) for group in search.groups()) == NUM_TRIALS, "all rows")
    wait(lambda: sum("objective" in metrics(group) for group in search.groups()) >= 15, "the results")
    shown = {group["name"].split(" ")[0]: group for group in search.groups()}
    assert set(shown) == set(rows)
    for trial_id, group in shown.items():
        assert group["hparams"] == pytest.approx(trials[trial_id].used_values)
        if rows[trial_id]["status"] == "COMPLETED":
            assert metrics(group)["objective"] == pytest.approx(rows[trial_id]["score"], abs=1e-6)
        else:
            assert "objective" not in metrics(group)
    assert "momentum" not in shown["0000"]["hparams"]  # trained with Adam
    statuses = {trial_id: group["sessions"][0]["status"] for trial_id, group in shown.items()}
    assert {int(id) for id, status in statuses.items() if status == "STATUS_FAILURE"} == set(FAILED)
    assert {int(id) for id, status in statuses.items() if status == "STATUS_UNKNOWN"} == set(PRUNED)


def metrics(group: dict[str, Any]) -> dict[str, float]:
    return {metric["name"]["tag"]: metric["value"] for metric in group.get("metricValues", [])}


def test_a_callback_of_the_user_logs_each_trial_apart(search: RealSearch) -> None:
    trained = [trial.trial_id for trial in search.trials() if int(trial.trial_id) not in FAILED]
    search.results()
    wait(lambda: len(own_runs(search, "histograms/tags")) == len(trained), "the histograms")
    assert own_runs(search, "histograms/tags") == {f"{OWN_RUNS}/{id}/execution0/train" for id in trained}
    scalars = {f"{OWN_RUNS}/{id}/execution0/{part}" for id in trained for part in ("train", "validation")}
    assert own_runs(search, "scalars/tags") >= scalars


def own_runs(search: RealSearch, route: str) -> set[str]:
    return {run for run in search.ask(f"plugin/{route}") if run.startswith(OWN_RUNS)}


def test_every_view_is_drawn_with_the_numbers_of_storage(search: RealSearch, browser: Any) -> None:
    search.results()
    trials = {trial.trial_id: trial for trial in search.trials()}
    completed = {trial.trial_id: trial.score for trial in trials.values() if trial.status == "COMPLETED"}
    assert {int(id) for id, trial in trials.items() if trial.status == "FAILED"} == set(FAILED)
    assert {int(id) for id, trial in trials.items() if trial.status == "PRUNED"} == set(PRUNED)
    tab = Tab(browser, search.address)
    tab.wait_for("tr[data-trial]")
    tab.show_rows(100)
    assert tab.column("score") == {id: trial.score for id, trial in trials.items() if trial.score is not None}
    for name in ("learning_rate", "filters", "momentum"):
        expected = {id: trial.used_values[name] for id, trial in trials.items() if name in trial.used_values}
        assert tab.column(f"value {name}") == expected
    for name in VIEWS:
        note = tab.draw(name)
        assert name == "rungs" or "needed" not in note
    figure = "return document.querySelector(arguments[0]).data"
    history = tab.script(figure, ".history .figure")
    scores = dict(zip(history[0]["customdata"], history[0]["y"], strict=True))
    assert scores == completed
    pruned = next(trace for trace in tab.script(figure, ".curves .figure") if trace["name"] == "pruned")
    assert {id for id in pruned["customdata"] if id} == {f"{number:04d}" for number in PRUNED}
    assert max(epoch for epoch in pruned["x"] if epoch) == 2  # cut where they were pruned: three were planned
    facts = dict(zip(tab.text(".facts dt"), tab.text(".facts dd"), strict=True))
    assert facts["seed"] == "3"
    assert {"versions", "max trials", "executor", "devices"} <= set(facts)
    best = max(completed, key=lambda id: completed[id])
    tab.click(f'tr[data-trial="{best}"]')
    for name in set(VIEWS) - {"importance", "rungs"}:
        tab.draw(name)
        tab.wait_for(f'[data-view="{name}"][data-marked="{best}"]')
    assert tab.problems() == []
