from __future__ import annotations

import json
import warnings
from typing import Any

import pytest

import kt_suite as kts
from kt_suite.discovery import discover, reconcile
from kt_suite.hyperparameters import HyperParameters, describe
from kt_suite.oracles import RandomSearchOracle
from kt_suite.testing.oracle_session import space_of


def names_found(build: Any, **options: Any) -> list[str]:
    oracle = RandomSearchOracle(objective="loss", seed=0, **options)
    discover(oracle, build)
    return [hp.name for hp in oracle.hyperparameters.space]


def test_every_scope_is_opened_once() -> None:
    opened: list[str] = []

    def build(hp: Any) -> None:
        kind = hp.Choice("kind", ["a", "b", "c"])
        opened.append(kind)
        for own in "abc":
            with hp.conditional_scope("kind", [own]):
                if kind == own:
                    hp.Int(f"only_{own}", 1, 2)

    assert names_found(build) == ["kind", "only_a", "only_b", "only_c"]
    assert opened == ["a", "b", "c"]


def test_scopes_are_found_inside_scopes() -> None:
    def build(hp: Any) -> None:
        if hp.Boolean("outer"):
            with hp.conditional_scope("outer", [True]):
                depth = hp.Choice("depth", [1, 2])
                with hp.conditional_scope("depth", [2]):
                    if depth == 2:
                        hp.Float("inner", 0.0, 1.0)
        with hp.conditional_scope("outer", [True]):
            pass

    assert names_found(build) == ["outer", "depth", "inner"]


def test_a_scope_that_needs_two_parents_is_opened() -> None:
    def build(hp: Any) -> None:
        a, b = hp.Choice("a", [1, 2]), hp.Choice("b", [1, 2])
        with hp.conditional_scope("a", [2]), hp.conditional_scope("b", [2]):
            if a == b == 2:
                hp.Int("both", 1, 2)

    assert names_found(build) == ["a", "b", "both"]


def test_a_parent_fixed_from_outside_is_never_given_another_value() -> None:
    seen: set[Any] = set()

    def build(hp: Any) -> None:
        seen.add(hp.Choice("kind", ["a", "b"]))
        seen.add(hp.Int("depth", 1, 9))
        with hp.conditional_scope("kind", ["b"]):
            hp.Int("of_b", 1, 2)
        with hp.conditional_scope("depth", [7]):
            hp.Int("of_7", 1, 2)

    given = space_of(lambda hp: (hp.Fixed("kind", "a"), hp.Int("depth", 1, 2)))
    names_found(build, hyperparameters=given)
    assert seen == {"a", 1}


def test_a_build_that_always_finds_something_new_comes_to_an_end() -> None:
    num_builds = [0]

    def build(hp: Any) -> None:
        num_builds[0] += 1
        for index in range(5):
            hp.Boolean(f"p{index}")
            with hp.conditional_scope(f"p{index}", [True]):
                hp.Int(f"c{index}", 1, 2)

    assert len(names_found(build)) == 10
    assert num_builds[0] <= 6


def stored(build: Any) -> list[dict[str, Any]]:
    return json.loads(json.dumps([describe(hp) for hp in space_of(build).space]))


def test_a_stored_space_keeps_its_order_and_what_only_some_builds_meet() -> None:
    old = stored(lambda hp: (hp.Int("a", 1, 2), hp.Boolean("met_once"), hp.Int("b", 1, 2)))
    today = space_of(lambda hp: (hp.Int("b", 1, 2), hp.Int("new", 1, 2), hp.Int("a", 1, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        merged = reconcile(old, today)
    assert [hp.name for hp in merged.space] == ["a", "met_once", "b", "new"]
    assert isinstance(merged, HyperParameters)


def test_a_changed_range_is_taken_from_todays_code_with_a_word() -> None:
    old = stored(lambda hp: hp.Int("units", 1, 10))
    with pytest.warns(UserWarning, match="'units' was .* when the search began"):
        merged = reconcile(old, space_of(lambda hp: hp.Int("units", 100, 200)))
    assert (merged.space[0].min_value, merged.space[0].max_value) == (100, 200)


def test_one_name_under_two_conditions_stays_two() -> None:
    def build(hp: Any) -> None:
        hp.Choice("kind", ["a", "b"])
        for own, high in (("a", 5), ("b", 9)):
            with hp.conditional_scope("kind", [own]):
                hp.Int("n", 1, high)

    merged = reconcile(stored(build), space_of(build))
    assert [getattr(hp, "max_value", None) for hp in merged.space] == [None, 5, 9]


def test_choices_of_anything_are_no_change(recwarn: pytest.WarningsRecorder) -> None:
    def build(hp: Any) -> None:
        hp.Choice("c", [None, (1, 2), True, 1.5, "x"])
        with hp.conditional_scope("c", [(1, 2)]):
            hp.Fixed("f", "y")

    reconcile(stored(build), space_of(build))
    assert [str(one.message) for one in recwarn] == []
    assert kts.HyperParameters is HyperParameters
