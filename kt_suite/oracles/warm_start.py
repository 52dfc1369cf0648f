"""Trials of earlier searches, for a search to start from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Any

import keras_tuner

from kt_suite.acquisition import Evidence
from kt_suite.acquisition.encoding import evidence_of
from kt_suite.errors import InputError, rule
from kt_suite.objective import to_loss
from kt_suite.oracles.observation import Observation
from kt_suite.oracles.trial import Trial
from kt_suite.space import Space
from kt_suite.storage import Storage
from kt_suite.trial import TrialRecord


class WarmStart:
    """The finished trials of earlier searches, as evidence on a space that may be another.

    Only hyperparameters of the same name count. A trial is left out if one of its values lies outside the space, or
    if it
    shares no name with it. Scores are made comparable by the surrogate: each search's are scaled by themselves.

    Args:
        sources: Earlier searches: project directories, tuners, oracles, or open storages. They are read at once.

    Raises:
        InputError: A source is none of these.
        ProjectError: A directory holds no search.
    """

    def __init__(self, sources: Iterable[Any]) -> None:
        if isinstance(sources, (str, bytes, os.PathLike)):
            raise InputError(rule("warm_start", "be a list of searches", sources, "Put it in a list."))
        self._trials = [_read(source) for source in sources]

    def evidence(self, space: Space) -> list[Evidence]:
        """Returns what each earlier search tells of a space; nothing for one that tells nothing."""
        found = []
        for number, trials in enumerate(self._trials, 1):
            kept = [(observation, loss) for observation, loss in trials if _fits(space, observation.values)]
            if kept:
                evidence = evidence_of(space, [observation for observation, _ in kept], [loss for _, loss in kept])
                found.append(evidence.of_source(number))
        return found


def _fits(space: Space, values: dict[str, Any]) -> bool:
    shared = [
        dimension
        for dimension in space.dimensions
        if dimension.name in values and all(condition.is_active(values) for condition in dimension.hp.conditions)
    ]
    return bool(shared) and all(dimension.contains(values[dimension.name]) for dimension in shared)


def _read(source: Any) -> list[tuple[Observation, float | None]]:
    if isinstance(source, (str, os.PathLike)):
        with contextlib.closing(Storage.open(source, read_only=True)) as storage:
            return _read(storage)
    if isinstance(source, Storage):
        return _observe(source.trials(), source.fact("direction", "min"))
    oracle = getattr(source, "oracle", source)
    if not isinstance(oracle, keras_tuner.Oracle):
        raise InputError(rule("A search to start from", "be a project directory, a tuner or an oracle", source))
    return _observe([_record(oracle.trials[trial_id]) for trial_id in oracle.start_order], oracle.objective.direction)


def _record(trial: Any) -> TrialRecord:
    if isinstance(trial, Trial):
        return trial.record
    return TrialRecord(trial.trial_id, 0, trial.status, dict(trial.hyperparameters.values), score=trial.score)


def _observe(records: Iterable[TrialRecord], direction: str) -> list[tuple[Observation, float | None]]:
    observations = [Observation.of(record) for record in records if record.is_finished]
    return [(one, None if one.score is None else to_loss(one.score, direction)) for one in observations]
