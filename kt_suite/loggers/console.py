"""Progress of a search on a console."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import rich.console
from rich.live import Live
from rich.text import Text

from kt_suite.errors import InputError, rule
from kt_suite.loggers.base import Logger, SearchInfo
from kt_suite.loggers.lines import end_lines, epoch_line, start_lines, trial_line
from kt_suite.loggers.live_view import LiveView
from kt_suite.loggers.progress import SearchProgress
from kt_suite.trial import Report, TrialRecord

_REFRESHES_PER_SECOND = 4

_Method = TypeVar("_Method", bound=Callable[..., None])


def _leaves_no_display_behind(method: _Method) -> _Method:
    """Takes the live display down when a method fails, as its logger is not called again then."""

    @functools.wraps(method)
    def call(self: Console, *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except BaseException:
            self.close()
            raise

    return call  # type: ignore[return-value]


class Console(Logger):
    """Shows a search: a live display on a terminal; lines in a log file or a notebook.

    The lines are a few at the start and at the end, and one for each trial that ends. What others print
    meanwhile appears above the live display. The cursor stays visible, so that even a killed search leaves
    the terminal usable.

    Args:
        verbose: 0 for silence, 1 or ``"auto"`` for progress, 2 for a line each epoch as well.
        console: Where to write; ``None`` for standard output.

    Raises:
        InputError: If ``verbose`` is something else.

    Example:
        >>> from kt_suite.loggers import SearchInfo
        >>> logger = Console(verbose=1)
        >>> logger.on_search_begin(SearchInfo("digits", "5eed", "projects/digits", "val_loss", "min", max_trials=3))
        Search digits: min val_loss, 3 trials at most
          oracle     unknown; 0 hyperparameters
          executor   unknown
          directory  projects/digits
    """

    def __init__(self, verbose: int | str = 1, console: rich.console.Console | None = None) -> None:
        if verbose not in (0, 1, 2, "auto"):
            raise InputError(rule("verbose", 'be 0, 1, 2 or "auto"', verbose))
        self.verbose = 1 if verbose == "auto" else int(verbose)
        # Notebooks get lines too: rich would draw each as a block of HTML.
        self._console = console or rich.console.Console(force_jupyter=False)
        self._lock = threading.RLock()
        self._live: Live | None = None

    @_leaves_no_display_behind
    def on_search_begin(self, info: SearchInfo) -> None:
        """Says what runs and where."""
        self._progress = SearchProgress(info)
        self._print(*start_lines(self._progress))

    @_leaves_no_display_behind
    def on_trial_begin(self, trial: TrialRecord) -> None:
        """Shows the attempt; with the first, the live display begins."""
        with self._lock:
            self._progress.begin_trial(trial)
        if self._live is None and self.verbose and _is_live(self._console):
            self._live = Live(
                LiveView(self._progress, self._lock),
                console=self._console,
                refresh_per_second=_REFRESHES_PER_SECOND,
                transient=True,
            )
            self._live.start()
            self._console.show_cursor(True)

    @_leaves_no_display_behind
    def on_report(self, trial: TrialRecord, report: Report) -> None:
        """Shows the epoch."""
        with self._lock:
            self._progress.report(trial, report)
        if self.verbose > 1:
            self._print(epoch_line(self._progress.info, trial, report))

    @_leaves_no_display_behind
    def on_trial_end(self, trial: TrialRecord, will_retry: bool = False) -> None:
        """Shows how the attempt ended."""
        with self._lock:
            self._progress.end_trial(trial, will_retry=will_retry)
        if self._live is None:
            self._print(trial_line(self._progress, trial, will_retry=will_retry))

    @_leaves_no_display_behind
    def on_rescored(self, trials: list[TrialRecord]) -> None:
        """Takes note of other scores."""
        with self._lock:
            self._progress.rescore(trials)

    @_leaves_no_display_behind
    def on_note(self, text: str) -> None:
        """Shows the line."""
        self._print(text)

    @_leaves_no_display_behind
    def on_search_end(self, reason: str) -> None:
        """Takes the live display down and says what came out."""
        self.close()
        self._print(*end_lines(self._progress, reason))

    def close(self) -> None:
        """Takes the live display down, if there is one; again does no harm."""
        live, self._live = self._live, None
        if live is not None:
            sys.stdout.flush()  # a line that someone has begun and not ended
            sys.stderr.flush()
            live.stop()

    def _print(self, *lines: str) -> None:
        if self.verbose:
            encoding = self._console.encoding
            for line in lines:
                text = line.encode(encoding, "backslashreplace").decode(encoding)
                self._console.print(Text(text), soft_wrap=True)


def _is_live(console: rich.console.Console) -> bool:
    """Whether a picture can be drawn over and over: colours forced into a file do not make it a terminal."""
    is_terminal: bool = console.is_interactive and not console.is_dumb_terminal and console.file.isatty()
    return is_terminal and not console.options.ascii_only
