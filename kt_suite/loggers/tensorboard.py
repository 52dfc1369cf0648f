"""The TensorBoard log of a search, live and rebuilt from storage."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kt_suite.errors import InputError, rule
from kt_suite.loggers import hparams
from kt_suite.loggers.base import Logger, SearchInfo
from kt_suite.loggers.event_writer import EventWriter, event_files
from kt_suite.loggers.experiment_config import column_names, publish_columns, stored_columns
from kt_suite.loggers.layout import attempt_directory, group_name, run_directory, search_directory
from kt_suite.loggers.search_run import SearchRun, is_finite
from kt_suite.trial import Report, TrialRecord, TrialStatus

_VALIDATION_PREFIX = "val_"
_NOT_MEASURED = frozenset({"learning_rate", "lr"})  # in Keras's logs, yet of no data


class TensorBoardLogger(Logger):
    """Writes a search as event files, while it runs, for TensorBoard's HParams, Time Series and Text tabs.

    ::

        <logdir>/_hparams-<digest>             columns of the HParams tab, for all searches under <logdir>
        <logdir>/<search>/_search              search/objective, search/best, search/failed; texts
        <logdir>/<search>/trial_0007           run 0 of the trial: curves, then its result
        <logdir>/<search>/trial_0007/exec_1    run 1
        <logdir>/<search>/trial_0007/retry_1   second attempt of the trial

    An attempt is a row of the HParams tab, all its runs together. Curves are called ``loss/train``,
    ``loss/validation`` and so on. The result stands in run 0, only where the trial completed: ``objective``
    (the score that the search ranks by), ``epochs`` and ``seconds`` of all runs. The tab has no word for
    pruned trials: their status there is "unknown". A score over tasks is relative to the other trials and
    changes with them: that of the moment is written, and :func:`rebuild` writes the last ones.

    What TensorBoard has once read of a run it keeps. Therefore curves are written as they come, yet the
    session, which makes the attempt a row, when the attempt has ended: only then is it known which
    hyperparameters it used. Those that it did not are left out of its row. Another attempt, also after a
    resume, gets a run of its own. Numbers that are not finite are left out.

    No thread is started and TensorFlow is not imported; every record is flushed at once.

    Args:
        logdir: A local directory; several searches may share it, also at the same time.

    Raises:
        InputError: If ``logdir`` is the address of a remote file system.

    Example:
        >>> import tempfile
        >>> from kt_suite.loggers import SearchInfo
        >>> logger = TensorBoardLogger(tempfile.mkdtemp())
        >>> logger.on_search_begin(SearchInfo("digits", "5eed", "digits", "val_accuracy", "max"))
        >>> logger.on_search_end("done")
    """

    def __init__(self, logdir: str | os.PathLike[str]) -> None:
        if "://" in os.fspath(logdir):
            remedy = "Log to a local directory, and copy it there."
            raise InputError(rule("The log directory", "be local", os.fspath(logdir), remedy))
        self.logdir = Path(logdir)

    def on_search_begin(self, info: SearchInfo) -> None:
        """Opens the log, or continues that of an earlier part of the search."""
        self._info = info
        self._directory = search_directory(info, self.logdir)
        self._attempts: dict[str, _Attempt] = {}
        self._published = stored_columns(self._directory)
        self._tags = set(self._published.curves) if self._published else set()
        self._optional = set(self._published.optional) if self._published else set()
        self._search = SearchRun(self._directory, info)
        self.on_space(info.space)
        self._search.describe(self._space)
        finished = [trial for trial in info.trials if trial.is_finished]
        for trial in sorted(finished, key=lambda trial: (trial.ended or 0.0, trial.number)):
            if self._search.add(trial):  # killed between storing and logging the end of this trial
                self._begin_attempt(trial, trial.attempt)
                self._end_attempt(trial)

    def on_space(self, space: list[dict[str, Any]]) -> None:
        """Takes note of the space; the columns change with the next record."""
        self._space = copy.deepcopy(space)
        self._names = column_names(self._directory, space)
        self._columns = [
            {**entry, "config": {**entry["config"], "name": self._names[entry["config"]["name"]]}}
            for entry in self._space
        ]
        self._kinds = hparams.hparam_kinds(self._columns)

    def on_report(self, trial: TrialRecord, report: Report) -> None:
        """Writes the metrics of an epoch."""
        attempt = self._attempt(trial)
        points = {curve_tag(name): value for name, value in report.metrics.items() if is_finite(value)}
        wall_time = report.time or time.time()
        if report.run not in attempt.writers:
            attempt.open_run(report.run)
        if points:
            attempt.writers[report.run].scalars(points, step=report.epoch, wall_time=wall_time)
        self._tags.update(points)
        self._publish()

    def on_trial_end(self, trial: TrialRecord, will_retry: bool = False) -> None:
        """Writes the result of an attempt, and the search's next point where no other follows."""
        self._end_attempt(trial)
        if trial.is_finished and not will_retry:
            self._search.add(trial)

    def on_search_end(self, reason: str) -> None:
        """Writes why the search ended, and closes all files."""
        for attempt in self._attempts.values():
            attempt.close()
        self._attempts.clear()
        self._search.end(reason)

    def _attempt(self, trial: TrialRecord) -> _Attempt:
        """Returns the attempt that is under way, begun here if it has written nothing yet."""
        attempt = self._attempts.get(trial.trial_id)
        if attempt is not None and attempt.number == trial.attempt:
            return attempt
        if attempt is not None:
            attempt.close()
        # A killed search may have left a run of the same attempt, whose session cannot be replaced.
        number = trial.attempt
        while event_files(attempt_directory(self._directory, trial.trial_id, number)):
            number += 1
        return self._begin_attempt(trial, number)

    def _begin_attempt(self, trial: TrialRecord, number: int) -> _Attempt:
        directory = attempt_directory(self._directory, trial.trial_id, number)
        attempt = _Attempt(trial.attempt, directory, group_name(self._info, trial.trial_id, number))
        attempt.open_run(0)
        self._attempts[trial.trial_id] = attempt
        return attempt

    def _start_sessions(self, attempt: _Attempt, trial: TrialRecord) -> None:
        """Makes the runs of an attempt sessions of one row, with the values it used."""
        unused = set(trial.values) - set(trial.used_values)
        self._optional |= {self._names.get(name, name) for name in unused}
        values = {self._names.get(name, name): value for name, value in trial.used_values.items()}
        begin = trial.started or time.time()
        for writer in attempt.writers.values():
            writer.value(hparams.session_start(attempt.group, values, self._kinds, wall_time=begin))

    def _end_attempt(self, trial: TrialRecord) -> None:
        attempt = self._attempt(trial)
        self._start_sessions(attempt, trial)
        ended = trial.ended or time.time()
        writer = attempt.writers[0]
        if trial.status == TrialStatus.COMPLETED and is_finite(trial.score):
            result = {
                hparams.OBJECTIVE: trial.score,
                hparams.EPOCHS: trial.epochs or None,
                hparams.SECONDS: trial.seconds,
            }
            points = {tag: value for tag, value in result.items() if value is not None}
            writer.scalars(points, step=trial.number, wall_time=ended)
        elif trial.status in (TrialStatus.FAILED, TrialStatus.INVALID) and trial.message:
            lines = trial.message.splitlines()
            block = "\n".join(f"    {line}" for line in lines)  # code, to Markdown
            writer.text("failure", block, wall_time=ended)
        for writer in attempt.writers.values():
            writer.value(hparams.session_end(trial.status, wall_time=ended))
        attempt.close()
        del self._attempts[trial.trial_id]
        self._publish()

    def _publish(self) -> None:
        """Brings the columns of the HParams tab up to date, if there is anything new."""
        own = curve_tag(self._info.objective)
        columns = hparams.SearchColumns(
            f"{self._info.direction} {self._info.objective}",
            self._columns,
            sorted(self._tags, key=lambda tag: (tag != own, tag)),
            sorted(self._optional),
        )
        if columns == self._published:
            return
        if self._published is not None and columns.space != self._published.space:
            self._search.describe(self._space)
        publish_columns(self._directory, columns)
        self._published = columns


@dataclass
class _Attempt:
    """The open files of one attempt of a trial, by run."""

    number: int
    directory: Path
    group: str
    writers: dict[int, EventWriter] = field(default_factory=dict)

    def open_run(self, run: int) -> None:
        self.writers[run] = EventWriter(run_directory(self.directory, run))

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()


def curve_tag(metric: str) -> str:
    """Returns the tag of a metric's curve.

    Example:
        >>> curve_tag("accuracy"), curve_tag("val_accuracy")
        ('accuracy/train', 'accuracy/validation')
    """
    if metric in _NOT_MEASURED:
        return metric
    if metric.startswith(_VALIDATION_PREFIX):
        return f"{metric.removeprefix(_VALIDATION_PREFIX)}/validation"
    return f"{metric}/train"


def rebuild(info: SearchInfo, reports: Callable[[str], list[Report]], logdir: str | os.PathLike[str]) -> Path:
    """Writes the log of a stored search again, in place of what is there, and returns its directory.

    Only files written by kt_suite are replaced: those of callbacks stay. A TensorBoard that is running must
    be started again to see the new ones. The search itself must not be running.

    Args:
        info: The search, with all its trials.
        reports: Gives the reports of a trial by its id, of all its attempts.
        logdir: The log directory.
    """
    directory = search_directory(info, logdir)
    _clear(directory)
    logger = TensorBoardLogger(logdir)
    logger.on_search_begin(dataclasses.replace(info, trials=[]))
    last = float("inf")  # trials that have not ended
    for trial in sorted(info.trials, key=lambda trial: (trial.ended or last, trial.number)):
        # Of earlier attempts only the curves are known.
        attempts = {trial.attempt: trial}
        for report in sorted(reports(trial.trial_id), key=lambda report: report.attempt):
            if report.attempt not in attempts:
                attempts[report.attempt] = dataclasses.replace(trial, attempt=report.attempt)
            logger.on_report(attempts[report.attempt], report)
        if trial.is_finished:
            logger.on_trial_end(trial)
    logger.on_search_end("written again from storage")
    return directory


def _clear(directory: Path) -> None:
    folders = sorted((path for path in directory.rglob("*") if path.is_dir()), reverse=True)
    for folder in [*folders, directory]:
        for file in event_files(folder):
            file.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()  # kept where anything else lies in it
