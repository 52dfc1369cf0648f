from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kt_suite.oracles import RandomSearchOracle
from kt_suite.testing import OracleSession
from kt_suite.testing.oracle_session import space_of
from kt_suite.trial import TrialStatus


def session_of(build: Any, directory: Path, **options: Any) -> OracleSession:
    oracle = RandomSearchOracle(
        objective="loss", hyperparameters=space_of(build), **{"max_trials": None, "seed": 0, **options}
    )
    return OracleSession(oracle, build, directory)


def test_a_finite_space_is_drawn_to_the_last_point(tmp_path: Path) -> None:
    def build(hp: Any) -> float:
        return float(hp.Int("a", 0, 9) + hp.Int("b", 0, 9))

    session = session_of(build, tmp_path)
    points = [tuple(values.values()) for values in session.run(200)]
    assert len(points) == len(set(points)) == 100
    assert session.status == TrialStatus.STOPPED


def test_draws_are_uniform(tmp_path: Path) -> None:
    def build(hp: Any) -> float:
        hp.Choice("c", ["a", "b", "c"])
        hp.Boolean("flag")
        return hp.Float("x", 0, 1)

    proposals = session_of(build, tmp_path).run(240)
    counts = Counter(values["c"] for values in proposals)
    assert all(60 <= counts[value] <= 100 for value in "abc")
    assert 95 <= sum(values["flag"] for values in proposals) <= 145
    assert 0.45 <= sum(values["x"] for values in proposals) / 240 <= 0.55


def test_log_scales_are_drawn_uniformly_in_their_exponent(tmp_path: Path) -> None:
    def build(hp: Any) -> float:
        return hp.Float("x", 1e-4, 1.0, sampling="log")

    below = sum(values["x"] < 1e-2 for values in session_of(build, tmp_path).run(200))
    assert 75 <= below <= 125


def test_the_first_trial_is_drawn_like_any_other(tmp_path: Path) -> None:
    def build(hp: Any) -> float:
        return hp.Float("x", 0, 1)

    firsts = {session_of(build, tmp_path / str(seed), seed=seed).run(1)[0]["x"] for seed in range(5)}
    assert len(firsts) == 5


def test_what_a_build_ignores_is_no_reason_to_try_again(tmp_path: Path) -> None:
    def build(hp: Any) -> float:  # depth matters for nets only, which no scope says
        return hp.Int("depth", 1, 5) / 10 if hp.Choice("kind", ["tree", "net"]) == "net" else 1.0

    declared = space_of(lambda hp: (hp.Choice("kind", ["tree", "net"]), hp.Int("depth", 1, 5)))
    oracle = RandomSearchOracle(objective="loss", hyperparameters=declared, max_trials=None, seed=0)
    proposals = OracleSession(oracle, build, tmp_path).run(50)
    # Until something has asked for depth, nobody knows that a tree can do without it.
    assert Counter(values["kind"] for values in proposals)["net"] == 5
    assert len(proposals) <= 7


def test_hyperparameters_met_on_the_way_are_tuned_from_then_on(tmp_path: Path) -> None:
    def build(hp: Any) -> float:
        return float(sum(hp.Int(f"units_{index}", 1, 9) for index in range(hp.Int("num_layers", 1, 3))))

    oracle = RandomSearchOracle(
        objective="loss", max_trials=30, seed=0, hyperparameters=space_of(lambda hp: hp.Int("num_layers", 1, 3))
    )
    proposals = OracleSession(oracle, build, tmp_path).run(30)
    assert {hp.name for hp in oracle.hyperparameters.space} == {"num_layers", "units_0", "units_1", "units_2"}
    assert len({values["units_2"] for values in proposals if "units_2" in values}) > 3
    used = [oracle.trials[f"{number:04d}"].record.used_values for number in range(30)]
    assert all(len(values) == 1 + values["num_layers"] for values in used)
    assert len({str(sorted(values.items())) for values in used}) == 30


def test_a_space_without_hyperparameters_is_one_trial(tmp_path: Path) -> None:
    session = session_of(lambda hp: 1.0, tmp_path)
    assert session.run(5) == [{}]
    assert session.status == TrialStatus.STOPPED


@pytest.mark.parametrize("seed", range(3))
def test_side_by_side_is_the_same_as_one_after_the_other(tmp_path: Path, seed: int) -> None:
    def build(hp: Any) -> float:
        return float(hp.Int("a", 0, 4) + hp.Boolean("b"))

    one = session_of(build, tmp_path / "one", seed=seed)
    many = session_of(build, tmp_path / "many", seed=seed)
    expected = one.run(10)
    pending = [many.proposed(f"slot{number}") for number in range(10)]
    assert [trial.values for trial in pending] == expected
    assert many.propose("slot10") is None
