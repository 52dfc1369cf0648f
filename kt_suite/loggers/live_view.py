"""A search on a terminal: the picture that is drawn again and again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kt_suite.leaderboard import duration
from kt_suite.loggers.lines import (
    cut,
    epoch_text,
    printable,
    reason_line,
    score_text,
    status_text,
    values_line,
)
from kt_suite.loggers.progress import RunningTrial, SearchProgress
from kt_suite.trial import TrialRecord, TrialStatus

_MAX_LAST = 5
_MAX_FAILURES = 2
_MAX_NAME = 32
_BAR_WIDTH, _NARROW_BAR_WIDTH, _NARROW = 20, 9, 100
_STYLES = {TrialStatus.COMPLETED: "green", TrialStatus.FAILED: "red", TrialStatus.PRUNED: "yellow"}


class LiveView:
    """Draws a search: how far it is, the incumbent, the running trials, the last ones, and failures.

    The picture is never higher than the terminal. Names and values are drawn as text.

    Args:
        progress: What to draw.
        lock: Held while ``progress`` is read: rich draws from a thread of its own.
    """

    def __init__(self, progress: SearchProgress, lock: AbstractContextManager[object]) -> None:
        self._progress = progress
        self._lock = lock
        self._bar_width = _BAR_WIDTH

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        with self._lock:
            progress = self._progress
            self._bar_width = _BAR_WIDTH if options.max_width >= _NARROW else _NARROW_BAR_WIDTH
            # Of trials; the others are two heads, the number of those left out, and a few that stay free.
            rows = max(1, console.size.height - 6)
            num_running = min(len(progress.running), max(1, rows // 2))
            num_failures = min(len(progress.failures), _MAX_FAILURES, rows - num_running)
            num_last = min(len(progress.finished), _MAX_LAST, rows - num_running - num_failures)
            parts = [self._head(), self._incumbent(), self._trials(num_running, num_last)]
            # The cursor waits in an empty line, where a ^C that the terminal echoes does no harm.
            parts += [*self._failures(num_failures), Text()]
        yield from parts

    def _head(self) -> RenderableType:
        progress = self._progress
        num_finished, total = len(progress.finished), progress.num_trials
        counts = progress.counts
        notes = [f"{num_finished}{'' if total is None else f'/{total}'} trials"]
        notes += [f"{counts[status]} {status.lower()}" for status in ("PRUNED", "FAILED") if status in counts]
        notes.append(duration(progress.seconds))
        left = progress.seconds_left
        if left is not None:
            notes.append(f"about {round(left)}s left" if left < 60 else f"about {duration(left)} left")
        grid = Table.grid(padding=(0, 2, 0, 0))
        bar = ProgressBar(total, num_finished, width=self._bar_width)
        name = _line(cut(printable(progress.info.name), _MAX_NAME), "bold")
        grid.add_row(name, bar, _line(" · ".join(notes)))
        return grid

    def _incumbent(self) -> RenderableType:
        best = self._progress.best
        if best is None:
            return Text("best  none yet", style="dim")
        text = _line("best  ").append(_trial_name(best), style="green")
        text.append(f"  {printable(self._progress.info.objective)} ").append(score_text(best), style="green")
        return text.append(f"  {values_line(best.values)}")

    def _trials(self, num_running: int, num_last: int) -> RenderableType:
        """Returns the running trials, oldest first, and below them the last ones that ended, newest first."""
        progress = self._progress
        grid = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(4):
            grid.add_column(no_wrap=True)
        for item in list(progress.running.values())[:num_running]:
            total = progress.num_epochs(item.trial)
            bar = ProgressBar(total, item.num_epochs, width=self._bar_width)
            name, values = Text(_trial_name(item.trial), style="cyan"), values_line(item.trial.values)
            grid.add_row(name, bar, Text(self._place(item)), Text(self._metric(item)), _line(values, "dim"))
        if len(progress.running) > num_running:
            grid.add_row("", Text(f"and {len(progress.running) - num_running} more"))
        for trial in reversed(progress.finished[len(progress.finished) - num_last :]):
            grid.add_row(
                Text(_trial_name(trial)),
                Text(status_text(trial), style=_STYLES.get(trial.status, "")),
                Text("" if trial.seconds is None else duration(trial.seconds)),
                Text(score_text(trial)),
                _line(values_line(trial.values), "dim"),
            )
        return grid

    def _place(self, item: RunningTrial) -> str:
        if item.epoch < 0:
            return "starts"
        return epoch_text(self._progress.info, item.trial, item.run, item.epoch)

    def _metric(self, item: RunningTrial) -> str:
        """Returns the objective, or the loss where it is not among the metrics."""
        name = next((name for name in (self._progress.info.objective, "loss") if name in item.metrics), None)
        return "" if name is None else values_line({name: float(item.metrics[name])})

    def _failures(self, num_rows: int) -> list[RenderableType]:
        failures = self._progress.failures
        return [
            _line(f"{_trial_name(trial)} failed: {reason_line(trial)}", "red")
            for trial in failures[len(failures) - num_rows :]
        ]


def _trial_name(trial: TrialRecord) -> str:
    retry = f" retry {trial.attempt - 1}" if trial.attempt > 1 else ""
    return f"{printable(trial.trial_id)}{retry}"


def _line(text: str, style: str = "") -> Text:
    """Returns a text that is cut where the line ends."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
