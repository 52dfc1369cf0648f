"""The base of all oracles: keeps the books of a search, and asks a subclass for the next values."""

from __future__ import annotations

import abc
import json
import math
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np

from kt_suite.errors import InputError, rule
from kt_suite.hyperparameters import HyperParameters
from kt_suite.objective import check_reported, create_objective, to_loss
from kt_suite.oracles.attempts import begin_again, best_trials, check_consecutive_failures
from kt_suite.oracles.observation import Observation
from kt_suite.oracles.trial import Trial
from kt_suite.oracles.untried import draw_untried
from kt_suite.seeds import fresh_seed, trial_seed
from kt_suite.space import Space
from kt_suite.trial import Decision, Report, TrialRecord, TrialStatus


class Oracle(keras_tuner.Oracle, abc.ABC):  # type: ignore[misc]
    """Proposes trials and judges reports. Subclasses write :meth:`populate_space`.

    It is a ``keras_tuner.Oracle`` and works in a plain ``keras_tuner.Tuner`` too. What differs: the lock is released
    whatever happens; 0 is a seed; infinite scores fail; only completed trials can be best; failures count as
    consecutive only while they are the last trials to have ended.

    **Thread safety**: ``create_trial``, ``update_trial`` and ``end_trial`` exclude each other. **Randomness**: a
    subclass draws from :meth:`generator`, which depends on the seed and the trial alone, so that a resumed search
    proposes what an uninterrupted one would have. **State**: everything follows from the trials, but for what
    :meth:`checkpoint` returns.

    Args:
        objective: A metric name, an ``Objective``, a list of them (their signed sum is minimised), or ``None`` for a
            training that returns the float to minimise.
        max_trials: Trials at most; ``None`` for no bound.
        hyperparameters: Definitions that override those met in building.
        allow_new_entries: Whether building may add hyperparameters.
        tune_new_entries: Whether those are tuned.
        seed: Any integer from 0; drawn afresh if ``None``.
        max_retries_per_trial: How often a trial that raised or returned NaN is tried again, at least 0.
        max_consecutive_failed_trials: Failed trials in a row that end the search, at least 1.

    Raises:
        InputError: An argument out of its range.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        hyperparameters: Any = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        seed: int | None = None,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        _check_integer("max_trials", max_trials, at_least=1, optional=True)
        _check_integer("seed", seed, at_least=0, optional=True)
        _check_integer("max_retries_per_trial", max_retries_per_trial, at_least=0)
        _check_integer("max_consecutive_failed_trials", max_consecutive_failed_trials, at_least=1)
        super().__init__(
            objective=create_objective(objective),
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed or 1,  # KerasTuner would draw one from the global generator; ours is set below
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        self.seed = fresh_seed() if seed is None else int(seed)
        self.seed_is_given = seed is not None
        self.hyperparameters: HyperParameters = HyperParameters.of(self.hyperparameters)
        self.trials: dict[str, Any] = {}
        self.ongoing_trials: dict[str, Any] = {}
        self.start_order: list[str] = []
        self.end_order: list[str] = []
        self._lock = threading.RLock()
        self._enqueued: list[dict[str, Any]] = []
        self._tried: dict[tuple[str, ...] | None, set[str]] = defaultdict(set)
        # Names that some build asked for: only of these can be said that another build did without them.
        self._declared: set[str] = set()
        self._is_restoring = False

    # What subclasses use

    @abc.abstractmethod
    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Proposes the values of a new trial.

        Returns:
            ``"status"``: ``"RUNNING"`` with ``"values"`` (and, where a schedule of budgets says so, ``"budget"``,
            ``"initial_epoch"``, ``"rung"``, ``"bracket"``, ``"parent"``, ``"data_share"``, ``"fidelity"``); ``"IDLE"``
            to be asked again after the next result; ``"STOPPED"`` when there is nothing left to propose.
        """

    def generator(self, trial_id: str, stream: int = 0) -> np.random.Generator:
        """Returns the generator of one trial; ``stream`` tells several apart."""
        number = int(trial_id) if trial_id.isdigit() else len(self.trials)
        return np.random.default_rng([self.seed, number, stream])

    def space(self) -> Space:
        """Returns the space as axes of a unit cube."""
        return Space(self.hyperparameters)

    def history(self) -> list[Observation]:
        """Returns all trials in the order of their proposal."""
        return [Observation.of(self.trials[trial_id].record) for trial_id in self.start_order]

    def has_tried(self, values: Mapping[str, Any]) -> bool:
        """Whether a finished or pending trial makes ``values`` a repeat.

        A finished trial is repeated by whatever agrees with it on the hyperparameters that it really used.
        """
        for names, keys in self._tried.items():
            chosen = values if names is None else {name: values[name] for name in names if name in values}
            if (names is None or len(chosen) == len(names)) and Space.key(chosen) in keys:
                return True
        return False

    def _random_values(self) -> dict[str, Any] | None:
        # What oracles written for KerasTuner call in populate_space.
        return draw_untried(self, self.space(), f"{len(self.trials):04d}")

    def loss(self, observation: Observation) -> float | None:
        """Returns the observation's score as something to minimise, or ``None`` without a usable score."""
        if observation.score is None or not math.isfinite(observation.score):
            return None
        return to_loss(observation.score, self.objective.direction)

    def notes(self) -> list[str]:
        """Returns lines about what lies ahead, shown before the search starts."""
        return []

    def why_stopped(self) -> str:
        """Returns why there is nothing left to propose, once :meth:`populate_space` has said so."""
        return "the space is exhausted"

    def keeps_state(self, trial_id: str) -> bool:
        """Whether the state of a trial's training must stay on disk, because another trial may go on from it."""
        return False

    # What users call

    def enqueue(self, values: Mapping[str, Any]) -> None:
        """Has ``values`` tried before anything else is proposed; hyperparameters that are not named take their
        defaults.

        Raises:
            InputError: A name that is not in the space, or a value outside its range.
        """
        with self._lock:
            if self.hyperparameters.space:
                self.space().check(values)
            self._enqueued.append(dict(values))

    def get_best_trials(self, num_trials: int = 1) -> list[Any]:
        """Returns at most ``num_trials`` completed trials, best first, the earlier of equals first."""
        return best_trials(self, num_trials)

    # What tuners call

    def create_trial(self, tuner_id: str) -> Any:
        """Returns the next trial for a slot: one to be tried again, one that was enqueued, or a new proposal.

        The trial's status may be ``IDLE`` (ask again after the next result) or ``STOPPED`` (nothing left).
        """
        with self._lock:
            if tuner_id in self.ongoing_trials:
                return self.ongoing_trials[tuner_id]
            if self._retry_queue:
                trial = self.trials[self._retry_queue.pop(0)]
                begin_again(trial)
            else:
                trial = self._propose()
            if trial.status == TrialStatus.RUNNING:
                trial.record.slot = tuner_id
                self.ongoing_trials[tuner_id] = trial
                self._save_if_alone(trial)
                self._display.on_trial_begin(trial)
            return trial

    def _propose(self) -> Trial:
        number = len(self.trials)
        trial_id = f"{number:04d}"
        if self.max_trials is not None and number >= self.max_trials:
            proposal: dict[str, Any] = {"status": TrialStatus.STOPPED}
        elif (values := self._next_enqueued()) is not None:
            proposal = {"status": TrialStatus.RUNNING, "values": values}
        else:
            proposal = self.populate_space(trial_id)
        hyperparameters = HyperParameters.from_config(self.hyperparameters.get_config())
        hyperparameters.values = dict(proposal.get("values") or {})
        fields = {name: value for name, value in proposal.items() if name not in ("status", "values")}
        record = TrialRecord(trial_id, number, proposal["status"], seed=trial_seed(self.seed, number), **fields)
        trial = Trial(hyperparameters, record=record)
        if trial.status == TrialStatus.RUNNING:
            trial.hyperparameters.ensure_active_values()
            trial.snapshot()
            self.trials[trial_id] = trial
            self.start_order.append(trial_id)
            self._note_tried(trial)
        return trial

    def _next_enqueued(self) -> dict[str, Any] | None:
        while self._enqueued:
            values = self.space().check(self._enqueued.pop(0))
            if not self.has_tried(values):  # a script that resumes enqueues what it has enqueued before
                return values
        return None

    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Any:
        """Takes the metrics of a trial at a step; returns the trial."""
        with self._lock:
            trial = self.trials[trial_id]
            self._check_objective_found(metrics)
            directions = {part.name: part.direction for part in getattr(self.objective, "objectives", [self.objective])}
            for name, value in metrics.items():
                if not trial.metrics.exists(name):
                    trial.metrics.register(name, direction=directions.get(name))
                trial.metrics.update(name, value, step=step)
            self._save_if_alone(trial)
            return trial

    def report(self, trial: Any, report: Report) -> Decision:
        """Judges the metrics of one epoch; called for each epoch of each run by tuners of kt_suite."""
        return Decision.CONTINUE

    def end_trial(self, trial: Any) -> None:
        """Books a trial that ended as ``COMPLETED``, ``PRUNED``, ``INVALID`` (to be tried again if allowed) or
        ``FAILED``.

        Raises:
            SearchFailedError: Too many trials in a row have failed. The books are complete all the same.
        """
        with self._lock:
            ended = self.trials[trial.trial_id]
            ended.hyperparameters = HyperParameters.of(trial.hyperparameters)
            ended.status, ended.message = trial.status, trial.message
            self.update_space(ended.hyperparameters)
            if ended.status == TrialStatus.COMPLETED:
                self._score(ended)
            self._note_used(ended)
            self._note_tried(ended)
            self._run_times[ended.trial_id] += 1
            self.ongoing_trials = {slot: one for slot, one in self.ongoing_trials.items() if one is not ended}
            if not self._retry(ended):
                self.end_order.append(ended.trial_id)
            self._save_if_alone(ended)
            self._display.on_trial_end(ended)
            self._check_consecutive_failures()

    def _score(self, trial: Any) -> None:
        if trial.score is None:
            self.score_trial(trial)
        if trial.score is None or not math.isfinite(trial.score):
            trial.message = f"The objective {self.objective.name!r} is {trial.score}."
            trial.status, trial.score = TrialStatus.INVALID, None

    def note_asked(self, names: Iterable[str]) -> None:
        """Takes note of what building asks for: a trial whose build does not ask for it does not use it."""
        self._declared.update(names)

    def _note_used(self, trial: Any) -> None:
        record, used = trial.snapshot(), trial.hyperparameters.used
        self._declared.update(used)
        if used and record.status in (TrialStatus.COMPLETED, TrialStatus.PRUNED):
            record.used = [*used, *(name for name in record.values if name not in self._declared)]

    def _note_tried(self, trial: Trial) -> None:
        # Values of names that are not in the space (tune_new_entries=False) take no part in proposals.
        known = {hp.name for hp in self.hyperparameters.space}
        values = {name: value for name, value in trial.values.items() if name in known}
        self._tried[None].add(Space.key(values))
        if trial.record.used is not None:
            used = {name: value for name, value in trial.record.used_values.items() if name in known}
            self._tried[tuple(sorted(used))].add(Space.key(used))

    def _retry(self, trial: Any) -> bool:
        if trial.status != TrialStatus.INVALID:
            return False
        if self._run_times[trial.trial_id] > self.max_retries_per_trial:
            trial.status = TrialStatus.FAILED
            return False
        self._retry_queue.append(trial.trial_id)
        return True

    def _check_consecutive_failures(self) -> None:
        check_consecutive_failures(self)

    def update_space(self, hyperparameters: Any) -> None:
        """Takes over hyperparameters that building has met.

        Raises:
            InputError: There are some, and ``allow_new_entries`` is false.
        """
        new = [hp.name for hp in hyperparameters.space if not self.hyperparameters._exists(hp.name, hp.conditions)]
        if new and not self.allow_new_entries:
            raise InputError(rule("Hyperparameters", "be among those given (allow_new_entries=False)", new[0]))
        super().update_space(hyperparameters)

    def _check_objective_found(self, metrics: Mapping[str, float]) -> None:
        if self.objective.name not in metrics:
            check_reported(self.objective, metrics)

    # Saving

    def _save_if_alone(self, trial: Any) -> None:
        # A plain KerasTuner tuner sets a project directory and reads these files back; ours keeps everything in
        # search.db.
        if self.directory_is_set:
            self._save_trial(trial)
            self.save()

    @property
    def directory_is_set(self) -> bool:
        """Whether a plain KerasTuner tuner has given the oracle a directory to save itself in."""
        return getattr(self, "_directory", None) is not None

    def checkpoint(self) -> dict[str, Any]:
        """Returns what does not follow from the trials, JSON-able and small: it is stored at every change."""
        own = self._own_checkpoint()
        if type(self).get_state is not Oracle.get_state:  # an oracle written for KerasTuner, with state of its own
            known = Oracle.get_state(self)
            own["extra"] = {name: value for name, value in self.get_state().items() if name not in known}
        return own

    def _own_checkpoint(self) -> dict[str, Any]:
        unfinished = [*self._retry_queue, *(trial.trial_id for trial in self.ongoing_trials.values())]
        failures = {trial_id: self._run_times[trial_id] for trial_id in unfinished if self._run_times[trial_id]}
        return {"enqueued": self._enqueued, "declared": sorted(self._declared), "failures": failures}

    def restore(self, trials: Iterable[Trial], checkpoint: Mapping[str, Any]) -> None:
        """Takes up a stored search; trials that were running start again, in the order of their proposal.

        Args:
            trials: All trials in the order of their proposal.
            checkpoint: What :meth:`checkpoint` returned last.
        """
        self._enqueued = list(checkpoint.get("enqueued", []))
        self._declared |= set(checkpoint.get("declared", []))
        self._run_times.clear()
        self._run_times.update(checkpoint.get("failures", {}))
        self._tried.clear()
        self.trials, self.ongoing_trials, self.start_order, self._retry_queue = {}, {}, [], []
        finished: list[Trial] = []
        for trial in trials:
            self.trials[trial.trial_id] = trial
            self.start_order.append(trial.trial_id)
            self._note_tried(trial)
            if trial.record.is_finished:
                finished.append(trial)
            else:
                self._retry_queue.append(trial.trial_id)
        finished.sort(key=lambda trial: (trial.record.ended or 0.0, trial.number))
        self.end_order = [trial.trial_id for trial in finished]
        if "extra" in checkpoint:
            self._is_restoring = True
            self.set_state({**Oracle.get_state(self), **checkpoint["extra"]})
            self._is_restoring = False

    def get_state(self) -> dict[str, Any]:
        """Returns the state that a plain KerasTuner tuner saves."""
        return {**super().get_state(), "checkpoint": self._own_checkpoint()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores what :meth:`get_state` returned; ``self.trials`` have been loaded before."""
        if self._is_restoring:
            return
        trials = [self.trials[trial_id] for trial_id in state["start_order"]]
        super().set_state(state)
        self.hyperparameters = HyperParameters.of(self.hyperparameters)
        self.restore(trials, state["checkpoint"])

    def reload(self) -> None:
        """Takes up what a plain KerasTuner tuner has saved in the project directory."""
        self.trials = {}
        for path in sorted(Path(self._project_dir).glob("trial_*/trial.json")):
            trial = Trial.load(str(path))
            self.trials[trial.trial_id] = trial
        self.set_state(json.loads(Path(self._get_oracle_fname()).read_text(encoding="utf-8")))


def _check_integer(name: str, value: Any, *, at_least: int, optional: bool = False) -> None:
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < at_least:
        raise InputError(rule(name, f"be an integer of at least {at_least}", value))
