"""The arithmetic of a schedule of budgets, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kt_suite.brackets import Bracket


def hyperband_notes(schedule: Sequence[Bracket], iterations: float, *, is_of_data: bool) -> list[str]:
    """Returns what Hyperband is going to train: trials and epochs, in all and in each bracket.

    Args:
        schedule: The brackets of one iteration.
        iterations: How often they are gone through; ``math.inf`` for no end.
        is_of_data: Whether budgets are shares of the training data, and promoted trials start again.
    """
    num_trials = sum(bracket.num_trials for bracket in schedule)
    num_epochs = sum(bracket.num_epochs(is_continued=not is_of_data) for bracket in schedule)
    if math.isinf(iterations):
        head = f"Hyperband until it is stopped: {num_trials} trials, {num_epochs} epochs in each iteration"
    else:
        plural = "" if iterations == 1 else "s"
        totals = f"{num_trials * iterations} trials, {num_epochs * iterations} epochs in all"
        head = f"Hyperband, {iterations} iteration{plural}: {totals}"
    lines = [f"bracket {index}: {describe(one, is_of_data=is_of_data)}" for index, one in enumerate(schedule)]
    return [head, *lines]


def asynchronous_notes(bracket: Bracket, *, is_of_data: bool) -> list[str]:
    """Returns what ASHA is going to train, as far as can be known: promotions depend on who finishes when.

    Args:
        bracket: The bracket.
        is_of_data: Whether budgets are shares of the training data, and promoted trials start again.
    """
    if math.isinf(bracket.num_trials):
        budgets = ", ".join(str(rung.budget) for rung in bracket.rungs)
        return [f"ASHA until it is stopped: budgets of {budgets} epochs"]
    return [
        f"ASHA: at least {bracket.num_trials} trials, and those of promotions that later results overtake",
        describe(bracket, is_of_data=is_of_data),
    ]


def describe(bracket: Bracket, *, is_of_data: bool) -> str:
    """Returns one line: the trials of each rung, their budget, and the epochs that all of them take.

    Args:
        bracket: The bracket.
        is_of_data: Whether budgets are shares of the training data, and promoted trials start again.
    """
    num_epochs = bracket.num_epochs(is_continued=not is_of_data)
    full = bracket.rungs[-1].budget
    parts = []
    for rung in bracket.rungs:
        budget = f"on {rung.budget / full:.3g} of the data" if is_of_data else f"to epoch {rung.budget}"
        parts.append(f"{rung.num_trials} {budget}")
    cost = f"as much as {num_epochs} epochs on all of it" if is_of_data else f"{num_epochs} epochs"
    return f"{', '.join(parts)}: {cost}"
