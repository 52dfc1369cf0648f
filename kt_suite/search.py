"""The loop of a search: joins oracle, executor, storage and loggers."""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kt_suite.errors import InputError, KTSuiteError, SearchFailedError, rule
from kt_suite.executors.base import Event, Executor, TrialSpec
from kt_suite.executors.resumption import carry_over, forget_progress
from kt_suite.flight import Flight
from kt_suite.hyperparameters import HyperParameters
from kt_suite.limits import Limits
from kt_suite.loggers.base import Logger, SearchInfo
from kt_suite.objective import mean_metrics, to_loss
from kt_suite.oracles.base import Oracle
from kt_suite.oracles.books import Books, keeps_state, why_stopped
from kt_suite.oracles.trial import Trial
from kt_suite.pruners.base import Pruner
from kt_suite.racing import Racing
from kt_suite.storage import Storage
from kt_suite.trial import Decision, Report, RunRecord, TrialRecord, TrialStatus

# Workers that a trial may cost before it is held to be the cause, and failed; and machines, where it seldom is.
MAX_LOSSES = 2
MAX_MACHINE_LOSSES = 20


class Search:
    """Runs trials until the oracle stops, too many fail, or a limit is reached.

    Every step is stored before it is acted on, so that the process may die at any instant: the next search on the same
    storage keeps what has ended, and starts again what was under way.

    Args:
        oracle: Any KerasTuner oracle; ours are also asked about every epoch.
        executor: Where trials train.
        storage: Where everything is kept.
        loggers: Views, told of every step.
        runner: The tuner: trains attempts, and has methods to be called around each trial.
        directory: The project directory; each attempt gets a directory of its own in it.
        limits: Asked before a trial is proposed and after every report.
        on_ended: Called after each attempt that ended (retention of checkpoints).
        pruner: Judges every epoch of every run.
        window: Trials proposed ahead and booked in the order of proposal (see ``Flight``).
        rescore: Computes the scores of all trials by id where these depend on each other (tasks).
        racing: Judges every run that has ended.
    """

    def __init__(
        self,
        oracle: Any,
        executor: Executor,
        *,
        storage: Storage,
        loggers: Sequence[Logger],
        runner: Any,
        directory: Path,
        limits: Limits,
        on_ended: Callable[[Trial], None] = lambda trial: None,
        pruner: Pruner | None = None,
        window: int | None = None,
        rescore: Callable[[list[TrialRecord]], dict[str, float]] | None = None,
        racing: Racing | None = None,
    ) -> None:
        self.oracle = oracle
        self.executor = executor
        self.storage = storage
        self.loggers = list(loggers)
        self.runner = runner
        self.directory = directory
        self.books = Books(oracle)
        self.limits = limits
        self.pruner = pruner
        self.rescore = rescore
        self.racing = racing
        self._on_ended = on_ended
        self._planned_epochs: int | None = None
        self._num_runs = 1
        self._flight = Flight(window)
        self._losses: Counter[tuple[str, str]] = Counter()
        self._num_hyperparameters = len(oracle.hyperparameters.space)
        self._over: str | None = None
        self._is_idle = False

    def run(self, info: SearchInfo) -> str:
        """Runs the search to its end; returns why it ended. The caller holds the storage's lock.

        Raises:
            SearchFailedError: Too many trials in a row have failed.
            KeyboardInterrupt: The user interrupted it; everything is stored, and running it again resumes.
        """
        reason = "stopped by an error"
        self._log("on_search_begin", info)
        self.books.requeue()
        self._planned_epochs, self._num_runs = info.epochs, info.runs_per_trial
        self.limits.start(info.trials, self.storage.fact("elapsed", 0.0))
        try:
            self._rescore()
            self._replay(info.trials)
            should_stop = self.limits.is_out_of_time if self.limits.time_budget else None
            self.executor.open(self.runner, self._on_report, should_stop)
            reason = self._loop()
        except KeyboardInterrupt:
            reason = "interrupted; run the same script again to resume"
            raise
        except SearchFailedError as error:
            reason = f"failed: {str(error).splitlines()[0]}"
            raise
        except KTSuiteError as error:
            reason = f"stopped: {str(error).splitlines()[0]}"
            raise
        finally:
            self.executor.close()
            self._lay_down(reason)
            self.storage.update_facts({"ended": time.time(), "reason": reason})
            self._log("on_search_end", reason)
        return reason

    def _replay(self, trials: list[TrialRecord]) -> None:
        """Tells the pruner what it would know, had it seen the finished trials of a resumed search."""
        if self.pruner is None:
            return
        self.pruner.open(self.oracle.objective)
        for trial in (one for one in trials if one.is_finished):
            for report in self.storage.reports(trial.trial_id):
                self._judge(trial, report)
            self.pruner.end(trial)

    def _judge(self, trial: TrialRecord, report: Report) -> Decision:
        objective = self.oracle.objective
        if self.pruner is None or not objective.has_value(report.metrics):
            return Decision.CONTINUE
        return self.pruner.judge(
            trial, report, to_loss(float(objective.get_value(report.metrics)), objective.direction)
        )

    def _loop(self) -> str:
        while True:
            self._check_limits()
            verdict = self._propose() if self._over is None else self._over
            self._start_waiting()
            if not len(self._flight):
                if verdict is not None:
                    return verdict
                if self._is_idle:
                    raise KTSuiteError("The oracle must propose when no trial is running. Mend its populate_space.")
            for event in self.executor.events():
                self._handle(event)
            for note in self.executor.notes():
                self._log("on_note", note)

    def _check_limits(self) -> None:
        if self._over is None:
            self._over = self.limits.reached()
            for trial in self._flight.at_work() if self._over else []:
                trial.message = f"Stopped: {self._over}."
                self.executor.stop(trial.trial_id)

    def _propose(self) -> str | None:
        """Asks the oracle for trials as long as there is room; returns why there will be no more, if so."""
        self._is_idle = False
        while self._flight.room(len(self._free_slots())) > 0:
            self.runner.pre_create_trial()
            name = self._flight.name()
            trial = self.oracle.create_trial(name)
            if trial.status == TrialStatus.STOPPED:
                return why_stopped(self.oracle)
            self._is_idle = trial.status == TrialStatus.IDLE
            if self._is_idle:
                return None
            adopted = self.books.adopt(trial)
            adopted.record.started = adopted.record.ended = None
            self.storage.write_attempt("propose", adopted.snapshot(), self._changed_facts())
            self._flight.add(adopted, name)
        return None

    def _free_slots(self) -> list[str]:
        taken = self._flight.slots
        return [slot for slot in self.executor.slots() if slot not in taken][: self.executor.capacity()]

    def _start_waiting(self) -> None:
        for slot in self._free_slots():
            trial = self._flight.next_waiting()
            if trial is None or self._over is not None:
                return
            self._start(trial, slot)

    def _start(self, trial: Trial, slot: str) -> None:
        record = trial.record
        record.slot, record.started = slot, time.time()
        record.runs, record.epochs, record.score = [], 0, None
        trial.hyperparameters.used = {}
        self.storage.write_attempt("begin", trial.snapshot(), {})
        directory = attempt_directory(self.directory, record.trial_id, record.attempt)
        directory.mkdir(parents=True, exist_ok=True)
        if record.attempt > 1 and self._flight.window is None:  # a resumed run is the same only by and large
            carry_over(attempt_directory(self.directory, record.trial_id, record.attempt - 1), directory)
        self._flight.start(trial, slot)
        self._log("on_trial_begin", record)
        self.runner.on_trial_begin(trial)
        self.executor.submit(
            TrialSpec(
                trial,
                record.attempt,
                str(directory),
                parent_directory=self._directory_of(trial.parent) if trial.initial_epoch else None,
                keeps_state=keeps_state(self.oracle, trial),
            )
        )

    def _directory_of(self, trial_id: str | None) -> str | None:
        if trial_id is None:
            return None
        attempt = self.oracle.trials[trial_id].record.attempt
        return str(attempt_directory(self.directory, trial_id, attempt))

    def _on_report(self, trial_id: str, report: Report) -> Decision:
        trial = self._flight.running(trial_id)
        if trial is None or trial.record.attempt != report.attempt:
            return Decision.STOP  # an attempt that was given up: nothing it says counts
        if report.is_end:
            records = [one.record for one in self.oracle.trials.values()]
            return Decision.CONTINUE if self.racing is None else self.racing.judge(trial.record, report, records)
        trial.record.epochs += 1
        if trial.record.epochs == 1:
            self.oracle.update_space(trial.hyperparameters)
            if grown := self._grown_space():
                self.storage.update_facts(grown)
        self.storage.add_report(trial_id, report)
        self._log("on_report", trial.snapshot(), report)
        decision = self.oracle.report(trial, report) if isinstance(self.oracle, Oracle) else Decision.CONTINUE
        if decision is Decision.CONTINUE:
            decision = self._judge(trial.record, report)
        self._check_limits()
        return decision if self._over is None else Decision.STOP

    def _handle(self, event: Event) -> None:
        trial = self._flight.running(event.trial_id)
        if trial is None or trial.record.attempt != event.attempt:
            return
        if event.error is not None:
            raise event.error
        trial.record.ended = time.time()
        self._flight.land(event)
        for landed, how in self._flight.to_book():
            self._book(landed, how)
            self._check_limits()
            if self._flight.window is not None and self._over is None:
                self._propose()  # by what is booked so far, as where one trial ends after the other

    def _book(self, trial: Trial, event: Event) -> None:
        if event.hyperparameters is not None:
            trial.hyperparameters = HyperParameters.from_config(event.hyperparameters)
            trial.hyperparameters.used = dict(event.used or {})
        self._conclude(trial, event)
        if event.kind != "lost":
            forget_progress(attempt_directory(self.directory, trial.trial_id, event.attempt))
        if self.pruner is not None and event.kind == "done" and not trial.record.epochs:
            remedy = "Report each epoch with self.report_epoch(trial, epoch, metrics), or drop the pruner."
            raise InputError(rule("A pruner's trials", "report epochs", f"none from trial {trial.trial_id}", remedy))
        if event.kind == "lost" and self._may_be_lost_again(trial, event):
            self.books.requeue_lost(trial)
            self._store_end(trial)
        else:
            self._end(trial)

    def _may_be_lost_again(self, trial: Trial, event: Event) -> bool:
        cause, most = ("machine", MAX_MACHINE_LOSSES) if event.is_blameless else ("worker", MAX_LOSSES)
        self._losses[trial.trial_id, cause] += 1
        if self._losses[trial.trial_id, cause] <= most:
            return True
        trial.status = TrialStatus.FAILED
        trial.message = f"It lost its {cause} {most + 1} times. The last time: {trial.message}"
        return False

    def _conclude(self, trial: Trial, event: Event) -> None:
        if event.kind in ("failed", "lost"):
            trial.status = TrialStatus.FAILED if event.is_final else TrialStatus.INVALID
            trial.message = event.message
            return
        trial.record.runs = event.runs
        trial.status = TrialStatus.PRUNED if event.kind == "pruned" else TrialStatus.COMPLETED
        if event.kind == "pruned":
            self._lower_fidelity(trial.record)
        if event.runs:
            self._score(trial, event.runs)

    def _lower_fidelity(self, record: TrialRecord) -> None:
        planned = self._planned_epochs if record.budget is None else record.budget - record.initial_epoch
        if planned is not None:
            record.fidelity *= min(1.0, record.epochs / (planned * self._num_runs))

    def _score(self, trial: Trial, runs: list[RunRecord]) -> None:
        name = self.oracle.objective.name
        scores = [math.nan if run.score is None else run.score for run in runs]
        wrong = next((value for value in scores if not math.isfinite(value)), None)
        if wrong is not None:
            trial.status, trial.message = TrialStatus.INVALID, f"The objective {name!r} is {wrong}."
            return
        record, score = trial.record, statistics.fmean(scores)
        record.score = score
        record.score_std = statistics.stdev(scores) if len(scores) > 1 and not record.task_scores else None
        record.best_epoch = int(statistics.fmean(run.best_epoch or 0 for run in runs))
        record.metrics = mean_metrics(run.metrics for run in runs)
        self.oracle.update_trial(trial.trial_id, {**record.metrics, name: score}, step=record.best_epoch)

    def _end(self, trial: Trial) -> None:
        failure = None
        try:
            self.books.end(trial)
        except SearchFailedError as error:
            failure = error
        if trial.record.is_finished:
            self._rescore(trial.record)
            self.limits.note(trial.record)
            if self.pruner is not None:
                self.pruner.end(trial.record)
        self._store_end(trial)
        self.runner.on_trial_end(trial)
        if failure is not None:
            raise failure

    def _rescore(self, ended: TrialRecord | None = None) -> None:
        if self.rescore is None:
            return
        records = [trial.record for trial in self.oracle.trials.values()]
        scores = self.rescore(records)
        changed = [one for one in records if scores.get(one.trial_id, one.score) != one.score]
        for record in changed:
            record.score = scores[record.trial_id]
        others = [one for one in records if one is not ended]
        self.limits.rescore(others)
        self.storage.update_scores({one.trial_id: scores[one.trial_id] for one in changed if one is not ended})
        self._log("on_rescored", changed)

    def _store_end(self, trial: Trial) -> None:
        self.storage.write_attempt("end", trial.snapshot(), self._changed_facts())
        self._on_ended(trial)
        self._log("on_trial_end", trial.record, trial.status == TrialStatus.INVALID)

    def _lay_down(self, reason: str) -> None:
        """Stores that the trials still under way wait to be started again."""
        for trial in self._flight.give_up():
            trial.status, trial.message = TrialStatus.IDLE, f"Not finished: the search was {reason}."
            trial.record.ended = time.time()
            self.storage.write_attempt("end", trial.snapshot(), self._changed_facts())
            self._log("on_trial_end", trial.record, True)

    def _changed_facts(self) -> dict[str, Any]:
        facts = {"oracle_state": self.books.checkpoint(), "elapsed": self.limits.elapsed}
        return {**facts, **self._grown_space()}

    def _grown_space(self) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        hyperparameters = self.oracle.hyperparameters
        if len(hyperparameters.space) != self._num_hyperparameters:
            self._num_hyperparameters = len(hyperparameters.space)
            facts["space"] = hyperparameters.get_config()["space"]
            self._log("on_space", facts["space"])
        return facts

    def _log(self, method: str, *args: Any) -> None:
        for logger in list(self.loggers):
            try:
                getattr(logger, method)(*args)
            except Exception as error:
                self.loggers.remove(logger)
                warnings.warn(f"{type(logger).__name__} failed and is dropped: {error!r}", stacklevel=2)


def attempt_directory(project: Path, trial_id: str, attempt: int) -> Path:
    """Returns the directory of one attempt of one trial."""
    return project / f"trial_{trial_id}" / f"attempt_{attempt}"
