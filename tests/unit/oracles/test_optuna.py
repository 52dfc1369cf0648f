from __future__ import annotations

import json
import logging
import math
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kt_suite as kts
from kt_suite.errors import InputError, MissingExtraError
from kt_suite.oracles.optuna import OptunaOracle
from kt_suite.oracles.optuna_parameters import optuna_parameters
from kt_suite.oracles.quasi_random import QuasiRandomOracle
from kt_suite.space import Space
from kt_suite.testing import OracleContract
from kt_suite.trial import TrialStatus
from tests.unit.oracles.led_search import LedSearch, is_in, mixed_space

optuna = pytest.importorskip("optuna", reason="needs the extra `optuna`")
samplers = optuna.samplers


class TestContractWithTPE(OracleContract):
    @pytest.fixture
    def make_oracle(self) -> Any:
        sampler = samplers.TPESampler(n_startup_trials=3)
        return lambda **options: OptunaOracle(sampler, **options)


class TestContractWithNSGA2(OracleContract):
    @pytest.fixture
    def make_oracle(self) -> Any:
        sampler = samplers.NSGAIISampler(population_size=3)
        return lambda **options: OptunaOracle(sampler, **options)


def oracle(sampler: Any = "tpe", space: Any = None, direction: str = "min", **options: Any) -> OptunaOracle:
    settings = {"max_trials": None, "seed": 0, "max_consecutive_failed_trials": 1000, **options}
    space = mixed_space() if space is None else space
    return OptunaOracle(sampler, kts.Objective("loss", direction), hyperparameters=space, **settings)


def square() -> kts.HyperParameters:
    hp = kts.HyperParameters()
    hp.Float("x", -1.0, 1.0)
    hp.Float("y", -1.0, 1.0)
    return hp


def bowl(values: Any) -> dict[str, float]:
    return {"loss": (values["x"] - 0.3) ** 2 + (values["y"] + 0.6) ** 2}


def tree() -> kts.HyperParameters:
    """Returns a conditional space of 8 points."""
    hp = kts.HyperParameters()
    hp.Choice("a", ["x", "y"])
    with hp.conditional_scope("a", "x"):
        hp.Int("b", 0, 4)
    with hp.conditional_scope("a", "y"):
        hp.Boolean("c")
    hp.Fixed("d", 1)
    with hp.conditional_scope("a", "y"):
        hp.Choice("e", ["only"])
    return hp


def cmaes(**options: Any) -> Any:
    pytest.importorskip("cmaes", reason="needs the package `cmaes`")
    return samplers.CmaEsSampler(popsize=4, **options)


def experimental(name: str, *args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return getattr(samplers, name)(*args, **options)


MAKERS: dict[str, Callable[[], Any]] = {
    "tpe": lambda: samplers.TPESampler(n_startup_trials=5),
    "tpe_univariate": lambda: samplers.TPESampler(n_startup_trials=5, multivariate=False, constant_liar=False),
    "random": lambda: "random",
    "qmc": lambda: "qmc",
    "nsga2": lambda: samplers.NSGAIISampler(population_size=4),
    "nsga3": lambda: experimental("NSGAIIISampler", population_size=4),
    "cmaes": cmaes,
    "partly_fixed": lambda: experimental(
        "PartialFixedSampler", {"units": 24}, samplers.NSGAIISampler(population_size=4)
    ),
}


@pytest.mark.parametrize("name", MAKERS)
def test_any_sampler_goes_on_after_loading_as_if_never_interrupted(name: str) -> None:
    whole = LedSearch(oracle(MAKERS[name]()))
    expected = whole.run(22)
    assert all(is_in(mixed_space(), values) for values in expected)
    assert len({Space.key(values) for values in expected}) == 22
    once = LedSearch(oracle(MAKERS[name]()))
    once.run(11)
    twice = once.resumed(oracle(MAKERS[name]()))
    twice.run(17)
    assert twice.resumed(oracle(MAKERS[name]())).run(22) == expected


@pytest.mark.slow
def test_the_gaussian_process_goes_on_after_loading_too() -> None:
    pytest.importorskip("torch", reason="Optuna's GPSampler needs torch")
    expected = LedSearch(oracle("gp")).run(18)
    once = LedSearch(oracle("gp"))
    once.run(14)
    assert once.resumed(oracle("gp")).run(18) == expected


def test_samplers_with_notes_of_their_own_really_need_to_be_asked_again() -> None:
    search = LedSearch(oracle(samplers.NSGAIISampler(population_size=4)))
    search.run(13)
    other = oracle(samplers.NSGAIISampler(population_size=4))
    resumed = search.resumed(other)
    other._study.restore([])
    assert resumed.run(30)[13:] != search.run(30)[13:]


def test_what_is_stored_is_numbers_alone_and_nothing_for_samplers_without_memory() -> None:
    searches = {name: LedSearch(oracle(MAKERS[name]())) for name in ("tpe", "nsga2")}
    stored = {}
    for name, search in searches.items():
        search.run(20)
        stored[name] = json.dumps(search.oracle.checkpoint()["optuna"])
    assert stored["tpe"] == "[]"
    assert set(stored["nsga2"]) <= set("[]0123456789, ")
    assert len(stored["nsga2"]) < 20 * 20


def test_the_oracles_seed_is_the_only_one_that_counts() -> None:
    expected = LedSearch(oracle(samplers.TPESampler())).run(16)
    assert LedSearch(oracle(samplers.TPESampler(seed=1))).run(16) == expected
    assert LedSearch(oracle(samplers.TPESampler(seed=2))).run(16) == expected
    assert LedSearch(oracle(samplers.TPESampler(), seed=1)).run(16) != expected


def test_a_scrambled_sequence_depends_on_the_oracles_seed() -> None:
    made = [LedSearch(oracle(experimental("QMCSampler", scramble=True), seed=seed)).run(8) for seed in (0, 0, 1)]
    assert made[0] == made[1]
    assert made[0][3:] != made[2][3:]


def test_a_sampler_with_generators_of_any_kind_is_seeded() -> None:
    class Own(samplers.RandomSampler):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.generators = [np.random.default_rng(), {"old": np.random.RandomState()}]

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            return float(0.5 * self.generators[0].random() + 0.5 * self.generators[1]["old"].rand())

    expected = LedSearch(oracle(Own(), square()), bowl).run(8)
    assert LedSearch(oracle(Own(), square()), bowl).run(8) == expected


def test_a_given_sampler_is_left_alone() -> None:
    sampler = samplers.RandomSampler(seed=3)
    LedSearch(oracle(sampler, square()), bowl).run(5)
    assert sampler._rng.rng.rand() == np.random.RandomState(3).rand()


@pytest.mark.parametrize("space", [mixed_space(), square(), tree()], ids=["mixed", "square", "tree"])
def test_values_go_to_optuna_and_back(space: kts.HyperParameters) -> None:
    rng = np.random.default_rng(0)
    parameters = optuna_parameters(Space(space))
    for _ in range(50):
        values = Space(space).sample(rng)
        for parameter in parameters:
            if parameter.takes(values):
                raw = parameter.encode(values[parameter.name])
                assert parameter.distribution._contains(parameter.distribution.to_internal_repr(raw))
                back = parameter.decode(raw)
                assert type(back) is type(values[parameter.name])
                assert (
                    back == pytest.approx(values[parameter.name])
                    if isinstance(back, float)
                    else back == values[parameter.name]
                )
    assert [one.name for one in parameters if one.dimension is None] == [
        hp.name for hp in space.space if type(hp).__name__ == "Fixed" or hp.name in ("only", "e")
    ]


def test_hyperparameters_are_optunas_own_where_it_has_them() -> None:
    known = {one.key: one.distribution for one in optuna_parameters(Space(mixed_space()))}
    of = optuna.distributions
    assert known["rate"] == of.FloatDistribution(1e-4, 1e-1, log=True)
    assert known["decay"] == of.FloatDistribution(0.0, 1.0)
    assert known["dropout"] == of.IntDistribution(0, 3)
    assert known["units"] == of.IntDistribution(8, 56, step=16)
    assert known["depth"] == of.IntDistribution(1, 1000, log=True)
    assert known["width"] == of.IntDistribution(0, 5)
    assert known["optimizer"] == of.CategoricalDistribution(["adam", "sgd", None])
    assert known["kernel"] == of.CategoricalDistribution([0, 1])
    assert known["batch"] == of.IntDistribution(0, 2)
    assert known["odd"] == of.CategoricalDistribution([0, 1, 2])
    assert known["bias"].choices in ((True, False), (False, True))
    assert known["schedule#2"] == of.CategoricalDistribution(["a", "b", "c"])


def test_optuna_is_told_how_each_trial_ended() -> None:
    search = LedSearch(oracle(space=square(), direction="max"), bowl)
    search.oracle.enqueue({"x": 0.25})
    search.run(12)
    study = search.oracle.study
    states = [trial.state.name for trial in study.trials]
    records = [search.oracle.trials[trial_id].record for trial_id in search.oracle.start_order]
    words = {"COMPLETED": "COMPLETE", "FAILED": "FAIL"}
    assert states == [words.get(record.status, record.status) for record in records]
    assert {"COMPLETE", "FAIL", "PRUNED", "RUNNING"} == set(states)
    assert study.direction.name == "MAXIMIZE"
    assert [trial.params for trial in study.trials] == search.proposals
    for trial, record in zip(study.trials, records, strict=True):
        if record.status == TrialStatus.PRUNED:
            assert trial.intermediate_values == {record.epochs: record.score}
        assert trial.value == record.score


def test_values_met_in_building_are_told_too() -> None:
    search = LedSearch(oracle(space=square()), lambda values: {"loss": 0.0})
    search.run(4)
    grown = square()
    grown.Int("layers", 1, 5, default=2)
    for trial in search._pending:
        trial.hyperparameters.merge(grown)
    search.finish()
    assert {trial.params.get("layers") for trial in search.oracle.study.trials} == {None, 2}
    search.run(9)
    assert all("layers" in values for values in search.proposals[4:])
    again = oracle(space=grown)
    assert search.resumed(again).run(14) == search.run(14)


def test_repeats_of_a_build_that_ignores_values_are_passed_over() -> None:
    hp = kts.HyperParameters()
    hp.Int("a", 0, 3)
    search = LedSearch(oracle(samplers.RandomSampler(), hp), lambda values: {"loss": 0.0})
    assert sorted(values["a"] for values in search.run(9)) == [0, 1, 2, 3]
    assert search.oracle.create_trial("slot").status == TrialStatus.STOPPED
    states = [trial.state.name for trial in search.oracle.study.trials]
    assert len(states) > 4
    assert states.count("FAIL") == len(states) - 4


@pytest.mark.parametrize("name", ["tpe", "brute_force", "nsga2", "qmc"])
def test_a_finite_conditional_space_is_walked_to_its_end(name: str) -> None:
    search = LedSearch(oracle(name, tree()), lambda values: {"loss": float(values.get("b", 7))})
    proposals = search.run(100)
    assert len({Space.key(values) for values in proposals}) == len(proposals) == 7
    assert all(is_in(tree(), values) for values in proposals)


def test_a_grid_of_the_users_ends_the_search_when_it_is_walked() -> None:
    grid = samplers.GridSampler({"x": [-0.5, 0.5], "y": [0.0, 0.25, 0.5]})
    search = LedSearch(oracle(grid, square()), bowl)
    proposals = search.run(100)
    assert {(values["x"], values["y"]) for values in proposals} == {
        (x, y) for x in (-0.5, 0.5) for y in (0.0, 0.25, 0.5)
    }
    assert len(proposals) == 6


def test_a_range_that_was_changed_leaves_out_trials_outside_it() -> None:
    search = LedSearch(oracle(MAKERS["tpe"](), mixed_space()))
    search.run(12)
    changed = mixed_space()
    for hp in changed.space:
        if hp.name == "units":
            hp.max_value = 24
        if hp.name == "kernel":
            hp._values, hp._default = [(3, 3), (5, 5)], (3, 3)
    resumed = search.resumed(oracle(MAKERS["tpe"](), changed))
    assert all(values["units"] <= 24 and values["kernel"] != (1, 1) for values in resumed.run(20)[12:])
    params = [trial.params for trial in resumed.oracle.study.trials]
    assert [one.get("units") for one in params[:12]] == [
        values["units"] if values["units"] <= 24 else None for values in search.proposals[:12]
    ]


def test_optuna_is_silent_while_it_works_for_us_and_only_then(caplog: pytest.LogCaptureFixture) -> None:
    sampler = experimental("QMCSampler", seed=1)
    optuna.logging.enable_propagation()
    verbosity = optuna.logging.get_verbosity()
    try:
        LedSearch(oracle(sampler)).run(12)
        assert caplog.records == []
        assert optuna.logging.get_verbosity() == verbosity == logging.INFO
        optuna.create_study()
        assert caplog.records != []
    finally:
        optuna.logging.disable_propagation()


def test_experimental_samplers_by_name_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        oracle("brute_force")


def test_a_missing_optuna_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"optuna must be installed .*kt-suite\[optuna\]"):
        OptunaOracle(objective="val_loss")


@pytest.mark.parametrize(("sampler", "package"), [("gp", "torch"), ("cmaes", "cmaes")])
def test_a_package_that_a_sampler_needs_is_named(sampler: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"sampler must find the package '{package}'.*pip install {package}"):
        oracle(sampler)


@pytest.mark.parametrize("sampler", ["TPE", None, samplers.TPESampler, 3])
def test_what_is_no_sampler_is_refused(sampler: Any) -> None:
    with pytest.raises(InputError, match=r"sampler must be an optuna\.samplers\.BaseSampler or one of"):
        OptunaOracle(sampler, objective="val_loss")


@pytest.mark.slow
def test_tpe_beats_points_spread_evenly() -> None:
    def best(made: Any) -> float:
        search = LedSearch(made, bowl)
        search.run(40)
        search.finish()
        return min(trial.score for trial in made.get_best_trials(40))

    seeds = range(7)
    objective = kts.Objective("loss", "min")
    even = [
        best(QuasiRandomOracle(objective, None, seed, square(), max_consecutive_failed_trials=99)) for seed in seeds
    ]
    ours = [best(oracle(space=square(), seed=seed)) for seed in seeds]
    assert math.log10(np.median(even)) - math.log10(np.median(ours)) > 0.3
