"""Rung arithmetic: how many configurations get how many epochs, and which of them go on.

Pure functions and values: no oracle, no randomness, no clock. Schedules are those of Li et al., "Hyperband: A
novel bandit-based approach to hyperparameter optimization", JMLR 18, 2018, and Li et al., "A system for
massively parallel hyperparameter tuning", MLSys 2020 (ASHA).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kt_suite.errors import InputError, rule


@dataclass(frozen=True)
class Rung:
    """One level of a bracket.

    Attributes:
        num_trials: Configurations to be trained to this level; ``math.inf`` where a search has no end.
        budget: Epochs that each of them is trained for in all, at least 1.
    """

    num_trials: float
    budget: int


@dataclass(frozen=True)
class Bracket:
    """A ladder of rungs, each with fewer configurations and more epochs than the one before.

    Attributes:
        rungs: The rungs, lowest budget first.
    """

    rungs: tuple[Rung, ...]

    def num_epochs(self, *, is_continued: bool = True) -> float:
        """Returns the epochs that the bracket costs when every rung is filled.

        Args:
            is_continued: Whether a promoted configuration goes on where it was, or starts again.
        """
        before = [0, *(rung.budget for rung in self.rungs)] if is_continued else [0] * len(self.rungs)
        return sum(rung.num_trials * (rung.budget - done) for rung, done in zip(self.rungs, before, strict=False))

    @property
    def num_trials(self) -> float:
        """Trials in all rungs together."""
        return sum(rung.num_trials for rung in self.rungs)


def budgets(max_epochs: int, factor: float, min_epochs: int = 1) -> list[int]:
    """Returns the budgets that all brackets share, in epochs, rising by ``factor`` to ``max_epochs``.

    The paper's ``r = R / factor**s`` is rounded to the nearest whole epoch.

    Args:
        max_epochs: Epochs of a full training, ``R`` in the paper.
        factor: Reduction factor, ``eta`` in the paper.
        min_epochs: Epochs that the smallest budget has at least.

    Raises:
        InputError: ``factor`` below 2, epochs that are not whole and positive, or a minimum above the
            maximum.
    """
    check_factor(factor)
    check_epochs("max_epochs", max_epochs)
    check_epochs("min_epochs", min_epochs)
    if min_epochs > max_epochs:
        raise InputError(rule("min_epochs", f"be at most max_epochs={max_epochs}", min_epochs))
    # Counted, not taken from logarithms: log(243, 3) is 4.999...
    num_halvings = 0
    while min_epochs * factor ** (num_halvings + 1) <= max_epochs:
        num_halvings += 1
    return [math.floor(max_epochs / factor**power + 0.5) for power in range(num_halvings, -1, -1)]


def hyperband(max_epochs: int, factor: float = 3, min_epochs: int = 1) -> list[Bracket]:
    """Returns the brackets of one Hyperband iteration (algorithm 1), the one with the smallest budget first.

    Args:
        max_epochs: Epochs of a full training.
        factor: Reduction factor.
        min_epochs: Epochs that the smallest budget has at least.

    Raises:
        InputError: As :func:`budgets`.

    Example:
        >>> from kt_suite.brackets import hyperband
        >>> [[(rung.num_trials, rung.budget) for rung in bracket.rungs] for bracket in hyperband(9)]
        [[(9, 1), (3, 3), (1, 9)], [(5, 3), (1, 9)], [(3, 9)]]
    """
    levels = budgets(max_epochs, factor, min_epochs)
    brackets = []
    for s in range(len(levels) - 1, -1, -1):
        num_trials = math.ceil(len(levels) * factor**s / (s + 1))
        sizes = [int(num_trials // factor**i) for i in range(s + 1)]
        brackets.append(Bracket(tuple(map(Rung, sizes, levels[len(levels) - 1 - s :]))))
    return brackets


def asynchronous(max_epochs: int, factor: float = 3, min_epochs: int = 1, iterations: float = 1) -> Bracket:
    """Returns the one bracket of ASHA, with about as many epochs as that many Hyperband iterations.

    ASHA has no end of its own. Here it starts as many configurations as if the most aggressive bracket of
    Hyperband took the place of each of the others.

    Args:
        max_epochs: Epochs of a full training.
        factor: Reduction factor.
        min_epochs: Epochs that the smallest budget has at least.
        iterations: Hyperband iterations to match; ``math.inf`` for a bracket without end.

    Raises:
        InputError: As :func:`budgets`.
    """
    brackets = hyperband(max_epochs, factor, min_epochs)
    first = brackets[0].rungs
    num_trials = first[0].num_trials * len(brackets) * iterations
    sizes = [num_trials if math.isinf(num_trials) else int(num_trials // factor**i) for i in range(len(first))]
    return Bracket(tuple(Rung(size, rung.budget) for size, rung in zip(sizes, first, strict=True)))


class State(enum.Enum):
    """What has become of a configuration on a rung."""

    PENDING = "pending"
    DONE = "done"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True)
class Entry:
    """A configuration on a rung.

    Attributes:
        trial_id: The trial that trained it, or is training it, to this level.
        number: Position of the trial in the order of proposals: the earlier of equals is the better.
        state: What has become of it.
        loss: Its objective as something to minimise; only looked at where ``state`` is ``DONE``.
    """

    trial_id: str
    number: int
    state: State
    loss: float = math.inf


class Standing:
    """Who stands where on the rungs of a bracket, and who may go on.

    A configuration that fails is replaced: on the lowest rung by a new one, above by the best of those that
    stayed behind. So as many reach the full budget as if none had failed, as long as there are enough of
    them. A pruned one keeps its place on its rung, and never leaves it.

    Synchronous halving promotes a configuration as soon as it is certain to be among the best of its full
    rung: the same ones that waiting for the last would promote, only earlier. Asynchronous halving (ASHA)
    promotes whoever is among the best ``1/factor`` of those that have finished the rung so far. Once nothing
    more can come to a rung, both fill the next one to its planned size, so that a space with few points is
    searched to the full budget too.

    Args:
        bracket: The plan.
        rungs: For each rung, configuration to entry.
        factor: Reduction factor.
        has_source: Whether new configurations may still come to the lowest rung.
        is_asynchronous: Whether to promote as ASHA does.
    """

    def __init__(
        self,
        bracket: Bracket,
        rungs: Sequence[Mapping[str, Entry]],
        *,
        factor: float,
        has_source: bool,
        is_asynchronous: bool = False,
    ) -> None:
        self.bracket = bracket
        self.rungs = rungs
        self._factor = factor
        self._is_asynchronous = is_asynchronous
        self._required = self._sizes()
        self._to_come: list[float] = []
        self._promotions: list[list[str]] = []
        is_fed = has_source
        for index in range(len(rungs)):
            # Entries that are going to end: those in training, and those that the rung lacks and may get.
            lacking = self.num_missing(index) if is_fed else 0
            self._to_come.append(self._num(index, State.PENDING) + lacking)
            self._promotions.append(self._best(index))
            is_fed = bool(self._to_come[-1] or self._promotions[-1])

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen in the bracket."""
        return not any(self._to_come) and not any(self._promotions)

    def num_missing(self, index: int = 0) -> float:
        """Returns how many configurations a rung lacks."""
        occupied = self._num(index, State.PENDING, State.DONE, State.PRUNED)
        return max(0, self._required[index] - occupied)

    def promotions(self, index: int) -> list[str]:
        """Returns the configurations of a rung that may go on to the next now, best first."""
        return self._promotions[index]

    def _sizes(self) -> list[float]:
        """The sizes of the rungs: as planned, or more where so many fell out that the next would starve."""
        sizes = [self.bracket.rungs[-1].num_trials]
        failed_above = set(_failed(self.rungs[-1]))
        for planned, entries in zip(self.bracket.rungs[-2::-1], self.rungs[-2::-1], strict=True):
            num_fallen = sum(config in failed_above or entry.state is State.PRUNED for config, entry in entries.items())
            sizes.append(max(planned.num_trials, sizes[-1] + num_fallen))
            failed_above.update(_failed(entries))
        return sizes[::-1]

    def _best(self, index: int) -> list[str]:
        if index + 1 == len(self.rungs):
            return []
        above = self.rungs[index + 1]
        failed_above = set(_failed(above))
        done = [
            (entry.loss, entry.number, config)
            for config, entry in self.rungs[index].items()
            if entry.state is State.DONE and config not in failed_above
        ]
        quota = max(0, min(self._quota(index), len(done)))
        return [config for _, _, config in sorted(done)[: int(quota)] if config not in above]

    def _quota(self, index: int) -> float:
        """How many of the best on a rung may be on the next one."""
        if self._is_asynchronous and self._to_come[index]:
            return self._num(index, State.DONE, State.PRUNED) // self._factor
        # Those still to come may all turn out better than any that are here.
        return self._required[index + 1] - self._to_come[index]

    def _num(self, index: int, *states: State) -> int:
        return sum(entry.state in states for entry in self.rungs[index].values())


def _failed(entries: Mapping[str, Entry]) -> Iterator[str]:
    return (config for config, entry in entries.items() if entry.state is State.FAILED)


def check_factor(factor: Any) -> None:
    """Raises ``InputError`` unless ``factor`` is a number of at least 2."""
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 2 <= factor < math.inf:
        raise InputError(rule("factor", "be a number of at least 2", factor))


def check_epochs(name: str, value: Any) -> None:
    """Raises ``InputError`` unless ``value`` is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(rule(name, "be an integer of at least 1", value))
