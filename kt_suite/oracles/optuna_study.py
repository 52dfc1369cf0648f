"""An Optuna study that follows the trials of an oracle."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kt_suite.errors import InputError, MissingExtraError, rule
from kt_suite.oracles.base import Oracle
from kt_suite.oracles.optuna_parameters import OptunaParameter, optuna_parameters
from kt_suite.oracles.untried import draw_untried
from kt_suite.trial import TrialRecord, TrialStatus

# Proposals that may all be repeats before an untried point is drawn at random.
_MAX_REPEATS = 8
_SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "tpe": ("TPESampler", {"constant_liar": True}),
    "gp": ("GPSampler", {}),
    "cmaes": ("CmaEsSampler", {}),
    "nsga2": ("NSGAIISampler", {}),
    "nsga3": ("NSGAIIISampler", {}),
    "qmc": ("QMCSampler", {"scramble": True}),
    "random": ("RandomSampler", {}),
    "brute_force": ("BruteForceSampler", {}),
}
_NEEDED = {"CmaEsSampler": "cmaes", "GPSampler": "torch"}
# What these propose follows from the trials and the generator alone.
_MEMORYLESS = ("TPESampler", "GPSampler", "RandomSampler", "BruteForceSampler")

Scores = Callable[[str], "Sequence[float] | None"]


class OptunaStudy:
    """An Optuna study in memory that holds the trials of an oracle, and proposes values for new ones.

    A trial that ended is told to Optuna as complete; as pruned, with its score as its last intermediate value
    and the epochs trained as its step; or as failed, which Optuna's samplers pass over. A proposal that
    repeats a trial is told as failed, and Optuna is asked again; after a few of these in a row the values are
    drawn at random from those that are left.

    **Randomness**: every generator inside the sampler is seeded anew before each proposal, from the oracle's
    seed and the trial. A seed that the sampler was made with is not used. **Resuming**: the study is built
    again from the oracle's trials. Samplers that keep notes of their own while they propose (CMA-ES, NSGA-II,
    QMC, a grid, samplers that Optuna does not bring) are asked for all their proposals once more, in the
    order of :meth:`checkpoint`; nothing of theirs is read from disk. A sampler of anyone's goes on as if
    uninterrupted if it draws from generators that are among its attributes.

    **Thread safety**: none of its own; an oracle calls it inside its lock.

    Args:
        sampler: An ``optuna.samplers.BaseSampler``, which is copied, or the name of one.
        objectives: Objectives with a ``name`` and a ``direction``.
        scores: From the id of a trial to its scores, one for each objective, or ``None`` without usable ones.

    Raises:
        MissingExtraError: Optuna is not installed.
        InputError: The sampler is neither a sampler nor a known name, or lacks a package that it needs.
    """

    def __init__(self, sampler: Any, objectives: Sequence[Any], scores: Scores) -> None:
        self._optuna = _import_optuna()
        with self._quiet():
            self._template = _create_sampler(self._optuna, sampler)
        self._directions = ["maximize" if one.direction == "max" else "minimize" for one in objectives]
        self._scores = scores
        of_optuna = type(self._template).__module__.startswith("optuna.samplers")
        self._is_memoryless = of_optuna and type(self._template).__name__ in _MEMORYLESS
        # For each trial that the sampler proposed: its number, the repeats before it, and the numbers of trials
        # that had ended since the one before.
        self._log: list[tuple[int, int, list[int]]] = []
        self._told: list[int] = []
        self._study: Any = None

    def checkpoint(self) -> list[Any]:
        """Returns how the trials came about, JSON-able; nothing for samplers that keep no notes."""
        return [list(entry) for entry in self._log]

    def restore(self, checkpoint: Sequence[Any]) -> None:
        """Takes up what :meth:`checkpoint` returned; the study is built with the next proposal."""
        self._log = [(int(number), int(repeats), list(told)) for number, repeats, told in checkpoint]
        self._study = None

    def propose(self, oracle: Oracle, trial_id: str) -> dict[str, Any] | None:
        """Returns the values of a new trial, or ``None`` when the space, or the sampler's own grid, is exhausted."""
        with self._quiet():
            parameters = self._follow(oracle)
            for repeats in range(_MAX_REPEATS):
                if self._is_over:
                    return None
                trial = self._ask(oracle, trial_id, repeats)
                values = _walk(parameters, trial)
                if not oracle.has_tried(values):
                    break
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
            else:
                repeats = _MAX_REPEATS
                untried = None if self._has_grid else draw_untried(oracle, oracle.space(), trial_id)
                if untried is None:
                    return None
                trial, values = self._blank(), untried
            self._note(parameters, trial, values)
            self._join(trial)
            if not self._is_memoryless:
                self._log.append((self._num_trials - 1, repeats, self._told))
                self._told = []
            return values

    def study_of(self, oracle: Oracle) -> Any:
        """Returns the ``optuna.Study``, brought up to date with the oracle's trials."""
        with self._quiet():
            self._follow(oracle)
        return self._study

    def _follow(self, oracle: Oracle) -> list[OptunaParameter]:
        """Brings the study up to date; returns the parameters of today's space."""
        parameters = optuna_parameters(oracle.space())
        if self._study is None:
            self._rebuild(oracle, parameters)
        self._join_others(oracle, parameters, len(oracle.start_order))
        for number, trial in list(self._pending.items()):
            record = oracle.trials[oracle.start_order[number]].record
            self._note(parameters, trial, record.values)
            if record.is_finished:
                self._tell(number, record)
                self._told.append(number)
        return parameters

    def _rebuild(self, oracle: Oracle, parameters: list[OptunaParameter]) -> None:
        storage = self._optuna.storages.InMemoryStorage()
        sampler = copy.deepcopy(self._template)
        _seed_once(sampler, oracle.seed)
        self._study = self._optuna.create_study(
            storage=storage, sampler=sampler, directions=self._directions, pruner=self._optuna.pruners.NopPruner()
        )
        # Optuna's own only works inside Study.optimize.
        self._study.stop = self._note_over
        self._is_over = False
        self._num_trials = 0
        self._pending: dict[int, Any] = {}
        self._told = []
        for number, repeats, told in [] if self._is_memoryless else self._log:
            self._join_others(oracle, parameters, number)
            for ended in told:
                self._tell(ended, oracle.trials[oracle.start_order[ended]].record)
            self._repropose(oracle, parameters, oracle.start_order[number], repeats)

    def _repropose(self, oracle: Oracle, parameters: list[OptunaParameter], trial_id: str, repeats: int) -> None:
        values = oracle.trials[trial_id].record.values
        for attempt in range(repeats):
            trial = self._ask(oracle, trial_id, attempt)
            _walk(parameters, trial)
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        if repeats == _MAX_REPEATS:
            trial = self._blank()
        else:
            trial = self._ask(oracle, trial_id, repeats)
            _walk(parameters, trial, values)
        self._note(parameters, trial, values)
        self._join(trial)

    def _join_others(self, oracle: Oracle, parameters: list[OptunaParameter], end: int) -> None:
        """Has trials before number ``end`` join that the sampler need not be asked for: enqueued or stored ones."""
        for trial_id in oracle.start_order[self._num_trials : end]:
            trial = self._blank()
            self._note(parameters, trial, oracle.trials[trial_id].record.values)
            self._join(trial)

    def _join(self, trial: Any) -> None:
        self._pending[self._num_trials] = trial
        self._num_trials += 1

    def _ask(self, oracle: Oracle, trial_id: str, attempt: int) -> Any:
        if self._is_memoryless:
            # Caches of fitted models would make proposals depend on whether there has been an interruption.
            self._study.sampler = copy.deepcopy(self._template)
        rng = oracle.generator(trial_id, stream=1 + attempt)
        for state in _random_states(self._study.sampler):
            _reseed(state, int(rng.integers(2**32)))
        return self._study.ask()

    def _blank(self) -> Any:
        # An enqueued trial without values: no sampler proposes for it, or counts it as its own.
        self._study.enqueue_trial({})
        return self._study.ask()

    def _note(self, parameters: list[OptunaParameter], trial: Any, values: Mapping[str, Any]) -> None:
        """Has an Optuna trial hold exactly ``values``, as they are after rounding and building."""
        held = trial.storage.get_trial(trial._trial_id).params
        for parameter in parameters:
            if parameter.takes(values):
                raw = parameter.encode(values[parameter.name])
                if parameter.key not in held or held[parameter.key] != raw:
                    internal = parameter.distribution.to_internal_repr(raw)
                    trial.storage.set_trial_param(trial._trial_id, parameter.key, internal, parameter.distribution)

    def _tell(self, number: int, record: TrialRecord) -> None:
        trial, states = self._pending.pop(number), self._optuna.trial.TrialState
        scores = self._scores(record.trial_id)
        if scores is None:
            self._study.tell(trial, state=states.FAIL)
        elif record.status == TrialStatus.PRUNED:
            if len(scores) == 1:
                trial.report(scores[0], step=record.epochs)
            self._study.tell(trial, state=states.PRUNED)
        else:
            self._study.tell(trial, list(scores))

    def _note_over(self) -> None:
        self._is_over = True

    @property
    def _has_grid(self) -> bool:
        return isinstance(self._template, self._optuna.samplers.GridSampler)

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[None]:
        """Silences Optuna while it works for us, and only then."""
        logging = self._optuna.logging
        verbosity = logging.get_verbosity()
        logging.set_verbosity(logging.ERROR)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
                yield
        finally:
            logging.set_verbosity(verbosity)


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "optuna") from error
    return optuna


def _create_sampler(optuna: Any, sampler: Any) -> Any:
    is_sampler = isinstance(sampler, optuna.samplers.BaseSampler)
    if not is_sampler and (not isinstance(sampler, str) or sampler not in _SAMPLERS):
        must = f"be an optuna.samplers.BaseSampler or one of {sorted(_SAMPLERS)}"
        raise InputError(rule("sampler", must, sampler))
    name, options = (type(sampler).__name__, {}) if is_sampler else _SAMPLERS[sampler]
    # Optuna would say so in the middle of the search.
    needed = _NEEDED.get(name)
    if needed is not None and importlib.util.find_spec(needed) is None:
        raise InputError(rule("sampler", f"find the package {needed!r}", sampler, f"Run: pip install {needed}"))
    return copy.deepcopy(sampler) if is_sampler else getattr(optuna.samplers, name)(**options)


def _walk(parameters: list[OptunaParameter], trial: Any, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Asks an Optuna trial for all active parameters, parents first, along ``values`` where they are given."""
    chosen: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.is_active(chosen) and (values is None or parameter.name in values):
            proposed = parameter.suggest(trial)
            chosen[parameter.name] = proposed if values is None else values[parameter.name]
    return chosen


def _parts(sampler: Any) -> Iterator[Any]:
    """Yields a sampler and what it is made of, as far as that is code of its own package or of Optuna."""
    packages = {"optuna", type(sampler).__module__.split(".")[0]}
    seen: set[int] = set()
    waiting = [sampler]
    while waiting:
        part = waiting.pop(0)
        if type(part).__name__ == "LazyRandomState":
            part = part.rng
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, (list, tuple)):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
        elif type(part).__module__.split(".")[0] in packages:
            waiting += getattr(part, "__dict__", {}).values()


def _random_states(sampler: Any) -> Iterator[Any]:
    for part in _parts(sampler):
        if isinstance(part, (np.random.RandomState, np.random.Generator, random.Random)):
            yield part


def _reseed(state: Any, seed: int) -> None:
    if isinstance(state, np.random.Generator):
        state.bit_generator.state = type(state.bit_generator)(seed).state
    else:
        state.seed(seed)


def _seed_once(sampler: Any, seed: int) -> None:
    # The sequence of QMCSampler hangs on a number, not on a generator.
    for part in _parts(sampler):
        if isinstance(getattr(part, "_seed", None), (int, np.integer)):
            part._seed = seed
