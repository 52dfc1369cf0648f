"""Which slot trained what, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kt_suite_tensorboard.figures.view import OTHER_COLOR, STATUS_COLORS, View, text
from kt_suite_tensorboard.search import Search, Trial

_RETRIED = "tried again"
_COLORS = {**STATUS_COLORS, _RETRIED: "#8663c7"}


@dataclass(frozen=True)
class _Span:
    trial: Trial
    attempt: int
    slot: str
    kind: str
    start: float
    end: float


def timeline(searches: Sequence[Search], options: Mapping[str, str]) -> View:
    """Returns a bar for each attempt of each trial, one line a slot; attempts that another followed stand out."""
    search = searches[0]
    spans = _spans(search)
    if not spans:
        return View(note="No trial has started yet.")
    slots = sorted({span.slot for span in spans}, key=lambda slot: (len(slot), slot))
    kinds = [*_COLORS, *sorted({span.kind for span in spans} - set(_COLORS))]
    unit, seconds = _unit(max(span.end for span in spans) - search.begin)
    data = [_bars([span for span in spans if span.kind == kind], kind, slots, search.begin, seconds) for kind in kinds]
    layout = {
        "xaxis": {"title": {"text": f"{unit} since the start"}},
        "yaxis": {
            "tickvals": list(range(len(slots))),
            "ticktext": [text(slot) for slot in slots],
            "range": [len(slots) - 0.4, -0.6],
            "zeroline": False,
        },
        "hovermode": "closest",
    }
    return View([trace for trace in data if trace["x"]], layout, height=min(900, 130 + 50 * len(slots)))


def _unit(seconds: float) -> tuple[str, float]:
    """Returns a unit fit for a duration, and its seconds."""
    units = (("hours", 3600.0), ("minutes", 60.0))
    return next(((name, size) for name, size in units if seconds >= 3 * size), ("seconds", 1.0))


def _spans(search: Search) -> list[_Span]:
    spans = []
    for trial in search.trials:
        for attempt in trial.earlier:
            end = attempt.ended if attempt.ended is not None else (trial.started or attempt.started)
            slot = str(attempt.slot or trial.slot or "")
            spans.append(_Span(trial, attempt.attempt, slot, _RETRIED, attempt.started, end))
        if trial.started is not None:
            end = trial.ended if trial.ended is not None else max(search.time, trial.started)
            spans.append(_Span(trial, trial.attempt, str(trial.slot or ""), trial.status, trial.started, end))
    return spans


def _bars(spans: Sequence[_Span], kind: str, slots: Sequence[str], begin: float, unit: float) -> dict[str, Any]:
    """Returns thick lines with gaps between them: one trace draws thousands of bars at once."""
    x: list[float | None] = []
    y: list[float | None] = []
    ids: list[str | None] = []
    texts: list[str] = []
    rows = {slot: float(index) for index, slot in enumerate(slots)}
    for span in spans:
        start, end = (span.start - begin) / unit, (span.end - begin) / unit
        row = rows[span.slot]
        x += [start, (start + end) / 2, end, None]  # the middle is there to be pointed at
        y += [row, row, row, None]
        ids += [span.trial.trial_id] * 3 + [None]
        told = f"trial {span.trial.trial_id}, attempt {span.attempt}: {kind.lower()}, {span.end - span.start:.1f} s"
        texts += [text(told)] * 3 + [""]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "customdata": ids,
        "text": texts,
        "name": kind.lower(),
        # Simplified, lines leave out what is shorter than a pixel: all bars of a long search.
        "line": {
            "color": _COLORS.get(kind, OTHER_COLOR),
            "width": max(4.0, min(16.0, 180 / len(slots))),
            "simplify": False,
        },
        "hovertemplate": "%{text}<extra></extra>",
    }
