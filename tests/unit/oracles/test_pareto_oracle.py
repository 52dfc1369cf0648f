from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import kt_suite as kts
from kt_suite import pareto
from kt_suite.errors import InputError, ObjectiveError
from kt_suite.objective import score_curve, score_result
from kt_suite.oracles.pareto import ParetoOracle, along_ray
from kt_suite.oracles.pareto_objective import ParetoObjective
from kt_suite.space import Space
from kt_suite.trial import TrialStatus
from tests.unit.oracles.led_search import LedSearch, is_in, mixed_space

LOSS, SIZE = kts.Objective("loss", "min"), kts.Objective("size", "min")


def plane() -> kts.HyperParameters:
    hp = kts.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    hp.Float("y", 0.0, 1.0)
    return hp


def trade_off(values: Mapping[str, Any]) -> dict[str, float]:
    """The concave front of Fonseca and Fleming's function, along x = y from 0.2 to 0.8; what lies off it is worse."""
    x, y = values["x"], values["y"]
    return {
        "loss": 1 - math.exp(-((3 * (x - 0.2)) ** 2) - (3 * (y - 0.2)) ** 2),
        "score": math.exp(-((3 * (x - 0.8)) ** 2) - (3 * (y - 0.8)) ** 2),
    }


def oracle(sampler: Any = "parego", space: Any = None, objectives: Any = (LOSS, SIZE), **options: Any) -> ParetoOracle:
    settings = {"max_trials": None, "seed": 0, "max_consecutive_failed_trials": 1000, **options}
    return ParetoOracle(list(objectives), sampler, hyperparameters=space or mixed_space(), **settings)


def on_plane(sampler: Any = "parego", **options: Any) -> ParetoOracle:
    return oracle(sampler, plane(), [LOSS, kts.Objective("score", "max")], **options)


def with_points(points: list[tuple[float, float]], statuses: Mapping[int, str] | None = None) -> ParetoOracle:
    """Returns an oracle whose trials have ended at these points of (loss, score), in that order."""
    made = on_plane("random")
    made.verbose = 0
    for number, (loss, score) in enumerate(points):
        trial = made.create_trial("slot")
        trial.status = (statuses or {}).get(number, TrialStatus.COMPLETED)
        trial.record.metrics = {"loss": loss, "score": score}
        trial.score = loss
        made.end_trial(trial)
    return made


def numbers(trials: list[Any]) -> list[int]:
    return [trial.number for trial in trials]


# The objective


def test_all_objectives_are_read_at_the_epoch_that_the_first_scores() -> None:
    objective = ParetoObjective([LOSS, kts.Objective("score", "max")])
    curve = [{"loss": 3.0, "score": 9.0}, {"loss": 1.0, "score": 5.0}, {"loss": 2.0, "score": 8.0}]
    best, last = score_curve(objective, curve, "best"), score_curve(objective, curve, "last")
    assert (best.score, best.epoch, best.metrics) == (1.0, 1, curve[1])
    assert (last.score, last.epoch, last.metrics) == (2.0, 2, curve[2])


def test_epochs_where_an_objective_is_no_number_are_passed_over() -> None:
    objective = ParetoObjective([LOSS, SIZE])
    curve = [{"loss": 3.0, "size": 1.0}, {"loss": 1.0, "size": math.inf}, {"loss": 2.0, "size": 4.0}]
    assert score_curve(objective, curve, "best").epoch == 2
    assert math.isnan(score_curve(objective, curve[1:2], "best").score)


def test_a_training_that_lacks_an_objective_is_told_so() -> None:
    with pytest.raises(ObjectiveError, match="'size'"):
        score_result(ParetoObjective([LOSS, SIZE]), {"loss": 1.0, "siez": 2.0})
    made = oracle("random")
    trial = made.create_trial("slot")
    with pytest.raises(ObjectiveError, match="'size'"):
        made.update_trial(trial.trial_id, {"loss": 1.0})


def test_losses_turn_the_sign_of_what_is_to_be_large() -> None:
    objective = ParetoObjective(["val_accuracy", "val_loss"])
    assert (objective.name, objective.direction) == ("val_accuracy", "max")
    assert objective.losses({"val_loss": 0.5, "val_accuracy": 0.25, "other": 9.0}).tolist() == [-0.25, 0.5]


@pytest.mark.parametrize("objectives", [[], [LOSS, LOSS], [LOSS, [SIZE]], [LOSS, None, "loss"], [LOSS, "unheard_of"]])
def test_objectives_that_make_no_front_are_refused(objectives: list[Any]) -> None:
    with pytest.raises(InputError):
        ParetoOracle(objectives)


# What came of it


def test_the_front_is_of_completed_trials_the_best_in_the_first_objective_first() -> None:
    points = [(0.5, 0.5), (0.9, 0.9), (0.6, 0.4), (0.1, 0.1), (0.0, 0.0), (0.5, 0.5)]
    made = with_points(points, {4: TrialStatus.PRUNED})
    assert numbers(made.get_pareto_trials()) == [3, 0, 5, 1]


def test_the_best_trials_are_the_front_and_then_what_comes_after() -> None:
    points = [(0.5, 0.5), (0.9, 0.9), (0.6, 0.4), (0.1, 0.1), (0.8, 0.1), (0.15, 0.16)]
    made = with_points(points)
    assert numbers(made.get_best_trials(10)) == [3, 1, 0, 5, 2, 4]
    assert numbers(made.get_best_trials()) == [3]


def test_an_oracle_without_trials_has_an_empty_front() -> None:
    made = on_plane()
    assert (made.get_pareto_trials(), made.get_best_trials(3), made.hypervolumes()) == ([], [], [])


def test_hypervolumes_follow_the_front_as_it_grows() -> None:
    points = [(0.5, 0.5), (0.9, 0.4), (0.25, 0.25), (0.75, 1.0)]
    volumes = with_points(points).hypervolumes(reference=[1.0, 0.0])
    assert volumes == pytest.approx([0.25, 0.25, 0.25 + 0.25 * 0.25, 0.25 + 0.25 * 0.25 + 0.25 * 0.5])


def test_hypervolumes_have_a_reference_of_their_own_if_none_is_given() -> None:
    made = with_points([(0.5, 0.5), (0.25, 0.25), (0.75, 1.0)])
    volumes = made.hypervolumes()
    losses = np.array([made.losses(trial) for trial in made.trials.values()])
    assert volumes[-1] == pytest.approx(pareto.hypervolume(losses, pareto.reference_point(losses)))
    assert volumes == sorted(volumes)


def test_a_reference_for_each_objective_is_asked_for() -> None:
    with pytest.raises(InputError, match="reference"):
        with_points([(0.5, 0.5)]).hypervolumes([1.0])


def test_notes_say_what_is_searched_for() -> None:
    assert on_plane().notes() == [
        "Searching for the front of loss (min), score (max); loss decides at which epoch they are read."
    ]


# Proposals

SAMPLERS = ["parego", "random", "quasi_random", "tpe", "nsga2"]


def sampler_of(name: str) -> Any:
    if name == "nsga2":
        samplers = pytest.importorskip("optuna", reason="needs the extra `optuna`").samplers
        return samplers.NSGAIISampler(population_size=4)
    if name == "tpe":
        pytest.importorskip("optuna", reason="needs the extra `optuna`")
    return name


@pytest.mark.parametrize("name", SAMPLERS)
def test_any_sampler_goes_on_after_loading_as_if_never_interrupted(name: str) -> None:
    whole = LedSearch(oracle(sampler_of(name)))
    expected = whole.run(22)
    assert all(is_in(mixed_space(), values) for values in expected)
    assert len({Space.key(values) for values in expected}) == 22
    once = LedSearch(oracle(sampler_of(name)))
    once.run(19)
    assert once.resumed(oracle(sampler_of(name))).run(22) == expected


def test_optuna_is_told_all_objectives() -> None:
    pytest.importorskip("optuna", reason="needs the extra `optuna`")
    search = LedSearch(on_plane("nsga2"), trade_off)
    search.run(12)
    study = search.oracle._study.study_of(search.oracle)
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    for trial, record in zip(study.trials, (one.record for one in search.oracle.trials.values()), strict=True):
        if record.status == TrialStatus.COMPLETED:
            assert trial.values == [record.metrics["loss"], record.metrics["score"]]


@pytest.mark.parametrize("sampler", ["parego", "random"])
def test_a_finite_space_is_walked_to_its_end(sampler: str) -> None:
    hp = kts.HyperParameters()
    hp.Int("a", 0, 3)
    hp.Choice("b", ["x", "y"])
    search = LedSearch(oracle(sampler, hp), lambda values: {"loss": float(values["a"]), "size": float(-values["a"])})
    assert len({Space.key(values) for values in search.run(50)}) == len(search.proposals) == 8


def test_pending_trials_get_proposals_apart() -> None:
    made = on_plane()
    search = LedSearch(made, trade_off)
    search.run(9)
    pending = [made.create_trial(f"extra{number}").values for number in range(4)]
    x = np.array([list(values.values()) for values in pending])
    gaps = np.linalg.norm(x[:, None] - x[None], axis=2)[np.triu_indices(4, 1)]
    assert gaps.min() > 0.01


def test_a_trial_without_usable_objectives_teaches_nothing_and_stops_nothing() -> None:
    search = LedSearch(
        on_plane(), lambda values: {"loss": 0.5, "score": math.nan if values["x"] < 0.5 else values["x"]}
    )
    assert len(search.run(12)) == 12
    assert all(trial.values["x"] >= 0.5 for trial in search.oracle.get_best_trials(99))


@pytest.mark.parametrize("sign", [1, -1], ids=["concave", "convex"])
def test_some_ray_leads_to_each_point_of_a_front(sign: int) -> None:
    angles = np.linspace(0.1, np.pi / 2 - 0.1, 7)
    losses = np.vstack([sign * np.column_stack([np.cos(angles), np.sin(angles)]), [[2.0, 50.0]]])
    rays = [np.array([np.cos(angle), np.sin(angle)]) for angle in np.linspace(0.0, np.pi / 2, 101)]
    assert {int(np.argmin(along_ray(losses, ray))) for ray in rays} == set(range(7))


def test_the_length_of_rays_is_the_hypervolume_on_average() -> None:
    rng = np.random.default_rng(0)
    losses = np.vstack([rng.random((5, 2)), [[0.0, 1.0], [1.0, 0.0]]])
    rays = np.abs(rng.standard_normal((2000, 2)))
    lengths = np.array([-along_ray(losses, ray).min() for ray in rays])
    volume = pareto.hypervolume(losses, np.full(2, 1.1))
    assert np.pi / 4 * (lengths**2).mean() == pytest.approx(volume, rel=0.05)


def test_objectives_that_do_not_differ_are_no_obstacle() -> None:
    ray = np.array([0.5, 0.5])
    assert np.isfinite(along_ray(np.array([[1.0, 2.0], [1.0, 2.0]]), ray)).all()
    assert np.isfinite(along_ray(np.array([[1.0, 2.0]]), ray)).all()
    assert np.argmin(along_ray(np.array([[1.0, 2.0], [1.0, 1.0], [1.0, 3.0]]), ray)) == 1


@pytest.mark.slow
def test_parego_covers_more_than_random_search() -> None:
    def volume(sampler: str, seed: int) -> float:
        search = LedSearch(on_plane(sampler, seed=seed), trade_off)
        search.run(40)
        search.finish()
        return search.oracle.hypervolumes([1.0, 0.0])[-1]

    volumes = {sampler: [volume(sampler, seed) for seed in range(5)] for sampler in ("parego", "random")}
    assert np.median(volumes["parego"]) > max(volumes["random"])
