from __future__ import annotations

import keras_tuner
import pytest

from kt_suite.errors import InputError
from kt_suite.models.fixed_hyper_parameters import FixedHyperParameters
from kt_suite.models.ranges import Range


def declared(given, default=2, **rules):
    hp = keras_tuner.HyperParameters()
    value = Range("a", given, default, **rules).declare(FixedHyperParameters(hp, {}, set()), "a")
    return hp.space, value


def test_tuple_of_floats_is_an_interval_with_the_default_moved_inside():
    [hp], value = declared((0.1, 0.5), 0.9)
    assert (hp.min_value, hp.max_value, hp.sampling, value) == (0.1, 0.5, "linear", 0.5)


def test_tuple_of_integers_doubles_from_its_lower_end():
    [hp], value = declared((24, 100), 60, step=1, doubles=True)
    assert (list(hp.values), value) == ([24, 48, 96], 48)


def test_tuple_of_integers_goes_in_steps():
    [hp], value = declared((3, 8), 9, step=2)
    assert (list(hp.values), value) == ([3, 5, 7], 7)


def test_list_is_a_choice_whose_default_is_the_nearest():
    [hp], value = declared([1, 10, 100], 12, step=1)
    assert (hp.values, value) == ([1, 10, 100], 10)


def test_tuple_of_names_is_a_choice():
    [hp], value = declared(("relu", "tanh"), "gelu")
    assert (hp.values, value) == (["relu", "tanh"], "relu")


def test_both_truths_are_a_boolean():
    [hp], value = declared((False, True), True)
    assert (type(hp).__name__, value) == ("Boolean", True)


@pytest.mark.parametrize("given", [0.25, [0.25], (0.25, 0.25)])
def test_single_value_is_no_part_of_the_space(given):
    assert declared(given, 0.1) == ([], 0.25)


@pytest.mark.parametrize(
    ("given", "rules"),
    [
        ((0.5, 0.1), {}),
        ((0.1, 0.2, 0.3), {}),
        ((), {}),
        ([], {}),
        ([1, 1], {}),
        ("many", {}),
        (None, {}),
        (True, {}),
        ((0.0, 1.0), {"below": 1}),
        ((-1.0, 0.5), {"at_least": 0}),
        ((float("nan"), 1.0), {"at_least": 0}),
        ((0.0, 0.1), {"log": True}),
        ((1.5, 2.5), {"step": 1}),
    ],
)
def test_bad_range_is_refused_by_name(given, rules):
    with pytest.raises(InputError, match=r"^a must "):
        Range("a", given, 2, **rules)


def test_unknown_name_lists_the_legal_ones():
    with pytest.raises(InputError, match="adam, sgd"):
        Range("optimizer", ["adamm"], "adam", names=("adam", "sgd"))


def test_number_for_a_truth_is_refused():
    with pytest.raises(InputError, match="True or False"):
        Range("batch_norm", (0, 1), False)
