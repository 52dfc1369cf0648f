from __future__ import annotations

import json
import warnings
from typing import Any

import keras_tuner
import numpy as np
import pytest

import kt_suite as kts
from kt_suite.errors import InputError
from kt_suite.hyperparameters import HyperParameters, Parent, describe, plain, revive, same

ODD = [None, True, False, 1, 0, 2.5, "1", "größe", (1, 2), ((1, None), "x"), ()]


@pytest.fixture
def hp() -> HyperParameters:
    return HyperParameters()


def round_trip(hp: HyperParameters) -> HyperParameters:
    return HyperParameters.from_config(json.loads(json.dumps(hp.get_config())))


# Choices of anything


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_a_choice_gives_back_what_it_was_given(hp: HyperParameters, value: Any) -> None:
    chosen = hp.Choice("c", ["other", value], default=value) if value is not None else hp.Choice("c", ["other", None])
    assert chosen == value
    assert type(chosen) is type(value)


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_a_choice_of_anything_survives_json(hp: HyperParameters, value: Any) -> None:
    hp.Choice("c", ["other", value])
    hp.values["c"] = value
    again = round_trip(hp)
    assert again.get("c") == value
    assert type(again.get("c")) is type(value)
    assert again.space[0].values == hp.space[0].values
    assert again.Choice("c", ["other", value]) == value


def test_values_of_a_choice_are_told_apart_by_type(hp: HyperParameters) -> None:
    hp.Choice("c", [True, 1, False, 0, "1", None])
    assert hp.space[0].values == [True, 1, False, 0, "1", None]
    assert [type(value) for value in hp.space[0].values] == [bool, int, bool, int, str, type(None)]


def test_booleans_inside_tuples_are_told_apart_from_numbers(hp: HyperParameters) -> None:
    hp.Choice("c", [(1, 0), (True, False)])
    assert len(hp.space[0].values) == 2


def test_equal_values_count_once(hp: HyperParameters) -> None:
    hp.Choice("c", [1, 2, 1.0, "a", "a"])
    assert hp.space[0].values == [1, 2, "a"]


def test_the_default_is_the_first_value_unless_none_is_one(hp: HyperParameters) -> None:
    assert hp.Choice("a", [2, 1]) == 2
    assert hp.Choice("b", [2, None]) is None
    assert hp.Choice("c", [2, None], default=2) == 2
    assert hp.Choice("d", [True, False], default=False) is False


def test_numpy_values_become_plain(hp: HyperParameters) -> None:
    chosen = hp.Choice("c", np.array([3, 4]))
    assert type(chosen) is int
    assert plain(np.float32(0.5)) == 0.5
    assert type(plain(np.bool_(True))) is bool
    assert plain([1, [2, np.int64(3)]]) == (1, (2, 3))


@pytest.mark.parametrize(
    ("values", "options", "named"),
    [
        ([], {}, "at least one"),
        ("abc", {}, "be a list"),
        ([object], {}, "class 'object'"),
        ([{"a": 1}], {}, "{'a': 1}"),
        ([b"x"], {}, "b'x'"),
        ([1, 2], {"default": 3}, "3"),
        ([1, 2], {"default": True}, "True"),
        (["a", "b"], {"ordered": True}, "ordered"),
        ([True, False], {"ordered": True}, "ordered"),
    ],
)
def test_a_choice_of_what_it_cannot_hold_is_an_error(
    hp: HyperParameters, values: Any, options: Any, named: str
) -> None:
    with pytest.raises(InputError, match=named) as caught:
        hp.Choice("thing", values, **options)
    assert "'thing'" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("values", "is_ordered"), [([1, 2], True), ([1, 2.5], True), (["a"], False), ([True, False], False)]
)
def test_numbers_are_ordered_and_nothing_else(hp: HyperParameters, values: Any, is_ordered: bool) -> None:
    hp.Choice("c", values)
    assert hp.space[0].ordered is is_ordered


# Numbers


@pytest.mark.parametrize("sampling", ["linear", "log", "reverse_log"])
@pytest.mark.parametrize("prob", [0.0, 1e-12, 0.5, 1 - 1e-12, 1.0])
def test_numbers_never_leave_their_range(hp: HyperParameters, sampling: str, prob: float) -> None:
    hp.Int("n", 1, 1000, sampling=sampling)
    hp.Float("x", 1e-5, 0.3, sampling=sampling)
    for one in hp.space:
        assert one.min_value <= one.prob_to_value(prob) <= one.max_value
    assert type(hp.space[0].prob_to_value(prob)) is int


def test_a_step_on_a_log_scale_gives_integers(hp: HyperParameters) -> None:
    hp.Int("batch", 2, 32, step=2, sampling="log")
    assert list(hp.space[0].values) == [2, 4, 8, 16, 32]
    assert all(type(value) is int for value in hp.space[0].values)


def test_a_step_reaches_the_end_of_the_range(hp: HyperParameters) -> None:
    hp.Float("dropout", 0.0, 0.5, step=0.1)
    assert list(hp.space[0].values) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert hp.space[0].prob_to_value(1.0) == 0.5


def test_a_value_of_a_stepped_range_maps_to_itself(hp: HyperParameters) -> None:
    hp.Float("x", 0.0, 1.0, step=0.1)
    one = hp.space[0]
    for value in one.values:
        assert one.prob_to_value(one.value_to_prob(value)) == value


# Scopes


def test_scopes_nest_on_outer_inner_and_the_same_parent(hp: HyperParameters) -> None:
    hp.Choice("kind", ["a", "b"])
    hp.Boolean("outer")
    with hp.conditional_scope("kind", ["a", "b"]):
        hp.Int("depth", 1, 3)
        with hp.conditional_scope("outer", [False]):
            assert hp.Int("x", 1, 2) == 1
        with hp.conditional_scope("depth", [1, 2]):
            assert hp.Int("y", 1, 2) == 1
            with hp.conditional_scope("kind", ["a"]):
                assert hp.Int("z", 1, 2) == 1
            with hp.conditional_scope("kind", ["b"]):
                assert hp.Int("w", 1, 2) is None
    assert set(hp.values) == {"kind", "outer", "depth", "x", "y", "z"}


def test_a_scope_in_a_closed_scope_is_closed(hp: HyperParameters) -> None:
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]):
        hp.Boolean("flag")
        with hp.conditional_scope("flag", [False]):
            assert hp.Int("n", 1, 2) is None
    assert hp.values == {"kind": "a"}
    assert len(hp.inactive_scopes) == 2


@pytest.mark.parametrize("parent", [None, True, (1, 2), "text", 3])
def test_a_scope_opens_on_values_of_any_type(hp: HyperParameters, parent: Any) -> None:
    hp.Choice("p", [parent, "other"], default=parent)
    with hp.conditional_scope("p", [parent]):
        assert hp.Int("n", 5, 6) == 5
    with hp.conditional_scope("p", "other"):
        assert hp.Int("m", 5, 6) is None
    again = round_trip(hp)
    assert again.is_active(again.space[1])
    assert not again.is_active(again.space[2])


def test_true_does_not_open_a_scope_on_one(hp: HyperParameters) -> None:
    hp.Choice("p", [True, 1], default=True)
    with hp.conditional_scope("p", [1]):
        assert hp.Int("n", 5, 6) is None


def test_a_scope_that_nothing_opens_is_an_error(hp: HyperParameters) -> None:
    hp.Choice("kind", ["a", "b"])
    hp.Int("depth", 1, 3)
    for name, values in (("kind", ["zzz"]), ("depth", [7]), ("depth", ["1"]), ("nobody", ["a"])):
        with pytest.raises(InputError) as caught, hp.conditional_scope(name, values):
            pass
        assert name in str(caught.value)
    assert hp._conditions == []


def test_an_error_inside_a_scope_leaves_it(hp: HyperParameters) -> None:
    hp.Boolean("flag")
    with pytest.raises(ZeroDivisionError), hp.conditional_scope("flag", [False]), hp.name_scope("deep"):
        raise ZeroDivisionError
    assert hp.Int("n", 1, 2) == 1
    assert hp.space[-1].conditions == []
    assert hp.space[-1].name == "n"


def test_a_parent_fixed_from_outside_keeps_the_scopes_of_the_build() -> None:
    given = HyperParameters()
    given.Fixed("kind", "a")
    given.Int("depth", 1, 2)
    hp = given.copy()
    assert hp.Choice("kind", ["a", "b"]) == "a"
    assert hp.Int("depth", 1, 9) == 1
    with hp.conditional_scope("kind", ["b"]):
        assert hp.Int("n", 1, 2) is None
    with hp.conditional_scope("depth", [5]):
        assert hp.Int("m", 1, 2) is None


def test_parent_arguments_are_a_scope(hp: HyperParameters) -> None:
    hp.Choice("kind", ["a", "b"])
    assert hp.Int("n", 1, 2, parent_name="kind", parent_values=["a"]) == 1
    assert hp.Choice("c", [None, 3], parent_name="kind", parent_values="b") is None
    assert [len(one.conditions) for one in hp.space] == [0, 1, 1]


def test_name_scopes_prefix_names_and_parents(hp: HyperParameters) -> None:
    with hp.name_scope("outer"):
        hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", ["a"]):
            assert hp.Int("n", 1, 2) == 1
        assert hp.get("n") == 1
    assert set(hp.values) == {"outer/kind", "outer/n"}
    assert hp["outer/n"] == 1


# What a build does to the container


def test_a_name_declared_twice_with_another_range_warns(hp: HyperParameters) -> None:
    hp.Int("n", 1, 4)
    with pytest.warns(UserWarning, match="'n' is declared twice"):
        hp.Int("n", 1, 8)


def test_the_same_declaration_twice_is_fine(hp: HyperParameters) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [hp.Int("n", 1, 4) for _ in range(3)] == [1, 1, 1]
        hp.Boolean("flag")
        with hp.conditional_scope("flag", [True]):
            hp.Int("n", 1, 8)
    assert len(hp.space) == 3


def test_an_override_from_outside_does_not_warn() -> None:
    given = kts.HyperParameters()
    given.Fixed("n", 2)
    hp = given.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert hp.Int("n", 1, 8) == 2


def test_what_was_asked_for_is_remembered_in_order(hp: HyperParameters) -> None:
    hp.Int("a", 1, 2)
    hp.Boolean("b")
    hp.Int("c", 1, 2)
    again = round_trip(hp)
    assert again.used == {}
    again.Boolean("b")
    again.get("a")
    with again.conditional_scope("b", [True]):
        again.Int("inactive", 1, 2)
    assert list(again.used.items()) == [("b", False), ("a", 1)]


def test_a_copy_has_values_of_its_own_and_tells_what_is_asked_of_it(hp: HyperParameters) -> None:
    hp.Int("n", 1, 4)
    copied = hp.copy()
    copied.values["n"] = 3
    assert hp.values["n"] == 1
    hp.used.clear()
    copied.Int("n", 1, 4)
    assert hp.used == {"n": 3}
    assert isinstance(copied, HyperParameters)


def test_missing_values_are_filled_with_defaults_never_at_random(hp: HyperParameters) -> None:
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]):
        hp.Float("x", 0, 1, default=0.25)
    hp.values = {"kind": "b"}
    hp.ensure_active_values()
    assert hp.values == {"kind": "b", "x": 0.25}
    hp.values["kind"] = "a"
    hp.ensure_active_values()
    assert hp.values == {"kind": "a"}


def test_one_name_under_two_conditions_has_the_value_of_the_active_one(hp: HyperParameters) -> None:
    kind = hp.Choice("kind", ["a", "b"])
    for own, (low, high) in {"a": (1, 2), "b": (10, 20)}.items():
        with hp.conditional_scope("kind", [own]):
            value = hp.Int("n", low, high)
            assert value == (low if own == kind else None)
    hp.values = {"kind": "b"}
    hp.ensure_active_values()
    assert hp.values == {"kind": "b", "n": 10}


def test_values_stored_before_a_hyperparameter_existed_get_its_default(hp: HyperParameters) -> None:
    hp.Int("old", 1, 4)
    hp.Int("new", 3, 4)
    hp.values = {"old": 2}
    assert hp.Int("new", 3, 4) == 3
    assert hp.values == {"old": 2, "new": 3}


def test_asking_for_what_is_inactive_or_unknown_is_an_error(hp: HyperParameters) -> None:
    hp.Boolean("flag")
    with hp.conditional_scope("flag", [True]):
        hp.Int("n", 1, 2)
    with pytest.raises(ValueError, match="inactive"):
        hp.get("n")
    with pytest.raises(KeyError):
        hp["nobody"]
    assert "flag" in hp
    assert "n" not in hp
    assert set(hp.used) == {"flag"}


def test_merging_takes_definitions_and_keeps_values_unless_told(hp: HyperParameters) -> None:
    hp.Int("n", 1, 9)
    hp.values["n"] = 7
    other = kts.HyperParameters()
    other.Int("n", 1, 9, default=4)
    other.Boolean("flag")
    hp.merge(other, overwrite=False)
    assert hp.values == {"n": 7, "flag": False}
    hp.merge(other)
    assert [one.name for one in hp.space] == ["n", "flag"]


# KerasTuner's objects


def test_keras_tuners_containers_become_ours_with_all_they_hold() -> None:
    theirs = keras_tuner.HyperParameters()
    theirs.Choice("kind", ["a", "b"])
    with theirs.conditional_scope("kind", ["a"]):
        theirs.Int("n", 1, 1000, sampling="log")
    theirs.values["n"] = 5
    ours = HyperParameters.of(theirs)
    assert ours.values == theirs.values
    assert [one.name for one in ours.space] == ["kind", "n"]
    assert ours.space[1].prob_to_value(1.0) == 1000
    assert isinstance(ours.space[1].conditions[0], Parent)
    assert HyperParameters.of(ours) is ours
    assert isinstance(ours, keras_tuner.HyperParameters)


@pytest.mark.parametrize("kind", ["Int", "Float", "Boolean", "Fixed", "Choice"])
def test_a_description_brings_back_the_hyperparameter(hp: HyperParameters, kind: str) -> None:
    hp.Boolean("flag")
    arguments: dict[str, Any] = {
        "Int": (1, 5),
        "Float": (0, 1),
        "Boolean": (),
        "Fixed": ("x",),
        "Choice": ([(1, 2), None],),
    }
    with hp.conditional_scope("flag", [False]):
        getattr(hp, kind)("h", *arguments[kind])
    config = json.loads(json.dumps(describe(hp.space[-1])))
    again = revive(config)
    assert type(again) is type(hp.space[-1])
    assert describe(again) == describe(hp.space[-1])
    assert again.conditions == hp.space[-1].conditions


def test_conditions_are_equal_to_keras_tuners() -> None:
    from keras_tuner.src.engine.conditions import Parent as KTParent

    assert Parent("a", ["x"]) == KTParent("a", ["x"])
    assert Parent("a", [True]) != Parent("a", [1])
    assert len({Parent("a", ["x"]), Parent("a", ["x"])}) == 1


@pytest.mark.parametrize(
    ("a", "b", "is_same"),
    [(1, 1, True), (1, 1.0, True), (1, True, False), (None, None, True), ("1", 1, False), ((1,), (1,), True)],
)
def test_sameness_tells_booleans_from_numbers(a: Any, b: Any, is_same: bool) -> None:
    assert same(a, b) is is_same
