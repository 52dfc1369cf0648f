"""How samples are split into folds."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)

from kt_suite.errors import InputError
from kt_suite.folds import check_cross_validation, facts_of, labels_of, make_splits, predicts_classes

X = np.arange(24.0).reshape(12, 2)
Y = np.array([0, 1, 2] * 4)


def same(one: Any, other: Any) -> bool:
    return all(
        np.array_equal(a, b)
        for pair, expected in zip(one, other, strict=True)
        for a, b in zip(pair, expected, strict=True)
    )


def test_a_number_of_folds_is_stratified_and_shuffled_by_the_seed() -> None:
    expected = StratifiedKFold(4, shuffle=True, random_state=7).split(X, Y)
    assert same(make_splits(4, X, Y, seed=7), list(expected))
    for _, validation_rows in make_splits(4, X, Y, seed=7):
        assert sorted(Y[validation_rows]) == [0, 1, 2]


def test_numbers_are_not_stratified() -> None:
    expected = list(KFold(3, shuffle=True, random_state=0).split(X))
    assert same(make_splits(3, X, np.linspace(0, 1, 12)), expected)
    assert same(make_splits(3, X, Y, classes=False), expected)
    assert same(make_splits(3, X), expected)


def test_one_hot_targets_are_stratified_as_classes() -> None:
    assert same(make_splits(4, X, np.eye(3)[Y]), make_splits(4, X, Y))
    assert labels_of(np.ones((4, 2))) is None


@pytest.mark.parametrize(
    "splitter",
    [TimeSeriesSplit(3), StratifiedKFold(3), RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=1)],
)
def test_a_splitter_splits_as_it_does_by_itself(splitter: Any) -> None:
    assert same(make_splits(splitter, X, Y), list(splitter.split(X, Y)))


def test_a_splitter_without_a_seed_gets_that_of_the_search_and_stays_as_it_was() -> None:
    splitter = ShuffleSplit(2, test_size=0.25)
    expected = list(ShuffleSplit(2, test_size=0.25, random_state=5).split(X))
    assert same(make_splits(splitter, X, Y, seed=5), expected)
    assert splitter.random_state is None


def test_groups_stay_together() -> None:
    groups = np.repeat([0, 1, 2], 4)
    for rows, validation_rows in make_splits(GroupKFold(3), X, Y, groups=groups):
        assert not set(groups[rows]) & set(groups[validation_rows])


def test_pairs_of_rows_are_taken_as_they_are() -> None:
    pairs = [(np.arange(6), np.arange(6, 12)), (np.arange(12) > 3, np.arange(12) <= 3)]
    splits = make_splits(pairs, X, Y)
    assert list(splits[0][1]) == [6, 7, 8, 9, 10, 11]
    assert list(splits[1][1]) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("cross_validation", "options", "message"),
    [
        (5, {}, r"smallest class \(4 of '0'\), but got 5. Take fewer folds"),
        (StratifiedKFold(5), {}, "split the data.*number of members in each class"),
        (13, {"classes": False}, r"number of samples \(12\)"),
        (GroupKFold(3), {}, "groups must be given to search"),
        (LeaveOneGroupOut(), {}, "groups must be given to search"),
        (3, {"groups": [1, 2]}, "length of groups"),
        ([([0, 1], [1, 2])], {}, r"validate on no row that it trains on, but got \[1\]"),
        ([([0, 1], [12])], {}, "validation rows of fold 0"),
        ([([], [1])], {}, "training rows of fold 0"),
        ([], {}, "at least one fold"),
    ],
)
def test_data_that_cannot_be_split_so_are_refused(cross_validation: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_splits(cross_validation, X, Y, **options)


@pytest.mark.parametrize("value", [1, 0, -3, True, 2.5, "five"])
def test_what_cannot_mean_folds_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="cross_validation must be a number of folds"):
        check_cross_validation(value)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("sparse_categorical_crossentropy", True),
        (keras.losses.BinaryCrossentropy(), True),
        (keras.losses.hinge, True),
        ("mse", False),
        (keras.losses.MeanAbsoluteError(), False),
        (keras.losses.Huber(), False),
        (lambda y, p: y - p, None),
        (None, None),
        ({"a": "mse"}, None),
    ],
)
def test_a_loss_tells_whether_classes_are_predicted(loss: Any, expected: bool | None) -> None:
    assert predicts_classes(loss) is expected


def test_facts_tell_data_and_splits_apart() -> None:
    splits = make_splits(3, X, Y)
    facts = facts_of(3, splits, X, Y)
    assert facts == facts_of(3, make_splits(3, X.copy(), Y), X.copy(), Y)
    assert facts_of(3, splits, X + 1e-9, Y)["data"] != facts["data"]
    assert facts_of(3, make_splits(3, X, Y, seed=1), X, Y)["splits"] != facts["splits"]
