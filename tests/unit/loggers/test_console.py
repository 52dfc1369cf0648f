from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import rich.console

from kt_suite.errors import InputError
from kt_suite.loggers import SearchInfo
from kt_suite.loggers.console import Console
from kt_suite.loggers.lines import printable
from kt_suite.loggers.live_view import LiveView
from kt_suite.loggers.progress import SearchProgress
from kt_suite.trial import Report, RunRecord, TrialStatus
from tests.unit.loggers.fake_search import entry, make_info, make_reports, make_trial, play, play_trial

ROOT = Path(__file__).resolve().parents[3]
FACTS = {"oracle": "RandomSearchOracle", "seed": 3, "executor_reason": "inline: as asked", "space_size": 96}
NASTY = "[red]a[/red] \x1b[31m\n[/bold"
SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def make_console(file: io.StringIO, **options: Any) -> rich.console.Console:
    is_terminal = file.isatty()
    fields: dict[str, Any] = {"width": 100, "height": 24, "force_terminal": is_terminal, "color_system": None}
    return rich.console.Console(file=file, **{**fields, **options}, _environ={"TERM": "xterm"})


def lines_of(*trials: Any, verbose: int | str = 1, **changes: Any) -> list[str]:
    """Returns what a search prints into a log file."""
    file = io.StringIO()
    play(Console(verbose, make_console(file)), make_info(facts=FACTS, **changes), trials)
    return file.getvalue().splitlines()


def picture(progress: SearchProgress, **options: Any) -> list[str]:
    file = io.StringIO()
    make_console(file, **options).print(LiveView(progress, threading.Lock()))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def failed(number: int, message: str = "Traceback\nValueError: no\n") -> Any:
    return make_trial(number, status=TrialStatus.FAILED, score=None, message=message)


def test_the_start_says_what_runs_and_where() -> None:
    assert lines_of(runs_per_trial=3)[:4] == [
        "Search digits: max val_accuracy, 10 trials at most, 3 runs each, 3 epochs a run",
        "  oracle     RandomSearchOracle, seed 3; 6 hyperparameters, 96 points",
        "  executor   inline: as asked",
        "  directory  projects/digits",
    ]


def test_a_resumed_search_says_what_it_keeps() -> None:
    interrupted = make_trial(2, status=TrialStatus.IDLE, score=None)
    text = "\n".join(lines_of(trials=[make_trial(0), make_trial(1), interrupted]))
    assert "  resumed    2 trials kept, 1 interrupted trial starts again\n" in text
    assert "  resumed    1 trial kept\n" in "\n".join(lines_of(trials=[make_trial(0)]))
    assert "resumed" not in "\n".join(lines_of())


def test_notes_of_the_oracle_are_shown() -> None:
    file = io.StringIO()
    play(Console(1, make_console(file)), make_info(facts={"notes": ["ten points of x"]}), [])
    assert "  note       ten points of x\n" in file.getvalue()


def test_a_log_file_gets_one_line_a_trial() -> None:
    lines = [line for line in lines_of(make_trial(0), make_trial(1), failed(2)) if line.startswith("[")]
    assert lines == [
        "[1/10] trial 0000 completed  val_accuracy=0.9000 (best)  10.0s"
        "  learning_rate=0.0001  units=8  optimizer=adam  augment=True  epsilon=1e-07",
        "[2/10] trial 0001 completed  val_accuracy=0.9010 (best)  10.0s"
        "  learning_rate=0.0002  units=16  optimizer=sgd  momentum=0.9  augment=False  epsilon=1e-07",
        "[3/10] trial 0002 failed  ValueError: no  10.0s"
        "  learning_rate=0.0004  units=24  optimizer=adam  augment=False  epsilon=1e-07",
    ]


def test_more_detail_is_a_line_an_epoch() -> None:
    epochs = [line for line in lines_of(make_trial(0), verbose=2) if "epoch " in line]
    assert len(epochs) == 3
    assert epochs[0].startswith("  trial 0000  epoch 1/3  loss=1  accuracy=0.88")


def test_the_spread_over_runs_is_shown() -> None:
    runs = [RunRecord(0, 1, 0.89), RunRecord(1, 2, 0.91)]
    assert "val_accuracy=0.9000 ± 0.0100 (best)" in "\n".join(lines_of(make_trial(0, runs=runs)))


def test_a_retried_attempt_is_not_counted() -> None:
    file = io.StringIO()
    logger = Console(1, make_console(file))
    logger.on_search_begin(make_info())
    play_trial(logger, make_trial(0, status=TrialStatus.INVALID, score=None, message="E: no"), [], will_retry=True)
    play_trial(logger, make_trial(0, attempt=2), [])
    logger.on_search_end("done")
    assert "[0/10] trial 0000 failed  E: no  starts again" in file.getvalue()
    assert "[1/10] trial 0000 completed" in file.getvalue()


def test_the_end_says_what_came_out_and_where_to_look() -> None:
    lines = lines_of(make_trial(0), failed(1), make_trial(2), tensorboard="my logs")
    assert re.fullmatch(r"Search digits ended: all trials done \(2 completed, 1 failed; \d+\.\ds\)", lines[-5])
    assert lines[-4].startswith("  best       trial 0002: val_accuracy=0.9020  learning_rate=0.0004  units=24")
    assert lines[-3:] == [
        "  failed     trial 0001: ValueError: no",
        "  directory  projects/digits",
        "  look       tensorboard --logdir 'my logs'",
    ]


def test_a_search_with_many_failures_shows_the_last() -> None:
    lines = [line for line in lines_of(*map(failed, range(5))) if line.startswith("  failed")]
    assert lines[0] == "  failed     trial 0002: ValueError: no"
    assert lines[-1] == "  failed     and 2 before"


def test_a_search_without_a_completed_trial_ends_without_a_best() -> None:
    lines = lines_of()
    assert "ended: all trials done (no trial ended;" in lines[-2]
    assert not any("best" in line for line in lines)


def test_silence_is_silent() -> None:
    assert lines_of(make_trial(0), failed(1), verbose=0) == []


def test_auto_is_one_line_a_trial() -> None:
    assert len(lines_of(make_trial(0), verbose="auto")) == len(lines_of(make_trial(0)))


@pytest.mark.parametrize("verbose", [3, -1, "loud", None])
def test_other_verbosities_are_refused(verbose: Any) -> None:
    with pytest.raises(InputError, match="verbose must be 0, 1, 2"):
        Console(verbose)


def test_names_and_values_are_shown_as_text() -> None:
    trial = make_trial(0, values={NASTY: NASTY}, trial_id=NASTY)
    wrong = failed(1, f"Traceback\n{NASTY.splitlines()[0]}")
    info = {
        "name": NASTY,
        "objective": NASTY,
        "directory": NASTY,
        "space": [entry("Choice", NASTY, values=[NASTY])],
    }
    text = "\n".join(lines_of(trial, wrong, **info, verbose=2))
    assert "\x1b" not in text
    assert "[red]a[/red] \\x1b[31m\\n[/bold" in text
    progress = SearchProgress(make_info(**{**info, "trials": [trial, wrong]}))
    progress.begin_trial(trial)
    progress.report(trial, Report(0, 0, {NASTY: 0.5}))
    drawn = "\n".join(picture(progress, width=300))
    assert drawn.count("[red]a[/red] \\x1b[31m\\n[/bold=0.5") == 1
    assert "\x1b" not in drawn
    assert "[red]a[/red] \\x1b[31m" in drawn


@pytest.mark.parametrize("char", ["\x00", "\x07", "\x1b", "\r", "\x9b", "\u202e", "\udcff"])
def test_characters_that_steer_a_terminal_are_spelt_out(char: str) -> None:
    assert printable(f"a{char}b").isprintable()
    assert printable("ä 大 ±") == "ä 大 ±"


def test_long_values_are_cut() -> None:
    (line,) = [
        line for line in lines_of(make_trial(0, values={"n": "x" * 1000, "m" * 1000: 1})) if "trial 0000" in line[:20]
    ]
    assert "n=" + "x" * 31 + "…" in line
    assert len(line) < 200


def test_long_names_that_begin_alike_are_all_shown() -> None:
    values = {"x" * 40 + "a": 1, "x" * 40 + "b": 2}
    (line,) = [line for line in lines_of(make_trial(0, values=values)) if "trial 0000" in line[:20]]
    assert line.endswith("=1  " + "x" * 31 + "…=2")


def test_a_log_file_of_another_encoding_gets_escapes() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = rich.console.Console(file=file, width=200, force_terminal=False)
    play(Console(1, console), make_info(), [make_trial(0, values={"größe": "大"})])
    file.seek(0)
    assert "gr\\xf6\\xdfe=\\u5927" in file.read()


def test_a_failed_trial_without_a_reason_is_shown() -> None:
    assert "trial 0000: no reason known" in "\n".join(lines_of(failed(0, "")))


def a_search_under_way(num_running: int = 2, num_failed: int = 1) -> SearchProgress:
    progress = SearchProgress(make_info(max_trials=50, runs_per_trial=2))
    for number in range(6):
        progress.end_trial(make_trial(number), will_retry=False)
    progress.end_trial(make_trial(6, status=TrialStatus.PRUNED, score=None), will_retry=False)
    for number in range(7, 7 + num_failed):
        progress.end_trial(failed(number), will_retry=False)
    for number in range(20, 20 + num_running):
        trial = make_trial(number, status=TrialStatus.RUNNING, score=None, ended=None)
        progress.begin_trial(trial)
        progress.report(trial, make_reports(trial)[1])
    return progress


def test_the_picture_shows_the_whole_search() -> None:
    lines = picture(a_search_under_way(), width=120)
    assert re.fullmatch(
        r"digits  [━╸╺ ]+  8/50 trials · 1 pruned · 1 failed · 0\.\ds · about \d+m \d\ds left", lines[0]
    )
    assert lines[1].startswith("best  0005  val_accuracy 0.9050  learning_rate=0.0032  units=48")
    assert re.match(r"0020  [━╸╺ ]+  run 1/2 epoch 2/3  val_accuracy=0.48  learning_rate=", lines[2])
    assert lines[3].startswith("0021")
    assert re.match(r"0007  failed  +10\.0s  +learning_rate=", lines[4])
    assert re.match(r"0006  pruned  +10\.0s  +learning_rate=", lines[5])
    assert re.match(r"0005  completed  +10\.0s  +0\.9050  +learning_rate=", lines[6])
    assert lines[-2:] == ["0007 failed: ValueError: no", ""]


def test_the_picture_of_a_search_that_has_just_begun() -> None:
    progress = SearchProgress(make_info(max_trials=None, epochs=None))
    progress.begin_trial(make_trial(0, status=TrialStatus.RUNNING, score=None, ended=None, attempt=2))
    lines = picture(progress)
    assert "0 trials" in lines[0]
    assert lines[1] == "best  none yet"
    assert re.match(r"0000 retry 1  [━ ]+  starts", lines[2])


@pytest.mark.parametrize("height", [5, 8, 12, 24, 50])
@pytest.mark.parametrize(("num_running", "num_failed"), [(0, 0), (2, 1), (40, 20)])
def test_the_picture_fits_the_terminal(height: int, num_running: int, num_failed: int) -> None:
    progress = a_search_under_way(num_running, num_failed)
    for width in (20, 50, 80, 200):
        lines = picture(progress, width=width, height=height)
        assert len(lines) <= max(height, 6)
        assert all(len(line) <= width for line in lines)
    if num_running > 20:
        assert any("more" in line for line in picture(progress, height=height))


def test_a_terminal_gets_a_live_display_and_keeps_its_cursor() -> None:
    terminal = Terminal()
    play(Console(1, make_console(terminal)), make_info(facts=FACTS), [make_trial(0), failed(1)])
    text = terminal.getvalue()
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)
    assert text.count(HIDE_CURSOR) == 1
    assert "trial 0000 completed" not in text
    assert "Search digits ended: all trials done" in text.rpartition(SHOW_CURSOR)[2]


def test_the_cursor_is_visible_while_the_search_runs() -> None:
    terminal = Terminal()
    logger = Console(1, make_console(terminal))
    logger.on_search_begin(make_info())
    logger.on_trial_begin(make_trial(0))
    text = terminal.getvalue()
    logger.on_search_end("done")
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)


def test_what_others_print_is_kept_whole() -> None:
    terminal = Terminal()
    before = sys.stdout, sys.stderr
    logger = Console(1, make_console(terminal))
    logger.on_search_begin(make_info())
    logger.on_trial_begin(make_trial(0))
    print("[red]theirs[/red]\nand", end="")
    print("a warning", file=sys.stderr)
    logger.on_search_end("done")
    assert (sys.stdout, sys.stderr) == before
    for line in ("[red]theirs[/red]", "and", "a warning"):
        assert re.search(rf"^[^\n]*{re.escape(line)}[^\n]*$", terminal.getvalue(), re.MULTILINE)


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_error_inside_takes_the_display_down(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise error

    terminal, before = Terminal(), (sys.stdout, sys.stderr, threading.active_count())
    logger = Console(1, make_console(terminal))
    logger.on_search_begin(make_info())
    logger.on_trial_begin(make_trial(0))
    monkeypatch.setattr(SearchProgress, "report", fail)
    with pytest.raises(error):
        logger.on_report(make_trial(0), make_reports(make_trial(0))[0])
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and "Refresh" in type(thread).__name__:
            thread.join(timeout=10)
    assert (sys.stdout, sys.stderr, threading.active_count()) == before


def test_colours_forced_into_a_file_do_not_make_it_a_terminal() -> None:
    file = io.StringIO()
    play(Console(1, make_console(file, force_terminal=True)), make_info(), [make_trial(0)])
    assert "[1/10] trial 0000 completed" in file.getvalue()
    assert HIDE_CURSOR not in file.getvalue()


def test_a_dumb_terminal_gets_lines() -> None:
    terminal = Terminal()
    console = rich.console.Console(file=terminal, width=100, _environ={"TERM": "dumb"})
    play(Console(1, console), make_info(), [make_trial(0)])
    assert "[1/10] trial 0000 completed" in terminal.getvalue()


def test_records_are_not_changed() -> None:
    info, trial = make_info(trials=[make_trial(7)]), make_trial(0)
    reports = make_reports(trial)
    play(Console(2, make_console(Terminal())), info, [trial])
    assert info == make_info(trials=[make_trial(7)])
    assert (trial, make_reports(trial)) == (make_trial(0), reports)


_SCRIPT = """
import time
from kt_suite.loggers.console import Console
from tests.unit.loggers.fake_search import make_info, make_reports, make_trial
logger = Console()
logger.on_search_begin(make_info())
reason = "all trials done"
try:
    trial = make_trial(0)
    logger.on_trial_begin(trial)
    logger.on_report(trial, make_reports(trial)[0])
    time.sleep(60)
except KeyboardInterrupt:
    reason = "interrupted; run the same script again to resume"
finally:
    logger.on_search_end(reason)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo terminals")
def test_ctrl_c_leaves_a_real_terminal_as_it_was() -> None:
    import pty
    import termios

    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "24"}
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT], cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    shown = b""
    try:
        while b"epoch 1/3" not in shown:
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        while b"directory  projects/digits\r\n" not in shown.partition(b"interrupted")[2]:
            shown += os.read(ours, 4096)
        assert process.wait(timeout=30) == 0
        assert termios.tcgetattr(theirs) == before
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)
    text = shown.decode()
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)
    assert "Search digits ended: interrupted; run the same script again to resume" in text


def test_a_search_needs_no_facts() -> None:
    file = io.StringIO()
    play(Console(1, make_console(file)), SearchInfo("a", "b", "c", "loss", "min"), [])
    assert "Search a: min loss, trials\n" in file.getvalue()
