"""The interface of loggers: views of a search, told of every step, never asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kt_suite.trial import Report, TrialRecord


@dataclass
class SearchInfo:
    """What is known of a search before its first trial.

    Attributes:
        name: Project name; the name of the search in logs.
        search_id: Unique over all searches ever made (hex).
        directory: The project directory.
        objective: Name of the metric that ranks trials.
        direction: ``"min"`` or ``"max"``.
        max_trials: Trials at most; ``None`` without bound.
        epochs: Epochs a run trains at most; ``None`` if unknown.
        runs_per_trial: Runs of each trial.
        space: Hyperparameters as config dicts: ``{"class_name": "Int", "config": {"name": ..., "min_value": ...,
            "conditions": [...]}}``.
        facts: Seed, versions, oracle, executor and the like, for display.
        tensorboard: The TensorBoard log directory; ``None`` when off.
        trials: The trials that a resumed search starts with.
    """

    name: str
    search_id: str
    directory: str
    objective: str
    direction: str
    max_trials: int | None = None
    epochs: int | None = None
    runs_per_trial: int = 1
    space: list[dict[str, Any]] = field(default_factory=list)
    facts: Mapping[str, Any] = field(default_factory=dict)
    tensorboard: str | None = None
    trials: list[TrialRecord] = field(default_factory=list)


class Logger:
    """Watches one search. Every method has a default that does nothing.

    Methods are called from the thread that runs the search, in this order: :meth:`on_search_begin`; then for every
    attempt of a trial :meth:`on_trial_begin`, :meth:`on_report` for each epoch of each run, :meth:`on_trial_end`; at
    last
    :meth:`on_search_end`, always, also after an error. Attempts of several trials may interleave. Records belong to the
    search: a logger must not change them, and must copy what it keeps. An exception from a logger is shown once and
        the logger is dropped:
    a view never ends a search.
    """

    def on_search_begin(self, info: SearchInfo) -> None:
        """Called once, with the trials of an earlier part of the search in ``info.trials``."""

    def on_space(self, space: list[dict[str, Any]]) -> None:
        """Called when building a model has added hyperparameters to the space; gets the whole space."""

    def on_trial_begin(self, trial: TrialRecord) -> None:
        """Called when an attempt starts; its ``values`` may still grow while the model is built."""

    def on_report(self, trial: TrialRecord, report: Report) -> None:
        """Called after each epoch of each run."""

    def on_trial_end(self, trial: TrialRecord, will_retry: bool = False) -> None:
        """Called when an attempt has ended, with score, status and final values; ``will_retry`` says that another
        follows.
        """

    def on_rescored(self, trials: list[TrialRecord]) -> None:
        """Called when the scores of trials that have ended are others now: those over tasks are relative."""

    def on_note(self, text: str) -> None:
        """Called with a line that the user should see."""

    def on_search_end(self, reason: str) -> None:
        """Called last. ``reason`` is one line: done, space exhausted, interrupted (and how to resume), failed."""
