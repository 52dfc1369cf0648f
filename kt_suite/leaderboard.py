"""The results of a search as a table: rows of plain data, and a rich table for a terminal.

Nothing here imports TensorFlow, so that a stored search is shown at once.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from kt_suite.trial import TrialRecord, TrialStatus

Row = dict[str, Any]


def ranked(records: Iterable[TrialRecord], direction: str) -> list[TrialRecord]:
    """Returns the trials, best first: completed ones by score, then pruned, running and failed ones."""
    sign = -1.0 if direction == "max" else 1.0
    order = (TrialStatus.COMPLETED, TrialStatus.PRUNED, TrialStatus.RUNNING, TrialStatus.IDLE)

    def key(record: TrialRecord) -> tuple[int, float, int]:
        status = order.index(record.status) if record.status in order else len(order)
        score = sign * record.score if record.status == TrialStatus.COMPLETED and record.score is not None else 0.0
        return status, score, record.number

    return sorted(records, key=key)


def rows(records: Iterable[TrialRecord], direction: str) -> list[Row]:
    """Returns one dict a trial, best first, of values that JSON can hold.

    Args:
        records: The trials.
        direction: ``"min"`` or ``"max"``.

    Returns:
        Dicts with the keys ``rank`` (from 1; ``None`` without a score to rank by), ``trial_id``, ``status``,
        ``score``, ``score_std`` (over runs), ``standard_error`` (of the score), ``fold_scores``, ``task_scores``,
        ``best_epoch`` (from 0), ``epochs``, ``seconds``, ``values``, ``metrics`` and ``message``.

    Example:
        >>> from kt_suite.trial import TrialRecord
        >>> first = TrialRecord("0000", 0, "COMPLETED", {"units": 8}, score=0.8)
        >>> second = TrialRecord("0001", 1, "COMPLETED", {"units": 16}, score=0.9)
        >>> [(row["rank"], row["trial_id"], row["values"]) for row in rows([first, second], "max")]
        [(1, '0001', {'units': 16}), (2, '0000', {'units': 8})]
    """
    return [
        {
            "rank": rank if _is_ranked(record) else None,
            "trial_id": record.trial_id,
            "status": record.status,
            "score": record.score,
            "score_std": record.score_std,
            "standard_error": record.standard_error,
            "fold_scores": record.fold_scores,
            "task_scores": record.task_scores,
            "best_epoch": record.best_epoch,
            "epochs": record.epochs,
            "seconds": record.seconds,
            "values": dict(record.values),
            "metrics": dict(record.metrics),
            "message": record.message,
        }
        for rank, record in enumerate(ranked(records, direction), 1)
    ]


def render(records: Iterable[TrialRecord], direction: str, objective: str, num_trials: int | None = None) -> Table:
    """Returns the table of the best trials.

    Values that are the same in all ranked trials stand once below the table; what differs stands in the rows.

    Args:
        records: The trials.
        direction: ``"min"`` or ``"max"``.
        objective: Name of the metric that ranks them.
        num_trials: How many to show; ``None`` for all.
    """
    every = ranked(records, direction)
    shown = every[:num_trials]
    shared = _shared_values(shown)
    title = f"{len(shown)} best of {len(every)} trials" if len(shown) < len(every) else f"{len(every)} trials"
    table = Table(
        title=f"{title} by {objective} ({direction})",
        caption=_caption(every, shared),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        caption_style="",
    )
    table.add_column("#", justify="right")
    table.add_column("trial", no_wrap=True)
    table.add_column(objective, justify="right", no_wrap=True)
    tasks = list(dict.fromkeys(name for record in shown for name in record.task_scores))
    for name in tasks:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("epoch", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("values", overflow="fold", ratio=1)
    for rank, record in enumerate(shown, 1):
        differing = dict(item for item in record.values.items() if item not in shared.items())
        table.add_row(
            str(rank) if _is_ranked(record) else "",
            record.trial_id,
            _score(record),
            *(number(record.task_scores[name]) if name in record.task_scores else "" for name in tasks),
            _epoch(record),
            "" if record.seconds is None else duration(record.seconds),
            _details(record, differing),
            style="bold" if rank == 1 and _is_ranked(record) else None,
        )
    return table


def number(value: float) -> str:
    """Returns a metric with four decimals, or four significant digits where decimals would hide it."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Returns seconds as ``8.2s``, ``3m 07s`` or ``2h 05m``."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    return f"{minutes // 60}h {minutes % 60:02d}m"


def values_text(values: Mapping[str, Any]) -> str:
    """Returns ``name=value`` pairs, floats in four significant digits."""
    return "  ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()
    )


def busy_seconds(records: Iterable[TrialRecord]) -> float:
    """Returns the seconds during which at least one trial was training: trials side by side count once."""
    total, covered = 0.0, float("-inf")
    spans = [(record.started, record.ended) for record in records]
    for started, ended in sorted((start, end) for start, end in spans if start is not None and end is not None):
        total += max(0.0, ended - max(started, covered))
        covered = max(covered, ended)
    return total


def _is_ranked(record: TrialRecord) -> bool:
    return record.status == TrialStatus.COMPLETED and record.score is not None


def _shared_values(records: Iterable[TrialRecord]) -> dict[str, Any]:
    values = [record.values for record in records if _is_ranked(record)]
    if len(values) < 2:
        return {}
    return {name: value for name, value in values[0].items() if all((name, value) in v.items() for v in values)}


def _caption(records: Sequence[TrialRecord], shared: Mapping[str, Any]) -> Text:
    counts = collections.Counter(record.status.lower() for record in records)
    lines = []
    if len(counts) > 1:
        lines.append(", ".join(f"{count} {status}" for status, count in counts.items()))
    if any(record.standard_error is not None for record in records):
        lines.append("±: standard error of the mean over folds or runs")
    if shared:
        lines.append(f"the same in all: {values_text(shared)}")
    return Text("\n".join(lines))


def _score(record: TrialRecord) -> str:
    if record.score is None:
        return ""
    error = record.standard_error
    return number(record.score) + ("" if error is None else f" ± {number(error)}")


def _epoch(record: TrialRecord) -> str:
    if not record.epochs:
        return ""
    runs = max(1, len(record.runs))
    best = "" if record.best_epoch is None else f"{record.best_epoch + 1}/"
    return f"{best}{record.epochs // runs}"


def _details(record: TrialRecord, differing: Mapping[str, Any]) -> Text:
    text = Text(values_text(differing))
    if record.status != TrialStatus.COMPLETED:
        reason = (record.message or "").strip().splitlines()
        style = "red" if record.status == TrialStatus.FAILED else "dim"
        text = Text(": ".join([record.status, *reason[-1:]]), style=style) + Text("  ") + text
    return text
