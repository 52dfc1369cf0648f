"""What a search says, line by line: plain text for log files and notebooks."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from kt_suite.leaderboard import duration, number
from kt_suite.loggers.base import SearchInfo
from kt_suite.loggers.progress import SearchProgress
from kt_suite.trial import Report, TrialRecord, TrialStatus

_MAX_VALUE = 32
_MAX_LINE = 160
_MAX_FAILURES = 3
_STATUS_WORDS = {TrialStatus.INVALID: "failed", TrialStatus.IDLE: "interrupted"}


def printable(text: object) -> str:
    r"""Returns a text in one line without control characters, so that no name or value can steer a terminal.

    Example:
        >>> printable("\x1b[31m")
        '\\x1b[31m'
    """
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(text))


def cut(text: str, width: int) -> str:
    """Returns a text of at most ``width`` characters, with ``…`` where something is missing."""
    return text if len(text) <= width else text[: width - 1] + "…"


def values_line(values: Mapping[str, Any]) -> str:
    """Returns values as ``name=value`` pairs, long ones cut."""
    return "  ".join(f"{cut(printable(name), _MAX_VALUE)}={_value_text(value)}" for name, value in values.items())


def reason_line(trial: TrialRecord) -> str:
    """Returns the last line of why a trial failed: that of a traceback names the error."""
    lines = [line for line in (trial.message or "").splitlines() if line.strip()]
    return printable(lines[-1].strip()) if lines else "no reason known"


def score_text(trial: TrialRecord) -> str:
    """Returns the score of a trial, with its standard error over folds or runs."""
    if trial.score is None:
        return ""
    error = trial.standard_error
    return number(trial.score) + ("" if error is None else f" ± {number(error)}")


def status_text(trial: TrialRecord) -> str:
    """Returns how a trial ended, in a word."""
    return _STATUS_WORDS.get(trial.status, trial.status.lower())


def start_lines(progress: SearchProgress) -> list[str]:
    """Returns what runs, where, and what is kept of an earlier part of the search."""
    info, facts = progress.info, progress.info.facts
    trials = "trials" if progress.num_trials is None else f"{progress.num_trials} trials at most"
    runs = f", {info.runs_per_trial} runs each" if info.runs_per_trial > 1 else ""
    epochs = f", {info.epochs} epochs a run" if info.epochs is not None else ""
    size = facts.get("space_size")
    points = f", {size} points" if size is not None else ""
    seed = f", seed {facts['seed']}" if facts.get("seed") is not None else ""
    space = f"{_count(len(info.space), 'hyperparameter')}{points}"
    lines = [
        f"Search {info.name}: {info.direction} {info.objective}, {trials}{runs}{epochs}",
        f"  oracle     {facts.get('oracle', 'unknown')}{seed}; {space}",
        f"  executor   {facts.get('executor_reason') or facts.get('executor', 'unknown')}",
        f"  directory  {info.directory}",
        *(f"  note       {note}" for note in facts.get("notes", [])),
    ]
    if info.trials:
        verb = "starts" if progress.num_interrupted == 1 else "start"
        again = f", {_count(progress.num_interrupted, 'interrupted trial')} {verb} again"
        kept = f"{_count(progress.num_kept, 'trial')} kept"
        lines.append(f"  resumed    {kept}{again if progress.num_interrupted else ''}")
    return list(map(printable, lines))


def trial_line(progress: SearchProgress, trial: TrialRecord, *, will_retry: bool) -> str:
    """Returns how an attempt ended."""
    total = "" if progress.num_trials is None else f"/{progress.num_trials}"
    parts = [f"[{len(progress.finished)}{total}] trial {printable(trial.trial_id)} {status_text(trial)}"]
    if trial.status == TrialStatus.COMPLETED:
        is_best = progress.best is not None and progress.best.trial_id == trial.trial_id
        parts.append(f"{printable(progress.info.objective)}={score_text(trial)}{' (best)' * is_best}")
    elif trial.message:
        parts.append(cut(reason_line(trial), _MAX_LINE))
    if will_retry:
        parts.append("starts again")
    if trial.seconds is not None:
        parts.append(duration(trial.seconds))
    return "  ".join([*parts, cut(values_line(trial.values), _MAX_LINE)]).rstrip()


def epoch_line(info: SearchInfo, trial: TrialRecord, report: Report) -> str:
    """Returns the metrics of an epoch."""
    place = epoch_text(info, trial, report.run, report.epoch)
    return f"  trial {printable(trial.trial_id)}  {place}  {values_line(report.metrics)}"


def epoch_text(info: SearchInfo, trial: TrialRecord, run: int, epoch: int) -> str:
    """Returns where an attempt is, such as ``run 2/3 epoch 4/10``."""
    epochs = info.epochs if trial.budget is None else trial.budget
    place = f"epoch {epoch + 1}" + ("" if epochs is None else f"/{epochs}")
    return f"run {run + 1}/{info.runs_per_trial} {place}" if info.runs_per_trial > 1 else place


def end_lines(progress: SearchProgress, reason: str) -> list[str]:
    """Returns why the search ended, what came out, and where to look."""
    info, best, failures = progress.info, progress.best, progress.failures
    counts = ", ".join(f"{count} {status.lower()}" for status, count in progress.counts.items())
    lines = [f"Search {info.name} ended: {reason} ({counts or 'no trial ended'}; {duration(progress.seconds)})"]
    if best is not None:
        score = f"{info.objective}={score_text(best)}"
        lines.append(f"  best       trial {best.trial_id}: {score}  {values_line(best.values)}")
    for trial in failures[-_MAX_FAILURES:]:
        lines.append(f"  failed     trial {trial.trial_id}: {cut(reason_line(trial), _MAX_LINE)}")
    if len(failures) > _MAX_FAILURES:
        lines.append(f"  failed     and {len(failures) - _MAX_FAILURES} before")
    lines.append(f"  directory  {info.directory}")
    if info.tensorboard is not None:
        lines.append(f"  look       tensorboard --logdir {shlex.quote(info.tensorboard)}")
    return list(map(printable, lines))


def _value_text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else cut(printable(value), _MAX_VALUE)


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
