"""Rung arithmetic: schedules, costs, and who may go on."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kt_suite.brackets import Bracket, Entry, Rung, Standing, State, asynchronous, budgets, hyperband
from kt_suite.errors import InputError


def sizes(bracket: Bracket) -> list[tuple[float, int]]:
    return [(rung.num_trials, rung.budget) for rung in bracket.rungs]


def test_the_schedule_is_that_of_the_paper() -> None:
    # Li et al., JMLR 2018, algorithm 1 with R = 81 and eta = 3.
    assert [sizes(bracket) for bracket in hyperband(81, 3)] == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]


def test_a_power_of_the_factor_loses_no_bracket_to_rounding() -> None:
    assert math.log(243, 3) < 5  # what counting with logarithms would do
    assert budgets(243, 3) == [1, 3, 9, 27, 81, 243]
    assert budgets(1000, 10) == [1, 10, 100, 1000]


@pytest.mark.parametrize("max_epochs", [1, 2, 5, 10, 27, 50, 100])
@pytest.mark.parametrize("factor", [2, 2.5, 3, 4])
def test_every_bracket_rises_to_the_full_budget_and_thins_out(max_epochs: int, factor: float) -> None:
    for bracket in hyperband(max_epochs, factor):
        levels = [rung.budget for rung in bracket.rungs]
        counts = [rung.num_trials for rung in bracket.rungs]
        assert levels == sorted(set(levels))
        assert levels[-1] == max_epochs
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] >= 1
        assert all(isinstance(count, int) for count in counts)


def test_the_smallest_budget_is_respected() -> None:
    assert budgets(81, 3, min_epochs=3) == [3, 9, 27, 81]
    assert budgets(81, 3, min_epochs=4) == [9, 27, 81]
    assert budgets(7, 3, min_epochs=7) == [7]


def test_the_cost_counts_only_epochs_that_are_trained() -> None:
    bracket = hyperband(9, 3)[0]
    assert bracket.num_epochs() == 9 * 1 + 3 * 2 + 1 * 6
    assert bracket.num_epochs(is_continued=False) == 9 * 1 + 3 * 3 + 1 * 9
    assert bracket.num_trials == 13


def test_asha_is_planned_for_about_the_epochs_of_hyperband() -> None:
    for max_epochs in (9, 27, 81, 100):
        cost = sum(bracket.num_epochs() for bracket in hyperband(max_epochs))
        assert 0.8 * cost < asynchronous(max_epochs).num_epochs() <= cost
        assert (
            asynchronous(max_epochs, iterations=2).rungs[0].num_trials
            == 2 * asynchronous(max_epochs).rungs[0].num_trials
        )


def test_asha_without_end_has_rungs_without_bound() -> None:
    assert sizes(asynchronous(9, 3, iterations=math.inf)) == [(math.inf, 1), (math.inf, 3), (math.inf, 9)]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((0, 3), "max_epochs"),
        ((-1, 3), "max_epochs"),
        ((2.5, 3), "max_epochs"),
        ((True, 3), "max_epochs"),
        ((9, 1), "factor"),
        ((9, 1.9), "factor"),
        ((9, math.nan), "factor"),
        ((9, math.inf), "factor"),
        ((9, "3"), "factor"),
        ((9, 3, 0), "min_epochs"),
        ((9, 3, 10), "min_epochs"),
    ],
)
def test_bad_arguments_are_named(arguments: Any, what: str) -> None:
    with pytest.raises(InputError, match=f"{what} must be .*, but got"):
        hyperband(*arguments)


# Standing

PLAN = Bracket((Rung(6, 1), Rung(2, 3), Rung(1, 9)))


def rung(states: str, losses: str = "", first: int = 0) -> dict[str, Entry]:
    """Returns configurations a, b, c, ... in the states given: d(one), r(unning), p(runed), f(ailed)."""
    known = {"d": State.DONE, "r": State.PENDING, "p": State.PRUNED, "f": State.FAILED}
    names = "abcdefghijkl"
    values = [float(digit) for digit in losses] or [float(index) for index in range(len(states))]
    entries = zip(names, states, values, strict=False)
    return {
        name: Entry(name, first + index, known[state], loss)
        for index, (name, state, loss) in enumerate(entries)
        if state != "-"
    }


def standing(*rungs: dict[str, Entry], has_source: bool = True, is_asynchronous: bool = False) -> Standing:
    return Standing(
        PLAN,
        [*rungs, *({} for _ in range(3 - len(rungs)))],
        factor=3,
        has_source=has_source,
        is_asynchronous=is_asynchronous,
    )


def test_a_full_rung_promotes_its_best_the_earlier_of_equals_first() -> None:
    assert standing(rung("dddddd", "312211")).promotions(0) == ["b", "e"]


def test_a_configuration_is_promoted_once() -> None:
    assert standing(rung("dddddd"), rung("rr")).promotions(0) == []
    assert standing(rung("dddddd"), rung("r")).promotions(0) == ["b"]


def test_who_is_certainly_among_the_best_need_not_wait_for_the_rest() -> None:
    assert standing(rung("ddddrr")).promotions(0) == []  # both of the running ones may be better
    assert standing(rung("dddddr")).promotions(0) == ["a"]  # the best of five is among the best two of six
    assert standing(rung("ddddd")).promotions(0) == ["a"]  # one is still to be proposed
    assert standing(rung("ddddd"), has_source=False).promotions(0) == ["a", "b"]


def test_a_failed_promotion_is_replaced_by_the_next_best() -> None:
    assert standing(rung("dddddd"), rung("df")).promotions(0) == ["c"]
    assert standing(rung("dddddd"), rung("ff")).promotions(0) == ["c", "d"]


def test_failed_configurations_are_missing_and_never_promoted() -> None:
    state = standing(rung("fddddd"))
    assert state.num_missing() == 1
    assert "a" not in standing(rung("fddddd"), has_source=False).promotions(0)


def test_a_rung_whose_configurations_all_failed_above_gets_others() -> None:
    # a and b reached the second rung and failed on the third: without a third one nobody would reach the full budget.
    state = standing(rung("dddddd"), rung("dd"), rung("ff"))
    assert state.promotions(0) == ["c"]
    assert not state.is_finished


def test_pruned_configurations_keep_their_place_and_stay() -> None:
    state = standing(rung("pdpddd"))
    assert state.num_missing() == 0
    assert state.promotions(0) == ["b", "d"]


def test_a_rung_that_cannot_fill_promotes_to_the_planned_size() -> None:
    assert standing(rung("ddd"), has_source=False).promotions(0) == ["a", "b"]
    assert standing(rung("d"), has_source=False).promotions(0) == ["a"]
    assert standing(rung("d"), rung("d"), has_source=False).promotions(1) == ["a"]


def test_a_bracket_is_finished_when_nothing_can_come() -> None:
    assert not standing().is_finished
    assert standing(has_source=False).is_finished
    assert not standing(rung("dddddd"), rung("dd")).is_finished
    assert not standing(rung("dddddd"), rung("dd"), rung("r")).is_finished
    assert standing(rung("dddddd"), rung("dd"), rung("d")).is_finished
    assert standing(rung("ffffff"), has_source=False).is_finished


def test_asha_promotes_the_best_third_of_those_that_have_finished() -> None:
    assert standing(rung("ddrrrr"), is_asynchronous=True).promotions(0) == []
    assert standing(rung("dddrrr"), is_asynchronous=True).promotions(0) == ["a"]
    assert standing(rung("ddd"), rung("r"), is_asynchronous=True).promotions(0) == []


def test_asha_promotes_a_late_comer_that_overtakes_a_promoted_one() -> None:
    assert standing(rung("dddd", "3540"), rung("r"), is_asynchronous=True).promotions(0) == ["d"]


def test_asha_fills_its_rungs_once_nothing_more_can_come() -> None:
    assert standing(rung("dd"), has_source=False, is_asynchronous=True).promotions(0) == ["a", "b"]


def test_asha_replaces_a_failed_promotion() -> None:
    assert standing(rung("ddd"), rung("f"), is_asynchronous=True).promotions(0) == ["b"]


def test_rungs_without_bound_promote_by_share_and_never_end() -> None:
    plan = asynchronous(9, 3, iterations=math.inf)
    state = Standing(plan, [rung("dddddd"), {}, {}], factor=3, has_source=True, is_asynchronous=True)
    assert state.promotions(0) == ["a", "b"]
    assert state.num_missing() == math.inf
    assert not state.is_finished
