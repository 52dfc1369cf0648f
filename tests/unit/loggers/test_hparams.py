from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tensorboard.plugins.hparams import api_pb2, metadata

from kt_suite.loggers.hparams import (
    BOOLEAN,
    NUMBER,
    STRING,
    SearchColumns,
    experiment,
    hparam_kinds,
    session_end,
)
from kt_suite.loggers.hparams import session_start as make_session_start
from kt_suite.trial import TrialStatus
from tests.unit.loggers.fake_search import SPACE, entry

DOMAINS = [
    ([1, 2, 3], NUMBER),
    ([1, 2.5], NUMBER),
    ([np.int64(1), np.float32(2.5)], NUMBER),
    ([2**53], NUMBER),
    ([True, False], BOOLEAN),
    ([np.True_], BOOLEAN),
    (["a", "b"], STRING),
    ([None, 1.0, 5.0], STRING),
    ([True, 2], STRING),
    ([0, False], STRING),
    (["1", 1], STRING),
    ([(3, 3), (5, 5)], STRING),
    ([1.0, math.inf], STRING),
    ([math.nan], STRING),
    ([2**53 + 1], STRING),
    ([], STRING),
]


def session_start(values: dict[str, Any], space: list[dict[str, Any]]) -> dict[str, Any]:
    value = make_session_start("group", values, hparam_kinds(space), wall_time=1.0)
    info = metadata.parse_session_start_info_plugin_data(value.metadata.plugin_data.content)
    assert info.group_name == "group"
    return {name: getattr(item, item.WhichOneof("kind")) for name, item in info.hparams.items()}


def make_experiment(*searches: SearchColumns) -> api_pb2.Experiment:
    return metadata.parse_experiment_plugin_data(experiment(searches).metadata.plugin_data.content)


def hparam(name: str, *spaces: list[dict[str, Any]]) -> api_pb2.HParamInfo:
    infos = make_experiment(*(SearchColumns("max a", space) for space in spaces)).hparam_infos
    return next(info for info in infos if info.name == name)


@pytest.mark.parametrize(("values", "kind"), DOMAINS)
def test_the_kind_follows_from_the_whole_domain(values: list[Any], kind: int) -> None:
    assert hparam_kinds([entry("Choice", "a", values=values)]) == {"a": kind}


@pytest.mark.parametrize(("values", "kind"), DOMAINS)
def test_all_values_of_a_domain_are_written_as_one_type(values: list[Any], kind: int) -> None:
    written = [session_start({"a": value}, [entry("Choice", "a", values=values)])["a"] for value in values]
    assert {type(value) for value in written} <= {{NUMBER: float, BOOLEAN: bool, STRING: str}[kind]}


@pytest.mark.parametrize(("values", "kind"), DOMAINS)
def test_discrete_domains_hold_the_values_that_sessions_have(values: list[Any], kind: int) -> None:
    space = [entry("Choice", "a", values=values)]
    info = hparam("a", space)
    assert info.type == kind
    assert set(info.domain_discrete) == {session_start({"a": value}, space)["a"] for value in values}


def test_intervals_are_the_true_ones() -> None:
    info = hparam("learning_rate", SPACE)
    assert (info.domain_interval.min_value, info.domain_interval.max_value) == (1e-4, 0.1)
    assert hparam("units", SPACE).domain_interval.max_value == 64


def test_integers_that_a_float_cannot_hold_keep_their_digits() -> None:
    space = [entry("Int", "seed", min_value=0, max_value=2**62, step=None)]
    assert session_start({"seed": 2**62 - 1}, space) == {"seed": "4611686018427387903"}
    assert hparam("seed", space).WhichOneof("domain") is None


def test_scopes_that_share_a_name_share_a_type() -> None:
    space = [
        entry("Choice", "size", values=[1, 2], conditions={"model": ["a"]}),
        entry("Choice", "size", values=["small"], conditions={"model": ["b"]}),
    ]
    assert session_start({"size": 1}, space) == {"size": "1"}


def test_values_without_a_domain_are_written_by_their_own_type() -> None:
    values = {"a": 1, "b": True, "c": None, "d": np.float64(0.5)}
    assert session_start(values, []) == {"a": 1.0, "b": True, "c": "None", "d": 0.5}


def test_conditional_and_fixed_hyperparameters_do_not_crowd_out_the_others() -> None:
    infos = make_experiment(SearchColumns("max a", SPACE)).hparam_infos
    assert {info.name for info in infos if info.differs} == {"learning_rate", "units", "optimizer", "augment"}
    assert {info.name for info in infos if not info.differs} == {"momentum", "epsilon"}


def test_only_hyperparameters_of_all_searches_come_first() -> None:
    other = [
        entry("Float", "learning_rate", min_value=0.01, max_value=1.0),
        entry("Int", "depth", min_value=1, max_value=9),
    ]
    infos = make_experiment(SearchColumns("max a", SPACE), SearchColumns("max a", other)).hparam_infos
    assert {info.name for info in infos} == {*(item["config"]["name"] for item in SPACE), "depth"}
    assert {info.name for info in infos if info.differs} == {"learning_rate"}
    assert hparam("learning_rate", SPACE, other).domain_interval.min_value == 1e-4
    assert hparam("learning_rate", SPACE, other).domain_interval.max_value == 1.0


def test_a_value_fixed_differently_by_two_searches_differs() -> None:
    spaces = [[entry("Fixed", "rate", value=value)] for value in (0.1, 0.2)]
    assert hparam("rate", *spaces).differs
    assert not hparam("rate", spaces[0], spaces[0]).differs


def test_the_objective_is_the_first_metric_and_its_curve_the_second() -> None:
    columns = SearchColumns("max val_accuracy", SPACE, ["accuracy/validation", "accuracy/train"])
    metrics = make_experiment(columns).metric_infos
    assert [info.name.tag for info in metrics] == [
        "objective",
        "accuracy/validation",
        "epochs",
        "seconds",
        "accuracy/train",
    ]
    assert metrics[0].display_name == "objective (max val_accuracy)"


def test_searches_with_other_objectives_share_a_column_without_a_name() -> None:
    metrics = make_experiment(
        SearchColumns("max a", [], ["a/train"]), SearchColumns("min b", [], ["b/train"])
    ).metric_infos
    assert metrics[0].display_name == "objective"
    assert [info.name.tag for info in metrics[1:3]] == ["a/train", "b/train"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (TrialStatus.COMPLETED, api_pb2.STATUS_SUCCESS),
        (TrialStatus.FAILED, api_pb2.STATUS_FAILURE),
        (TrialStatus.INVALID, api_pb2.STATUS_FAILURE),
        (TrialStatus.PRUNED, api_pb2.STATUS_UNKNOWN),
        (TrialStatus.STOPPED, api_pb2.STATUS_UNKNOWN),
        (TrialStatus.RUNNING, api_pb2.STATUS_UNKNOWN),
    ],
)
def test_only_completed_trials_are_successes(status: str, expected: int) -> None:
    info = metadata.parse_session_end_info_plugin_data(session_end(status, wall_time=1.0).metadata.plugin_data.content)
    assert info.status == expected
