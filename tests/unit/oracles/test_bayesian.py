from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kt_suite as kts
from kt_suite.errors import InputError, ProjectError
from kt_suite.oracles import bayesian
from kt_suite.oracles.bayesian import BayesianOptimizationOracle
from kt_suite.oracles.random import RandomSearchOracle
from kt_suite.oracles.warm_start import WarmStart
from kt_suite.space import Space
from kt_suite.storage import Storage
from kt_suite.trial import TrialRecord, TrialStatus
from tests.unit.oracles.led_search import LedSearch, is_in, mixed_space

Values = dict[str, Any]


def cube(num_dimensions: int = 2) -> kts.HyperParameters:
    hp = kts.HyperParameters()
    for number in range(num_dimensions):
        hp.Float(f"x{number}", 0.0, 1.0)
    return hp


def make(space: kts.HyperParameters, direction: str = "min", **options: Any) -> BayesianOptimizationOracle:
    settings = {"max_trials": None, "seed": 0, "max_consecutive_failed_trials": 1000, **options}
    oracle = BayesianOptimizationOracle(kts.Objective("loss", direction), hyperparameters=space, **settings)
    oracle.verbose = 0
    return oracle


def bowl(values: Values) -> float:
    return sum((value - 0.6) ** 2 for value in values.values())


def run(oracle: Any, num_trials: int, measure: Callable[[Values], float | None] = bowl) -> list[Values]:
    """Runs trials one at a time; a measure of ``None`` fails. Returns the values of all."""
    proposals = []
    for _ in range(num_trials):
        trial = oracle.create_trial("slot")
        if trial.status == TrialStatus.STOPPED:
            break
        proposals.append(dict(trial.values))
        score = measure(proposals[-1])
        trial.status = TrialStatus.COMPLETED if score is not None else TrialStatus.FAILED
        trial.score = score
        oracle.end_trial(trial)
    return proposals


def test_it_finds_the_lowest_point_of_a_bowl() -> None:
    assert min(bowl(values) for values in run(make(cube(3)), 18)) < 1e-4


def test_it_climbs_where_more_is_better() -> None:
    oracle = make(cube(), direction="max")
    best = max(-bowl(values) for values in run(oracle, 15, lambda values: -bowl(values)))
    assert best > -1e-4


@pytest.fixture
def modelled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns a list that gets the number of known trials whenever the surrogate is asked."""
    numbers: list[int] = []

    def propose_nothing(space: Space, evidence: Any, *arguments: Any, **options: Any) -> list[Values]:
        numbers.append(len(evidence.losses))
        return []

    monkeypatch.setattr(bayesian, "propose_values", propose_nothing)
    return numbers


@pytest.mark.parametrize(
    ("num_dimensions", "max_trials", "expected"), [(1, None, 4), (6, None, 7), (12, 16, 8), (12, 5, 4)]
)
def test_few_trials_come_before_the_surrogate(
    num_dimensions: int, max_trials: int | None, expected: int, modelled: list[int]
) -> None:
    run(make(cube(num_dimensions), max_trials=max_trials), expected + 1)
    assert modelled == [expected]


def test_enqueued_trials_count_among_the_first_ones(modelled: list[int]) -> None:
    oracle = make(cube())
    for x in (0.1, 0.9, 0.4):
        oracle.enqueue({"x0": x, "x1": x})
    assert run(oracle, 5)[:3] == [{"x0": x, "x1": x} for x in (0.1, 0.9, 0.4)]
    assert modelled == [4]


def test_given_defaults_are_tried_first() -> None:
    hp = kts.HyperParameters()
    hp.Float("rate", 1e-4, 1e-2, sampling="log", default=3e-3)
    hp.Int("units", 1, 9)
    hp.Choice("kind", ["a", "b", "c"], default="c")
    assert run(make(hp), 1, lambda values: 0.0) == [{"rate": pytest.approx(3e-3), "units": 5, "kind": "c"}]


def test_every_kind_of_hyperparameter_stays_in_its_range() -> None:
    space = mixed_space()
    search = LedSearch(make(space))
    proposals = search.run(28)
    assert [values for values in proposals if not is_in(space, values)] == []
    assert len({Space.key(values) for values in proposals}) == 28


def test_the_same_seed_gives_the_same_proposals_and_another_seed_others() -> None:
    one, two, other = (LedSearch(make(mixed_space(), seed=seed)).run(22) for seed in (0, 0, 1))
    assert one == two
    assert one != other


def test_a_search_taken_up_again_goes_on_as_if_never_interrupted() -> None:
    uninterrupted = LedSearch(make(mixed_space())).run(26)
    search = LedSearch(make(mixed_space()))
    search.run(18)
    assert search.resumed(make(mixed_space())).run(26) == uninterrupted


def test_a_finite_space_is_searched_whole_and_then_ends() -> None:
    hp = kts.HyperParameters()
    hp.Int("a", 0, 3)
    hp.Choice("b", ["x", "y", "z"])
    oracle = make(hp)
    proposals = run(oracle, 100, lambda values: float(values["a"]))
    assert len(proposals) == 12
    assert len({Space.key(values) for values in proposals}) == 12
    assert oracle.create_trial("slot").status == TrialStatus.STOPPED


def test_a_space_without_dimensions_gives_one_trial() -> None:
    hp = kts.HyperParameters()
    hp.Fixed("a", 3)
    assert run(make(hp), 5, lambda values: 0.0) == [{"a": 3}]


def test_sixteen_slots_get_sixteen_proposals() -> None:
    oracle = make(cube(3))
    run(oracle, 10)
    points = np.array([list(oracle.create_trial(f"slot{i}").values.values()) for i in range(16)])
    apart = np.linalg.norm(points[:, None] - points, axis=-1)[np.triu_indices(16, 1)]
    assert apart.min() > 1e-5
    assert np.median(apart) > 0.1


def test_values_that_building_ignores_mislead_nobody() -> None:
    """``units1`` is asked for only with two layers, in plain Python: no conditional scope says so."""
    hp = kts.HyperParameters()
    hp.Int("layers", 1, 2)
    for number in range(2):
        hp.Int(f"units{number}", 1, 64)

    def end(oracle: Any) -> float:
        trial = oracle.create_trial("slot")
        values = trial.hyperparameters
        used = [values.get(f"units{number}") for number in range(values.get("layers"))]
        trial.score = sum(((units - 40) / 64) ** 2 for units in used) / len(used)
        trial.status = TrialStatus.COMPLETED
        oracle.end_trial(trial)
        return float(trial.score)

    oracle = make(hp)
    assert min(end(oracle) for _ in range(16)) < 1e-3
    used = [Space.key(record.used_values) for record in (trial.record for trial in oracle.trials.values())]
    assert len(set(used)) == 16


def test_a_region_that_fails_is_left_alone() -> None:
    oracle = make(cube(), max_trials=40)
    proposals = run(oracle, 40, lambda values: None if values["x0"] > 0.5 else bowl(values))
    assert sum(values["x0"] > 0.5 for values in proposals[20:]) <= 6
    assert min(bowl(values) for values in proposals if values["x0"] <= 0.5) < 0.013  # (0.5, 0.6) is the best there


def test_it_begins_though_the_first_trials_all_fail() -> None:
    losses = iter([None] * 8)
    proposals = run(make(cube(), max_trials=30), 30, lambda values: next(losses, bowl(values)))
    assert min(bowl(values) for values in proposals[8:]) < 1e-2


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_initial_points": 0},
        {"alpha": 0.0},
        {"alpha": float("nan")},
        {"beta": -1.0},
        {"alpha": 0.1, "noise_free": True},
        {"warm_start": "a_directory"},
        {"warm_start": [3]},
    ],
)
def test_arguments_out_of_range_are_refused(wrong: Values) -> None:
    with pytest.raises(InputError, match="must"):
        make(cube(), **wrong)


def test_a_directory_without_a_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="must"):
        make(cube(), warm_start=[tmp_path])


class TestWarmStart:
    @pytest.fixture
    def earlier(self) -> RandomSearchOracle:
        oracle = RandomSearchOracle(kts.Objective("loss", "min"), max_trials=30, seed=3, hyperparameters=cube(3))
        oracle.verbose = 0
        run(oracle, 30)
        return oracle

    def test_the_first_trials_are_good_ones(self, earlier: RandomSearchOracle) -> None:
        first = run(make(cube(3), warm_start=[earlier]), 3)
        assert np.mean([bowl(values) for values in first]) < 0.1

    def test_a_stored_search_of_the_other_direction_serves_as_well(
        self, earlier: RandomSearchOracle, tmp_path: Path
    ) -> None:
        storage = Storage.create(tmp_path / "earlier", {"direction": "max"})
        for trial in earlier.trials.values():
            record = TrialRecord(
                trial.trial_id, trial.number, trial.status, values=trial.values, score=5.0 - trial.score
            )
            storage.write_attempt("end", record, {})
        storage.close()
        first = run(make(cube(3), warm_start=[tmp_path / "earlier"]), 3)
        assert np.mean([bowl(values) for values in first]) < 0.1

    def test_only_shared_names_count_and_values_outside_are_left_out(self, earlier: RandomSearchOracle) -> None:
        hp = kts.HyperParameters()
        hp.Float("x1", 0.0, 0.5)
        hp.Choice("new", ["a", "b"])
        (evidence,) = WarmStart([earlier]).evidence(Space(hp))
        inside = [trial.values["x1"] for trial in earlier.trials.values() if trial.values["x1"] <= 0.5]
        np.testing.assert_allclose(evidence.points[:, 0], 2.0 * np.array(inside))
        assert np.isnan(evidence.points[:, 1]).all()
        assert set(evidence.sources) == {1}
        assert len(run(make(hp, warm_start=[earlier]), 6, lambda values: values["x1"])) == 6

    def test_a_search_that_shares_nothing_tells_nothing(self, earlier: RandomSearchOracle) -> None:
        hp = kts.HyperParameters()
        hp.Float("other", 0.0, 1.0)
        assert WarmStart([earlier]).evidence(Space(hp)) == []
        one, two = (run(make(hp, **options), 6) for options in ({}, {"warm_start": [earlier]}))
        assert one == two

    def test_a_search_of_kerastuner_will_do(self, tmp_path: Path) -> None:
        import keras_tuner

        peer = keras_tuner.oracles.RandomSearchOracle(keras_tuner.Objective("loss", "min"), 20, hyperparameters=cube())
        peer._set_project_dir(tmp_path, "peer")
        peer.verbose = 0
        for _ in range(20):
            trial = peer.create_trial("slot")
            peer.update_trial(trial.trial_id, {"loss": bowl(trial.hyperparameters.values)})
            trial.status = TrialStatus.COMPLETED
            peer.end_trial(trial)
        assert bowl(run(make(cube(), warm_start=[peer]), 1)[0]) < 0.1
