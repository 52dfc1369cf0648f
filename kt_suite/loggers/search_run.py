"""The run of a search itself in its TensorBoard log: how the objective went, and what was searched."""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from kt_suite.loggers.base import SearchInfo
from kt_suite.loggers.event_writer import EventWriter, event_files, read_events
from kt_suite.loggers.layout import PROJECT_FILE, SEARCH_RUN
from kt_suite.trial import TrialRecord, TrialStatus, incumbent

_MAX_FLOAT32 = float(np.finfo(np.float32).max)
_SHOWN_OTHERWISE = {
    "name",
    "search_id",
    "objective",
    "direction",
    "max_trials",
    "runs_per_trial",
    "tensorboard",
}
_BOOKKEEPING = {"created", "elapsed", "ended", "reason", "process"}
_OBJECTIVE, _BEST, _FAILED = "search/objective", "search/best", "search/failed"


class SearchRun:
    """Writes one point for each finished trial, and texts.

    The step of a point is the number of trials that finished before: in a search with one slot that is the
    trial's own number. With several slots trials finish out of order, and TensorBoard drops points when steps
    go back.

    Args:
        search: The directory of the search.
        info: The search.
    """

    def __init__(self, search: Path, info: SearchInfo) -> None:
        directory = search / SEARCH_RUN
        self._info = info
        self._best: TrialRecord | None = None
        self._num_failed = 0
        self.num_finished = 0
        self._num_written = _count_points(directory)
        self._writer = EventWriter(directory)
        _write_project(directory, info)

    def add(self, trial: TrialRecord) -> bool:
        """Counts a finished trial, and returns whether its point is new.

        It is not where a resumed search counts the trials of its earlier part.
        """
        self._num_failed += trial.status == TrialStatus.FAILED
        known = [self._best] if self._best is not None else []
        self._best = incumbent([*known, replace(trial, values=dict(trial.values))], self._info.direction)
        is_new = self.num_finished >= self._num_written
        if is_new:
            points: dict[str, float] = {_FAILED: self._num_failed}
            if trial.status == TrialStatus.COMPLETED and is_finite(trial.score):
                points[_OBJECTIVE] = trial.score
            if self._best is not None and is_finite(self._best.score):
                points[_BEST] = self._best.score
            self._writer.scalars(points, step=self.num_finished, wall_time=trial.ended)
        self.num_finished += 1
        return is_new

    def describe(self, space: Sequence[Mapping[str, Any]]) -> None:
        """Writes what is searched, as a text."""
        info = self._info
        unshown = _SHOWN_OTHERWISE | _BOOKKEEPING
        known = {name: value for name, value in info.facts.items() if value not in (None, [], {})}
        facts = {
            "directory": info.directory,
            "objective": f"{info.direction} {info.objective}",
            "trials at most": info.max_trials,
            "runs per trial": info.runs_per_trial,
            "epochs at most": info.epochs,
            **{name.replace("_", " "): value for name, value in known.items() if name not in unshown},
            "search id": info.search_id,
        }
        text = [f"# {_cell(info.name)}", _table(["", ""], facts.items())]
        if space:
            text.append(_table(["hyperparameter", "domain", "only with"], map(_hparam_row, space)))
        self._writer.text("search/summary", "\n\n".join(text), step=self.num_finished)

    def end(self, reason: str) -> None:
        """Writes why the search ended and what came out, and closes the file."""
        rows: list[tuple[Any, Any]] = [("ended", reason), ("finished trials", self.num_finished)]
        if self._num_failed:
            rows.append(("failed", self._num_failed))
        if self._best is not None:
            rows += [("best trial", self._best.trial_id), (self._info.objective, self._best.score)]
            rows += self._best.values.items()
        self._writer.text("search/result", _table(["", ""], rows), step=self.num_finished)
        self._writer.close()


def is_finite(value: float | None) -> TypeGuard[float]:
    """Whether TensorBoard can draw a score or metric, which it keeps as float32 and cannot sort if NaN."""
    return value is not None and abs(value) <= _MAX_FLOAT32


def _write_project(directory: Path, info: SearchInfo) -> None:
    """Leaves word of where the search is stored, for TensorBoard's tab "Tuning"."""
    project = Path(info.directory).resolve()
    note = {"search_id": info.search_id, "directory": str(project)}
    with contextlib.suppress(ValueError):  # on another drive: no way leads there
        note["relative"] = os.path.relpath(project, directory.resolve())
    (directory / PROJECT_FILE).write_text(json.dumps(note), encoding="utf-8")


def _count_points(directory: Path) -> int:
    """Returns how many trials an earlier part of the search has written."""
    steps = (
        event.step
        for path in event_files(directory)
        for event in read_events(path)
        if any(value.tag == _FAILED for value in event.summary.value)
    )
    return max(steps, default=-1) + 1


def _hparam_row(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    config = entry["config"]
    if entry["class_name"] == "Boolean":
        domain = "False, True"
    elif "values" in config or "value" in config:
        domain = ", ".join(map(str, config.get("values", [config.get("value")])))
    else:
        step = f", step {config['step']}" if config.get("step") else ""
        scale = f", {config['sampling']}" if config.get("sampling", "linear") != "linear" else ""
        domain = f"{config['min_value']} to {config['max_value']}{step}{scale}"
    parents = [condition["config"] for condition in config.get("conditions", [])]
    conditions = [f"{parent['name']} = {' or '.join(map(str, parent['values']))}" for parent in parents]
    return config["name"], domain, "; ".join(conditions)


def _table(head: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    """Returns a value as text that neither Markdown nor HTML reads as anything else."""
    if isinstance(value, Mapping):
        value = ", ".join(f"{key} {item}" for key, item in value.items())
    elif isinstance(value, list | tuple):
        value = "; ".join(map(str, value))
    text = " ".join(str("" if value is None else value).split())
    return re.sub(r"([\\`*_{}\[\]()#+!|~-])", r"\\\1", html.escape(text, quote=False))
