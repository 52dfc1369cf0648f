from __future__ import annotations

import keras_tuner
import pytest

from kt_suite.errors import InputError
from kt_suite.models.fixed_hyper_parameters import FixedHyperParameters, check_fixed


def wrapped(**fixed):
    return FixedHyperParameters(keras_tuner.HyperParameters(), fixed, set())


def names(hp):
    return [declared.name for declared in hp.space]


def test_fixed_value_is_returned_and_not_declared():
    hp = wrapped(a=7)
    assert hp.Int("a", 1, 3) == 7
    assert hp.get("a") == hp["a"] == 7
    assert "a" in hp
    assert names(hp) == []


def test_what_depends_on_a_fixed_parent_is_declared_only_where_it_is_active():
    hp = wrapped(kind="x")
    kind = hp.Choice("kind", ["x", "y"])
    with hp.conditional_scope("kind", ["x"]):
        inside = hp.Int("for_x", 1, 3)
    with hp.conditional_scope("kind", ["y"]):
        outside = hp.Int("for_y", 1, 3)
        with hp.conditional_scope("for_y", [1]):
            deep = hp.Int("deep", 1, 3)
    assert (kind, inside, outside, deep) == ("x", 1, None, None)
    assert names(hp) == ["for_x"]


def test_fixed_hyperparameter_of_an_inactive_scope_is_none():
    hp = wrapped(momentum=0.5)
    hp.Choice("optimizer", ["adam", "sgd"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        assert hp.Float("momentum", 0.0, 0.9) is None
    with hp.conditional_scope("optimizer", ["adam"]):
        assert hp.Float("momentum", 0.0, 0.9) == 0.5


def test_parent_argument_works_as_a_scope():
    hp = wrapped(kind="x")
    hp.Choice("kind", ["x", "y"])
    assert hp.Int("for_x", 1, 3, parent_name="kind", parent_values=["x"]) == 1
    assert hp.Int("for_y", 1, 3, parent_name="kind", parent_values=["y"]) is None


def test_active_name_is_not_declared_again_under_other_conditions():
    hp = wrapped()
    hp.Int("depth", 1, 3, default=2)
    hp.Float("rate", 0.1, 0.2)
    with hp.conditional_scope("depth", [2, 3]):
        assert hp.Float("rate", 0.1, 0.2) == 0.1
    assert names(hp) == ["depth", "rate"]


def test_value_set_beforehand_is_used_and_declared():
    hp = wrapped()
    hp.values["a"] = 3
    assert hp.Int("a", 1, 3) == 3
    assert names(hp) == ["a"]


def test_scope_over_choices_that_are_not_offered_is_left_out():
    hp = wrapped()
    hp.Choice("optimizer", ["adam", "rmsprop"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        assert hp.Float("momentum", 0.0, 0.9) is None
    assert names(hp) == ["optimizer"]
    assert hp.inactive_scopes == []


def test_names_are_local_to_the_scope_the_model_is_built_in():
    raw = keras_tuner.HyperParameters()
    with raw.name_scope("outer"):
        hp = FixedHyperParameters(raw, {"a": 1, "inner/b": 2}, set())
        assert hp.Int("a", 5, 9) == 1
        with hp.name_scope("inner"):
            assert hp.Int("b", 5, 9) == 2
            assert hp.Int("a", 5, 9) == 5
    assert names(raw) == ["outer/inner/a"]


@pytest.mark.parametrize(
    ("kind", "arguments", "value"), [("Int", (1, 3), 1.5), ("Float", (0.0, 1.0), "x"), ("Boolean", (), 1)]
)
def test_fixed_value_of_the_wrong_kind_is_refused(kind, arguments, value):
    with pytest.raises(InputError, match=r"fixed\['a'\]"):
        getattr(wrapped(a=value), kind)("a", *arguments)


def test_check_fixed_finds_names_that_only_some_values_reach():
    seen: set[str] = set()

    def build(raw):
        hp = FixedHyperParameters(raw, {"deep": 1}, seen)
        kind = hp.Choice("kind", ["x", "y", "z"])
        with hp.conditional_scope("kind", ["y", "z"]):
            if kind != "x":
                sub = hp.Choice("sub", ["p", "q"])
                with hp.conditional_scope("sub", ["q"]):
                    if sub == "q":
                        hp.Int("deep", 1, 3)

    check_fixed({"deep": 1}, seen, build)
    with pytest.raises(InputError, match="Near: deep"):
        check_fixed({"deeep": 1}, seen, build)
