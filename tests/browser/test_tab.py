"""The tab in a real TensorBoard and a real browser."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tab import Tab, computed, wait

from kt_suite.loggers.base import SearchInfo
from kt_suite.loggers.tensorboard import rebuild
from kt_suite.report import write_report
from kt_suite.storage import FILE_NAME, Storage
from kt_suite_tensorboard.figures import VIEWS
from tests.unit.tensorboard_plugin.made_search import SPACE, append, log, made_trials, running, store

NASTY = "a \"b\"/<script>document.title='hit'</script> <b>ü</b> & '%{x}'"


def stored(project: Path) -> list[Any]:
    with contextlib.closing(Storage.open(project, read_only=True)) as storage:
        return storage.trials()


def write_log(project: Path, logdir: Path) -> None:
    """Writes the log of a stored search as kt_suite does."""
    with contextlib.closing(Storage.open(project, read_only=True)) as storage:
        facts = storage.facts
        info = SearchInfo(
            facts["name"],
            facts["search_id"],
            str(project),
            facts["objective"],
            facts["direction"],
            space=facts["space"],
            trials=storage.trials(),
        )
        rebuild(info, storage.reports, logdir)


def test_every_view_is_drawn_and_marks_the_trial_that_is_clicked(serve: Any, browser: Any, tmp_path: Path) -> None:
    project, logdir = tmp_path / "digits", tmp_path / "logs"
    trials = made_trials(20, with_rungs=True)
    trials[12].parent = "0000"
    store(project, trials)
    write_log(project, logdir)
    tab = Tab(browser, serve(logdir))
    tab.wait_for("tr[data-trial]")
    tab.show_rows(25)
    best = max((t for t in stored(project) if t.status == "COMPLETED"), key=lambda trial: trial.score)
    first = tab.script("return document.querySelector('tr[data-trial] [data-column=score]').dataset.value")
    assert float(first) == best.score
    rows = tab.script("return [...document.querySelectorAll('tr[data-trial]')].map((row) => row.dataset.trial)")
    assert sorted(rows) == [trial.trial_id for trial in trials]
    for name in VIEWS:
        assert "needed" not in tab.draw(name)
        tab.script("document.querySelector(arguments[0]).scrollIntoView()", f'[data-view="{name}"]')
        tab.picture(f"view_{name}")
    tab.click(f'tr[data-trial="{best.trial_id}"]')
    for name in VIEWS:
        if name == "importance":
            continue
        tab.draw(name)
        tab.wait_for(f'[data-view="{name}"][data-marked="{best.trial_id}"]')
    tab.script("scrollTo(0, 0)")
    tab.picture("top_marked")
    assert tab.problems() == []


@pytest.mark.slow
def test_a_box_over_an_axis_leaves_the_trials_that_pass_there(serve: Any, browser: Any, tmp_path: Path) -> None:
    project, logdir = tmp_path / "digits", tmp_path / "logs"
    store(project, made_trials(20))
    log(project, logdir)
    tab = Tab(browser, serve(logdir))
    tab.wait_for("tr[data-trial]")
    tab.draw("parallel")
    # The optimizer is the first axis; adam is the lower half of it.
    select = """
        const box = {type: "rect", x0: -0.2, x1: 0.2, y0: 0, y1: 0.5, xref: "x", yref: "y"};
        Plotly.relayout(document.querySelector(".parallel .figure"), {selections: [box]})"""
    tab.script(select)
    kept = """
        return document.querySelector(".parallel .figure").data.filter((one) => one.hoverinfo !== "skip")
            .flatMap((one) => one.customdata)"""
    adam = {t.trial_id for t in stored(project) if t.status == "COMPLETED" and t.values["optimizer"] == "adam"}
    wait(lambda: set(tab.script(kept)) - {None} == adam, "the trials with Adam")
    tab.picture("brushed")
    tab.script("Plotly.relayout(document.querySelector('.parallel .figure'), {selections: []})")
    wait(lambda: len(set(tab.script(kept)) - {None}) == 16, "all trials")
    assert tab.problems() == []


@pytest.mark.slow
def test_the_keyboard_marks_sorts_and_turns_pages(serve: Any, browser: Any, tmp_path: Path) -> None:
    store(tmp_path / "digits", made_trials(20))
    log(tmp_path / "digits", tmp_path / "logs")
    tab = Tab(browser, serve(tmp_path / "logs"))
    tab.wait_for("tr[data-trial]")

    def press(selector: str, key: str = "\ue007") -> None:  # Enter
        browser.find_element("css selector", selector).send_keys(key)

    press('tr[data-trial="0000"]')
    tab.wait_for('tr[data-trial="0000"][aria-selected="true"]')
    press('tr[data-trial="0000"]', " ")
    tab.wait_for('tr[data-trial="0000"][aria-selected="false"]')
    press('[data-key="sort value learning_rate"]')
    rates = list(tab.column("value learning_rate").values())
    assert rates == sorted(rates)
    press('[data-key="Next"]')
    assert tab.script("return document.activeElement.dataset.key") == "Next"  # it keeps the focus
    assert min(tab.column("value learning_rate").values()) > max(rates)


@pytest.mark.slow
def test_the_page_follows_a_search_without_a_reload(serve: Any, browser: Any, tmp_path: Path) -> None:
    project, logdir = tmp_path / "live", tmp_path / "logs"
    trials = made_trials(12)
    store(project, trials[:8])
    log(project, logdir)
    tab = Tab(browser, serve(logdir))
    tab.wait_for("tr[data-trial]")
    tab.draw("history")
    for one in (running(trials[8]), trials[8]):
        with contextlib.closing(sqlite3.connect(project / FILE_NAME)) as connection, connection:
            append(connection, [one])
        status = one.status.lower()
        wait(lambda: status in "".join(tab.text('tr[data-trial="0008"] [data-column=status]')), status)  # noqa: B023
    points = "return document.querySelector('.history .figure').data[0].customdata.includes('0008')"
    wait(lambda: tab.script(points), "the new trial in the history")
    assert tab.problems() == []


@pytest.mark.slow
def test_names_are_shown_as_text(serve: Any, browser: Any, tmp_path: Path) -> None:
    project, logdir = tmp_path / "p", tmp_path / "logs"
    entry = {"class_name": "Choice", "config": {"name": NASTY, "values": [NASTY, "plain"], "conditions": []}}
    trials = made_trials(20)
    for trial in trials:
        trial.values = {NASTY: [NASTY, "plain"][trial.number % 2], **trial.values}
        trial.used = None
    store(project, trials, space=[entry, *SPACE], name=NASTY)
    log(project, logdir)
    tab = Tab(browser, serve(logdir))
    tab.wait_for("tr[data-trial]")
    assert any(text.startswith(NASTY) for text in tab.text("th"))
    assert NASTY in tab.text("dd")
    for name in VIEWS:
        tab.draw(name)
    tab.picture("nasty")
    shown = "".join(tab.text(".slice .xtick text, .slice .xtitle, .parallel .xtick text, .parallel .annotation-text"))
    assert "<script>" in shown
    assert "&lt;" not in shown
    assert tab.script("return document.title") != "hit"
    assert tab.script("return document.querySelectorAll('body script, main b').length") == 0
    assert tab.problems() == []


@pytest.mark.slow
def test_searches_stay_apart_and_can_be_compared(serve: Any, browser: Any, tmp_path: Path) -> None:
    logdir = tmp_path / "logs"
    store(tmp_path / "one", made_trials(12))
    space = [{"class_name": "Boolean", "config": {"name": "use bias", "default": False, "conditions": []}}]
    store(tmp_path / "two", made_trials(6, seed=1), space=space)
    store(tmp_path / "broken", made_trials(2))
    for name in ("one", "two", "broken"):
        log(tmp_path / name, logdir)
    (tmp_path / "broken" / FILE_NAME).write_bytes(b"torn")
    tab = Tab(browser, serve(logdir))
    tab.wait_for("tr[data-trial]")
    options = tab.text("header select option")
    assert len(options) == 3
    assert "not readable" in options[0]
    assert tab.num_trials() == 12
    tab.draw("history")
    tab.click(".overlay input")
    wait(lambda: "best of two" in "".join(tab.text(".history .legendtext")), "the other search")
    tab.picture("overlay")
    keys = {option.split("-")[0]: option.split(" ")[0] for option in options}
    tab.choose("header select", keys["two"])
    wait(lambda: tab.num_trials() == 6, "the second search")
    assert "learning_rate" not in "".join(tab.text("th"))
    tab.choose("header select", keys["broken"])
    wait(lambda: "not an intact" in "".join(tab.text(".problem")), "what is wrong")
    tab.picture("broken")
    assert tab.problems() == []


@pytest.mark.slow
def test_without_plotly_or_a_search_tensorboard_still_serves(serve: Any, browser: Any, tmp_path: Path) -> None:
    store(tmp_path / "one", made_trials(12))
    write_log(tmp_path / "one", tmp_path / "logs")
    (tmp_path / "logs" / "none").mkdir()
    address = serve(tmp_path / "logs", without="plotly")
    tab = Tab(browser, address)
    tab.wait_for("tr[data-trial]")
    wait(lambda: "Plotly is not installed" in "".join(tab.text(".views .problem")), "what is missing")
    (tmp_path / "one" / FILE_NAME).unlink()
    wait(lambda: "There is no" in "".join(tab.text(".problem")), "what is missing")
    (tmp_path / "one" / FILE_NAME).write_bytes(b"torn")
    wait(lambda: "not an intact" in "".join(tab.text(".problem")), "what is wrong")
    plugins = ask(address, "plugins_listing")
    assert plugins["hparams"]["enabled"]
    assert plugins["kt_suite"]["enabled"]
    # The other tabs go on, from the logs.
    assert len(ask(address, "plugin/hparams/experiment", {})["hparamInfos"]) == len(SPACE)
    assert any(run.endswith("trial_0000") for run in ask(address, "plugin/scalars/tags"))
    assert tab.problems() == []


def ask(address: str, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}data/{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


@pytest.mark.slow
@pytest.mark.parametrize("num_trials", [1000, 5000])
def test_many_trials_are_shown_soon(serve: Any, browser: Any, tmp_path: Path, num_trials: int) -> None:
    store(tmp_path / "many", made_trials(num_trials))
    log(tmp_path / "many", tmp_path / "logs")
    address = serve(tmp_path / "logs")
    before = computed(browser)  # by its own start
    tab = Tab(browser, address)
    tab.wait_for("tr[data-trial]")
    # Since TensorBoard opened the tab; the seconds of the processors say how much of it a busy machine added.
    report = "  {}: {:.1f} s, of which the browser computed {:.1f} s"
    print(f"\n{num_trials} trials, usable after")
    print(report.format("leaderboard", tab.script("return performance.now() / 1000"), computed(browser) - before))
    tab.draw("history")
    print(report.format("history", tab.script("return performance.now() / 1000"), computed(browser) - before))
    num_scored = sum(trial.status == "COMPLETED" for trial in made_trials(num_trials))
    for name in VIEWS:
        begin, so_far = time.monotonic(), computed(browser)
        note = tab.draw(name)
        print(report.format(f"then {name}", time.monotonic() - begin, computed(browser) - so_far), note)
        tab.picture(f"many_{num_trials}_{name}")
        points = "return (document.querySelector(arguments[0]).data ?? []).flatMap((one) => one.customdata ?? [])"
        shown = len(set(tab.script(points, f".{name} .figure")) - {None})
        expected = {"history": num_trials, "parallel": num_scored, "timeline": num_trials, "rungs": 0, "importance": 0}
        assert shown == expected.get(name, shown)
        assert shown > 0 or name in ("rungs", "importance")
    assert tab.problems() == []


@pytest.mark.slow
@pytest.mark.parametrize(("width", "is_dark"), [(390, False), (1280, True)])
def test_the_report_opens_offline_at_any_width(browser: Any, tmp_path: Path, width: int, is_dark: bool) -> None:
    store(tmp_path / "digits", made_trials(20, with_rungs=True))
    path = write_report(tmp_path / "digits", tmp_path / "report.html")
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(path.as_uri())
    tab = Tab(browser)
    tab.wait_for("tr[data-trial]")
    assert tab.script("return document.documentElement.scrollWidth <= innerWidth")
    tab.picture(f"report_{width}")
    for name in VIEWS:
        tab.draw(name)
        tab.picture(f"report_{width}_{name}")
    tab.click('tr[data-trial="0000"]')
    tab.draw("history")
    tab.wait_for('.history[data-marked="0000"]')
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
