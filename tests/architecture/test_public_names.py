"""Everything that KerasTuner exports is exported by kt_suite, at the same place and under the same name."""

from __future__ import annotations

import importlib
import types
from pathlib import Path

import keras_tuner
import pytest

import kt_suite

ROOT = Path(keras_tuner.__file__).parent
PLACES = sorted(
    "".join(f".{part}" for part in path.parent.relative_to(ROOT).parts)
    for path in ROOT.rglob("__init__.py")
    if "src" not in path.relative_to(ROOT).parts
)


def public_names(module: types.ModuleType) -> set[str]:
    return {name for name in vars(module) if not name.startswith("_") and name != "src"}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place or "top level")
def test_kt_suite_has_every_name_of_keras_tuner(place: str) -> None:
    names = public_names(importlib.import_module("keras_tuner" + place))
    ours = importlib.import_module("kt_suite" + place)
    assert {name for name in names if not hasattr(ours, name)} == set()
    assert names - {*dir(ours), *getattr(ours, "__all__", ())} == set()


def test_the_places_compared_are_those_that_scripts_use() -> None:
    known = {
        "",
        ".tuners",
        ".oracles",
        ".applications",
        ".errors",
        ".engine.hyperparameters",
        ".engine.trial",
    }
    assert known <= set(PLACES)


@pytest.mark.parametrize("name", ["HyperModel", "HyperParameters", "Objective", "Oracle", "Tuner"])
def test_our_classes_are_keras_tuners_classes_too(name: str) -> None:
    assert issubclass(getattr(kt_suite, name), getattr(keras_tuner, name))


@pytest.mark.parametrize("name", ["RandomSearch", "GridSearch", "BayesianOptimization", "Hyperband"])
def test_our_tuners_and_oracles_work_where_keras_tuners_do(name: str) -> None:
    assert issubclass(getattr(kt_suite, name), keras_tuner.Tuner)
    oracle = f"{name}Oracle"
    assert issubclass(getattr(kt_suite.oracles, oracle), keras_tuner.Oracle)


def test_names_listed_as_public_exist() -> None:
    assert [name for name in kt_suite.__all__ if not hasattr(kt_suite, name)] == []
