"""Makes any KerasTuner oracle one that a search can store and resume."""

from __future__ import annotations

from functools import partial
from typing import Any

from kt_suite.errors import SearchFailedError
from kt_suite.hyperparameters import HyperParameters
from kt_suite.oracles.attempts import begin_again, best_trials, check_consecutive_failures
from kt_suite.oracles.base import Oracle
from kt_suite.oracles.trial import Trial
from kt_suite.seeds import trial_seed
from kt_suite.trial import TrialRecord, TrialStatus


class Books:
    """The trials of an oracle as kt_suite keeps them: all ours, or beside those of a foreign one.

    A foreign oracle is told to leave its own files, prints and count of failures alone: storage, loggers and the rule
    that only the last trials in a row count are the search's.

    Args:
        oracle: Any ``keras_tuner.Oracle``.
    """

    def __init__(self, oracle: Any) -> None:
        self.oracle = oracle
        tame(oracle)
        oracle.verbose = 0

    def adopt(self, trial: Any) -> Trial:
        """Returns a trial that the oracle has just proposed, or proposed again, as ours."""
        if isinstance(self.oracle, Oracle):
            return Trial.of(trial)
        if isinstance(trial, Trial):  # adopted before, so this is another attempt
            begin_again(trial)
            return trial
        adopted = Trial.of(trial)
        number = self.oracle.start_order.index(trial.trial_id)
        adopted.record.number, adopted.record.seed = number, trial_seed(self.oracle.seed, number)
        _read_schedule(adopted)
        self.oracle.trials[trial.trial_id] = adopted
        for slot, ongoing in self.oracle.ongoing_trials.items():
            if ongoing is trial:
                self.oracle.ongoing_trials[slot] = adopted
        return adopted

    def end(self, trial: Trial) -> None:
        """Has the oracle book a trial that has ended, and completes its record.

        Raises:
            SearchFailedError: Too many trials in a row have failed. The books are complete all the same.
        """
        try:
            self.oracle.end_trial(trial)
        finally:
            self._settle(trial)
        if not isinstance(self.oracle, Oracle):
            check_consecutive_failures(self.oracle)

    def _settle(self, trial: Trial) -> None:
        if not isinstance(self.oracle, Oracle):
            used = list(trial.hyperparameters.used)
            trial.record.used = used if used and trial.status == TrialStatus.COMPLETED else None
        if trial.status in (TrialStatus.FAILED, TrialStatus.INVALID):
            trial.record.score = None

    def requeue_lost(self, trial: Trial) -> None:
        """Has a trial whose worker died start again; it does not count among its failures."""
        self.oracle.ongoing_trials = {slot: one for slot, one in self.oracle.ongoing_trials.items() if one is not trial}
        self.oracle._retry_queue.append(trial.trial_id)

    def requeue(self) -> None:
        """Has trials that an earlier search of this process left under way start again."""
        requeue_ongoing(self.oracle)

    def checkpoint(self) -> dict[str, Any]:
        """Returns the state of the oracle, to be stored with the trial that changed it."""
        if isinstance(self.oracle, Oracle):
            return self.oracle.checkpoint()
        return {name: value for name, value in self.oracle.get_state().items() if name != "hyperparameters"}


def tame(oracle: Any) -> None:
    """Has a foreign oracle leave files, prints and verdicts on failures to the search; ours need none of it."""
    if isinstance(oracle, Oracle):
        return
    oracle.hyperparameters = HyperParameters.of(oracle.hyperparameters)
    oracle.save = lambda *args: None
    oracle._save_trial = lambda trial: None
    oracle._check_consecutive_failures = lambda: None
    # KerasTuner's fills up with trials that failed.
    oracle.get_best_trials = partial(best_trials, oracle)


def _read_schedule(trial: Trial) -> None:
    # KerasTuner's Hyperband smuggles budgets among the values.
    values = trial.hyperparameters.values
    trial.record.budget = values.get("tuner/epochs")
    trial.record.initial_epoch = values.get("tuner/initial_epoch", 0)
    trial.record.bracket, trial.record.rung = values.get("tuner/bracket"), values.get("tuner/round")
    trial.record.parent = values.get("tuner/trial_id")


def keeps_state(oracle: Any, trial: Trial) -> bool:
    """Whether a later trial of an oracle may go on from the state of ``trial``."""
    if isinstance(oracle, Oracle):
        return oracle.keeps_state(trial.trial_id)
    return trial.record.budget is not None


def why_stopped(oracle: Any) -> str:
    """Returns why an oracle proposes no more.

    Raises:
        SearchFailedError: It knows of nothing to tune, because every trial failed before it asked for anything.
    """
    if oracle.end_order and not oracle.hyperparameters.space:
        first = oracle.trials[oracle.end_order[0]]
        if first.status == TrialStatus.FAILED:
            raise SearchFailedError(f"Trial {first.trial_id} failed before it asked for anything:\n{first.message}")
    if oracle.max_trials is not None and len(oracle.trials) >= oracle.max_trials:
        return "all trials done"
    return oracle.why_stopped() if isinstance(oracle, Oracle) else "the oracle has stopped"


def restore(oracle: Any, records: list[TrialRecord], state: dict[str, Any], space: HyperParameters) -> None:
    """Has an oracle take up a stored search."""
    trials = [Trial.of_record(record, space) for record in records]
    oracle.hyperparameters = space
    if isinstance(oracle, Oracle):
        oracle.restore(trials, state)
        return
    oracle.trials = {trial.trial_id: trial for trial in trials}
    oracle.set_state({**state, "hyperparameters": {"space": [], "values": {}}})
    oracle.hyperparameters = space
    requeue_ongoing(oracle)


def requeue_ongoing(oracle: Any) -> None:
    """Puts the trials that are under way back among those to be tried again."""
    ongoing = [trial.trial_id for trial in oracle.ongoing_trials.values()]
    oracle._retry_queue += [trial_id for trial_id in ongoing if trial_id not in oracle._retry_queue]
    oracle.ongoing_trials = {}


class OracleView:
    """What a trial may ask of its oracle where it trains in another process.

    Args:
        oracle: The oracle.
    """

    def __init__(self, oracle: Any) -> None:
        self.objective = oracle.objective
        self.seed = oracle.seed
        self.hyperparameters = HyperParameters.of(oracle.hyperparameters)
        self.trials: dict[str, Trial] = {}

    def get_space(self) -> HyperParameters:
        """Returns a copy of the space."""
        return self.hyperparameters.copy()

    def get_trial(self, trial_id: str) -> Trial:
        """Returns the trial that is being trained."""
        return self.trials[trial_id]

    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int = 0) -> Trial:
        """Takes metrics from a ``run_trial`` that reports them itself."""
        trial = self.trials[trial_id]
        for name, value in metrics.items():
            if name == self.objective.name and not trial.metrics.exists(name):
                trial.metrics.register(name, direction=self.objective.direction)
            trial.metrics.update(name, value, step=step)
        return trial
