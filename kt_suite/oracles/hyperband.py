"""Hyperband, and its asynchronous variant ASHA."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from kt_suite import brackets
from kt_suite.acquisition.encoding import evidence_of, propose_values
from kt_suite.brackets import Bracket, Standing, State
from kt_suite.errors import InputError, ProjectError, rule
from kt_suite.oracles.base import Oracle
from kt_suite.oracles.observation import Observation
from kt_suite.oracles.progress import Progress
from kt_suite.oracles.schedule_notes import asynchronous_notes, hyperband_notes
from kt_suite.oracles.untried import draw_untried
from kt_suite.space import Space
from kt_suite.trial import TrialRecord, TrialStatus

BUDGETS = ("epochs", "data")
SAMPLERS = ("random", "bayesian")
# Proposals that stay random beside a model: BOHB's rho, which keeps Hyperband's guarantees.
_RANDOM_SHARE = 1 / 3
# Failed trials for each one that was planned.
_MAX_FAILED = 10
# Points of a space that a search without end may run out of.
_MAX_SMALL = 1000

Propose = Callable[[Space, list[Observation], np.random.Generator], "dict[str, Any] | None"]


class HyperbandOracle(Oracle):
    """Trains many configurations for few epochs, and only the best of them for more.

    References: Li et al., "Hyperband: A novel bandit-based approach to hyperparameter optimization", JMLR 18,
    2018; with ``asynchronous``, Li et al., "A system for massively parallel hyperparameter tuning", MLSys
    2020 (ASHA); with ``sampler="bayesian"``, the idea of Falkner et al., "BOHB: Robust and efficient
    hyperparameter optimization at scale", ICML 2018.

    A promotion is a new trial, with the state of its parent to go on from. What differs from the papers:

    - Failed configurations are replaced, so that as many reach the full budget as without failures.
    - A configuration is promoted once it is certain to be among the best of its rung, and other brackets
      start while a rung is incomplete, so that slots stay busy.
    - In a space with fewer points than the schedule asks for, brackets share what they have: no configuration
      is trained twice to the same budget, and later brackets take the best known ones further.
    - ASHA ends: it starts as many configurations as make the epochs of ``hyperband_iterations``, and then
      fills its rungs to their planned sizes.

    Inside a plain ``keras_tuner.Tuner`` every trial is trained for as many epochs as ``search`` says, from
    scratch: only the tuners of kt_suite know of budgets.

    Args:
        objective: As for ``Oracle``.
        max_epochs: Epochs of a full training.
        factor: The best one in ``factor`` is promoted, to ``factor`` times the budget; at least 2.
        hyperband_iterations: How often the schedule is gone through; ``None`` or ``float("inf")`` for no end.
        seed, hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial,
            max_consecutive_failed_trials: As for ``Oracle``.
        asynchronous: Whether to promote without waiting for rungs to fill (ASHA).
        sampler: Where new configurations come from: ``"random"``; ``"bayesian"``, a surrogate of the highest
            budget with enough results; or a function from space, observations and generator to values, or to
            ``None``.
        budget: What is rationed: ``"epochs"``; or ``"data"``, where every trial is trained for
            ``max_epochs``, from scratch, on the share of the training data that costs as much as the epochs
            of its rung.
        min_epochs: Smallest budget.

    Raises:
        InputError: An argument out of its range.

    Example:
        >>> import kt_suite as kts
        >>> oracle = kts.oracles.HyperbandOracle(objective="val_loss", max_epochs=9, seed=0)
        >>> for line in oracle.notes():
        ...     print(line)
        Hyperband, 1 iteration: 22 trials, 69 epochs in all
        bracket 0: 9 to epoch 1, 3 to epoch 3, 1 to epoch 9: 21 epochs
        bracket 1: 5 to epoch 3, 1 to epoch 9: 21 epochs
        bracket 2: 3 to epoch 9: 27 epochs
    """

    def __init__(
        self,
        objective: Any = None,
        max_epochs: int = 100,
        factor: float = 3,
        hyperband_iterations: float | None = 1,
        seed: int | None = None,
        hyperparameters: Any = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        asynchronous: bool = False,
        sampler: str | Propose = "random",
        budget: str = "epochs",
        min_epochs: int = 1,
    ) -> None:
        super().__init__(
            objective=objective,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        self.max_epochs, self.factor, self.min_epochs = max_epochs, factor, min_epochs
        self.hyperband_iterations = _iterations(hyperband_iterations)
        self.asynchronous = asynchronous
        self.budget = _one_of("budget", budget, BUDGETS)
        self.sampler = sampler if callable(sampler) else _one_of("sampler", sampler, SAMPLERS)
        if sampler == "random":
            self.max_pending = None
        self._budgets = brackets.budgets(max_epochs, factor, min_epochs)
        self._brackets = self._schedule()
        self._num_brackets = 1 if asynchronous else len(self._brackets) * self.hyperband_iterations
        self._queue: list[dict[str, Any]] = []
        # Trials that count in other brackets too: bracket, rung, trial.
        self._borrowed: list[tuple[int, int, str]] = []
        self._forget()

    def _forget(self) -> None:
        """Starts anew what follows from the trials and ``_borrowed``."""
        self._finished: set[int] = set()
        self._seen = Progress(self.objective.direction, len(self._budgets))
        self._num_seen = 0

    def _schedule(self) -> list[Bracket]:
        arguments = (self.max_epochs, self.factor, self.min_epochs)
        if self.asynchronous:
            return [brackets.asynchronous(*arguments, self.hyperband_iterations)]
        return brackets.hyperband(*arguments)

    def why_stopped(self) -> str:
        """Returns that the schedule has been gone through."""
        return "the schedule is done"

    def notes(self) -> list[str]:
        """Returns the arithmetic of the schedule: trials and epochs of each rung, for one run a trial."""
        is_of_data = self.budget == "data"
        if self.asynchronous:
            lines = asynchronous_notes(self._brackets[0], is_of_data=is_of_data)
        else:
            lines = hyperband_notes(self._brackets, self.hyperband_iterations, is_of_data=is_of_data)
        if self._is_small:
            lines.append(f"The space has only {self.space().size()} points: rungs hold no more, brackets share them")
        return lines

    @property
    def _is_small(self) -> bool:
        """Whether the schedule may run out of points."""
        size = self.space().size()
        iterations = 1 if self.asynchronous else self.hyperband_iterations
        planned = iterations * sum(bracket.rungs[0].num_trials for bracket in self._brackets)
        return size is not None and size <= min(planned, _MAX_SMALL)

    # Proposals

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns a promotion or a new configuration, of the oldest bracket that has one to offer."""
        num_empty = 0
        for index in itertools.count():
            # After a whole iteration without trials of its own, nothing is left to be trained.
            if index >= self._num_brackets or num_empty == len(self._brackets):
                break
            if index in self._finished:
                continue
            proposal = self._advance(index, trial_id)
            if proposal is not None:
                return proposal
            num_empty = 0 if index in self._progress.brackets else num_empty + 1
        return {"status": TrialStatus.IDLE if self._progress.pending else TrialStatus.STOPPED}

    def _advance(self, index: int, trial_id: str) -> dict[str, Any] | None:
        """Returns what a bracket has to propose now, if anything."""
        while True:
            standing = self._standing(index, has_source=True)
            step = _promotion(standing)
            if step is None and standing.num_missing():
                values = self._new_values(trial_id) if _may_replace(standing) else None
                if values is not None:
                    return self._place(index, 0, values)
                entrants = self._progress.entrants(index)
                if entrants:
                    step = (0, entrants[0])
                elif not self._progress.may_get_entrants(index):
                    standing = self._standing(index, has_source=False)
                    step = _promotion(standing)
            if step is None:
                if standing.is_finished:
                    self._finished.add(index)
                return None
            proposal = self._send(index, *step)
            if proposal is not None:
                return proposal

    @property
    def _progress(self) -> Progress:
        """What has become of the trials so far."""
        new = self.start_order[self._num_seen :]
        self._seen.update(self.trials[trial_id].record for trial_id in new)
        self._num_seen += len(new)
        return self._seen

    def _standing(self, index: int, has_source: bool) -> Standing:
        bracket = self._brackets[index % len(self._brackets)]
        return Standing(
            bracket,
            self._progress.rungs(index, len(bracket.rungs)),
            factor=self.factor,
            has_source=has_source,
            is_asynchronous=self.asynchronous,
        )

    def _send(self, index: int, rung: int, config: str) -> dict[str, Any] | None:
        """Returns the trial that trains a configuration to a rung; ``None`` where one has: it counts."""
        progress = self._progress
        trials, level = progress.trials_of[config], progress.level(index, rung)
        if level not in trials:
            parent = trials[max(one for one in trials if one < level)]
            return self._place(index, rung, parent.values, parent)
        place = (index, rung, trials[level].trial_id)
        self._borrowed.append(place)
        progress.borrow(*place)
        return None

    def _place(
        self, index: int, rung: int, values: Mapping[str, Any], parent: TrialRecord | None = None
    ) -> dict[str, Any]:
        place = {"bracket": index, "rung": rung, **self._grant(self._progress.level(index, rung))}
        if parent is not None:
            place["parent"] = parent.trial_id
            if self.keeps_state(parent.trial_id):
                place["initial_epoch"] = _epochs_done(parent)
        return {"status": TrialStatus.RUNNING, "values": dict(values), **place}

    def _grant(self, level: int) -> dict[str, Any]:
        """Returns what a trial of a level may use."""
        epochs = self._budgets[level]
        share = epochs / self.max_epochs
        if self.budget == "data":
            return {"budget": self.max_epochs, "data_share": share, "fidelity": share}
        return {"budget": epochs, "data_share": 1.0, "fidelity": share}

    def _new_values(self, trial_id: str) -> dict[str, Any] | None:
        """Returns values that no trial has had: enqueued ones, then the model's, or random ones."""
        if self._queue:
            return self.space().check(self._queue.pop(0))
        rng = self.generator(trial_id, stream=1)
        if self.sampler != "random" and rng.random() >= _RANDOM_SHARE:
            observations = self._observations()
            propose = self.sampler if callable(self.sampler) else self._propose_from_model
            values = propose(self.space(), observations, rng) if observations else None
            if values is not None and not self.has_tried(values):
                return values
        return draw_untried(self, self.space(), trial_id)

    def _propose_from_model(
        self, space: Space, observations: list[Observation], rng: np.random.Generator
    ) -> dict[str, Any] | None:
        evidence = evidence_of(space, observations, [self.loss(one) for one in observations])
        proposed = propose_values(space, evidence, rng, has_tried=self.has_tried) if len(space) else []
        return proposed[0] if proposed else None

    def _observations(self) -> list[Observation]:
        """Returns what each configuration tells of the highest budget with enough results; nothing without one."""
        progress = self._progress
        for level in reversed(range(len(self._budgets))):
            if progress.num_done(level) >= len(self.space()) + 2:
                share = self._budgets[level] / self.max_epochs
                return [_observation(trials, level, share) for trials in progress.trials_of.values()]
        return []

    # The base's hooks

    def enqueue(self, values: Mapping[str, Any]) -> None:
        with self._lock:
            super().enqueue(values)
            # Taken by the next rung that has room for a new configuration: it gets that rung's budget.
            self._queue.append(self._enqueued.pop())

    def keeps_state(self, trial_id: str) -> bool:
        """Whether the trial may yet be promoted, or its promotion may have to be trained again."""
        record, progress = self.trials[trial_id].record, self._progress
        if self.budget == "data" or record.rung is None or record.status in (TrialStatus.FAILED, TrialStatus.PRUNED):
            return False
        level = progress.level(record.bracket or 0, record.rung)
        higher = [other for one, other in progress.trials_of[progress.config_of[trial_id]].items() if one > level]
        if higher:
            return any(other.parent == trial_id and not other.is_finished for other in higher)
        if level + 1 == len(self._budgets):
            return False
        return not record.is_finished or record.bracket not in self._finished or self._is_small

    def get_best_trials(self, num_trials: int = 1) -> list[Any]:
        """Returns the best completed trials, best first, and of each configuration only the best."""
        best: dict[str, Any] = {}
        for trial in super().get_best_trials(len(self.trials)):
            best.setdefault(self._progress.config_of.get(trial.trial_id, trial.trial_id), trial)
        return list(best.values())[:num_trials]

    def _own_checkpoint(self) -> dict[str, Any]:
        return {**super()._own_checkpoint(), "queue": self._queue, "borrowed": self._borrowed}

    def restore(self, trials: Iterable[Any], checkpoint: Mapping[str, Any]) -> None:
        super().restore(trials, checkpoint)
        self._queue = list(checkpoint.get("queue", []))
        self._borrowed = [(bracket, rung, trial_id) for bracket, rung, trial_id in checkpoint.get("borrowed", [])]
        self._forget()
        for trial in self.trials.values():
            self._check_place(trial.record)
        for place in self._borrowed:
            self._progress.borrow(*place)

    def _check_place(self, record: TrialRecord) -> None:
        """Raises ``ProjectError`` for a trial that this schedule would not have made."""
        if record.rung is None or record.bracket is None:
            return
        level = self._progress.level(record.bracket, record.rung)
        is_known = level < len(self._budgets) and not (self.asynchronous and record.bracket > 0)
        grant = self._grant(level) if is_known else {}
        if record.status == TrialStatus.PRUNED:
            grant.pop("fidelity", None)  # lower than planned, as the trial was cut short
        if not is_known or any(getattr(record, name) != value for name, value in grant.items()):
            given = f"max_epochs={self.max_epochs}, factor={self.factor}, min_epochs={self.min_epochs}"
            given += f", budget={self.budget!r}, asynchronous={self.asynchronous}"
            must = "be the one that the stored search began with"
            raise ProjectError(
                rule("The schedule", must, given, "Give the arguments of then, or another project_name.")
            )


def _promotion(standing: Standing) -> tuple[int, str] | None:
    """Returns the highest rung that may get a configuration from below, and the best that it may get."""
    for rung in reversed(range(len(standing.rungs))):
        promotions = standing.promotions(rung)
        if promotions:
            return rung + 1, promotions[0]
    return None


def _observation(trials: Mapping[int, TrialRecord], level: int, share: float) -> Observation:
    """Returns what the trials of a configuration tell of a level, whose fidelity is ``share``.

    Unlike in BOHB, those that stayed below it count, at the lower fidelity: a model that did not hear of them would
    propose their neighbours over and over.
    """
    ordered = sorted(trials.items())
    failed = [record for _, record in ordered if record.status == TrialStatus.FAILED]
    done = [record for one, record in ordered if one <= level and record.status == TrialStatus.COMPLETED]
    observation = Observation.of((failed or done or [ordered[-1][1]])[-1])
    fidelity = 1.0 if observation.score is None else min(1.0, observation.fidelity / share)
    return dataclasses.replace(observation, fidelity=fidelity)


def _may_replace(standing: Standing) -> bool:
    """Whether failures on the lowest rung are still replaced: not for ever, where next to nothing trains."""
    num_failed = sum(entry.state is State.FAILED for entry in standing.rungs[0].values())
    return num_failed < _MAX_FAILED * standing.bracket.rungs[0].num_trials


def _epochs_done(record: TrialRecord) -> int:
    """The epochs that a finished trial stands at: fewer than its budget where a callback stopped it."""
    if not record.epochs or record.budget is None:
        return record.budget or 0
    return min(record.budget, record.initial_epoch + record.epochs // max(1, len(record.runs)))


def _iterations(value: Any) -> float:
    if value is None or value == math.inf:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(rule("hyperband_iterations", "be an integer of at least 1, or infinite", value))
    return value


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InputError(rule(name, f"be one of {list(known)}", value))
    return str(value)
