"""Hyperband and ASHA, driven through slots in virtual time."""

from __future__ import annotations

import copy
import json
import math
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import keras_tuner
import numpy as np
import pytest

from kt_suite.errors import InputError, ProjectError
from kt_suite.oracles.hyperband import HyperbandOracle
from kt_suite.oracles.trial import Trial
from kt_suite.trial import TrialRecord, TrialStatus
from tests.unit.oracles.slots import Slots, grid_space, unit_space

SLOTS = [1, 4]


def hyperband(space: Any = None, **options: Any) -> HyperbandOracle:
    """Returns an oracle over ``space`` that goes on whatever fails."""
    settings = {"max_epochs": 27, "seed": 0, "max_consecutive_failed_trials": 1000, **options}
    return HyperbandOracle("val_loss", hyperparameters=space or unit_space(), **settings)


def failing(share: float, seed: int = 0) -> Callable[[TrialRecord], str]:
    rng = random.Random(seed)
    return lambda record: TrialStatus.FAILED if rng.random() < share else TrialStatus.COMPLETED


def announced(oracle: HyperbandOracle) -> int:
    """Returns the epochs that the first of the notes promises."""
    found = re.search(r"(\d+) epochs in all", oracle.notes()[0])
    assert found is not None
    return int(found.group(1))


def num_in_rungs(slots: Slots) -> Counter[tuple[int | None, int | None]]:
    return Counter((record.bracket, record.rung) for record in slots.records())


# The schedule


@pytest.mark.parametrize("num_slots", SLOTS)
@pytest.mark.parametrize(
    "options", [{}, {"factor": 2}, {"max_epochs": 10}, {"max_epochs": 9, "hyperband_iterations": 3}]
)
def test_the_epochs_spent_are_those_announced(options: dict[str, Any], num_slots: int) -> None:
    slots = Slots(hyperband(**options), num_slots).run()
    assert slots.num_epochs == announced(slots.oracle)


@pytest.mark.parametrize("num_slots", SLOTS)
def test_every_rung_is_filled_as_planned(num_slots: int) -> None:
    slots = Slots(hyperband(max_epochs=9), num_slots).run()
    assert num_in_rungs(slots) == {(0, 0): 9, (0, 1): 3, (0, 2): 1, (1, 0): 5, (1, 1): 1, (2, 0): 3}


def test_a_promotion_goes_on_where_its_parent_stopped() -> None:
    slots = Slots(hyperband()).run()
    by_id = {record.trial_id: record for record in slots.records()}
    promoted = [record for record in slots.records() if record.parent is not None]
    assert len(promoted) == 9 + 3 + 1 + 4 + 1 + 2
    for record in promoted:
        parent = by_id[str(record.parent)]
        assert record.values == parent.values
        assert record.initial_epoch == parent.budget
        assert (record.bracket, record.rung) == (parent.bracket, parent.rung + 1)
    assert {record.fidelity for record in slots.records(rung=0)} == {1 / 27, 3 / 27, 9 / 27, 1.0}


@pytest.mark.parametrize("num_slots", SLOTS)
def test_the_best_of_each_rung_are_promoted(num_slots: int) -> None:
    slots = Slots(hyperband(), num_slots, seconds=lambda values: 1.0 + values["x"]).run()
    for bracket in range(4):
        for rung in range(3 - bracket):
            here = slots.records(bracket=bracket, rung=rung)
            above = {record.parent for record in slots.records(bracket=bracket, rung=rung + 1)}
            best = sorted(here, key=lambda record: record.score)[: len(above)]
            assert {record.trial_id for record in best} == above


def test_a_maximised_objective_promotes_the_highest() -> None:
    oracle = HyperbandOracle("val_accuracy", max_epochs=9, seed=0, hyperparameters=unit_space())
    slots = Slots(oracle, curve=lambda values, epoch: values["x"]).run()
    best = max(slots.records(bracket=0, rung=0), key=lambda record: record.values["x"])
    assert [record.values for record in slots.records(bracket=0, rung=2)] == [best.values]


def test_other_brackets_start_while_a_rung_is_incomplete() -> None:
    slots = Slots(hyperband(), 4, seconds=lambda values: 1.0 + 5 * values["x"]).run()
    first_of_bracket_1 = slots.records(bracket=1)[0].number
    assert first_of_bracket_1 < max(record.number for record in slots.records(bracket=0))


def test_iterations_are_repeated() -> None:
    slots = Slots(hyperband(max_epochs=9, hyperband_iterations=2)).run()
    assert num_in_rungs(slots)[3, 0] == 9
    assert num_in_rungs(slots)[5, 0] == 3


@pytest.mark.parametrize("iterations", [None, math.inf])
@pytest.mark.parametrize("is_asynchronous", [False, True])
def test_a_search_without_end_goes_on(iterations: float | None, is_asynchronous: bool) -> None:
    oracle = hyperband(max_epochs=9, hyperband_iterations=iterations, asynchronous=is_asynchronous)
    slots = Slots(oracle, 2).run(max_trials=150)
    assert len(slots.ended) == 150
    assert "until it is stopped" in oracle.notes()[0]


# Failures (KerasTuner's Hyperband starves on them)


@pytest.mark.parametrize("is_asynchronous", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_failures_cost_no_promotion_to_the_full_budget(share: float, is_asynchronous: bool) -> None:
    planned = sum(bracket.rungs[-1].num_trials for bracket in hyperband(asynchronous=is_asynchronous)._brackets)
    for seed in range(5):
        oracle = hyperband(asynchronous=is_asynchronous, seed=seed)
        slots = Slots(oracle, 4, fate=failing(share, seed)).run()
        assert len(slots.records(budget=27, status=TrialStatus.COMPLETED)) >= planned
        assert all(
            record.parent is None or by_status(oracle, record.parent) == "COMPLETED" for record in slots.records()
        )


def by_status(oracle: HyperbandOracle, trial_id: str) -> str:
    return str(oracle.trials[trial_id].status)


def test_when_all_fail_the_search_ends() -> None:
    slots = Slots(hyperband(), fate=failing(1.0)).run()
    assert len(slots.ended) == 10 * (27 + 12 + 6 + 4)
    assert slots.records(rung=1) == []


def test_a_trial_that_is_tried_again_counts_once() -> None:
    tries: Counter[str] = Counter()

    def first_try_fails(record: TrialRecord) -> str:
        tries[record.trial_id] += 1
        return TrialStatus.INVALID if tries[record.trial_id] == 1 else TrialStatus.COMPLETED

    slots = Slots(hyperband(max_epochs=9, max_retries_per_trial=1), 4, fate=first_try_fails).run()
    assert num_in_rungs(slots) == {(0, 0): 9, (0, 1): 3, (0, 2): 1, (1, 0): 5, (1, 1): 1, (2, 0): 3}
    assert slots.num_epochs == announced(slots.oracle)
    assert all(record.attempt == 2 for record in slots.records())


def test_a_pruned_trial_keeps_its_place_and_is_not_promoted() -> None:
    def prune_the_best(record: TrialRecord) -> str:
        return (
            TrialStatus.PRUNED if record.rung == 0 and abs(record.values["x"] - 0.3) < 0.15 else TrialStatus.COMPLETED
        )

    slots = Slots(hyperband(), fate=prune_the_best).run()
    pruned = {record.trial_id for record in slots.records(status=TrialStatus.PRUNED)}
    assert pruned
    assert pruned.isdisjoint(record.parent for record in slots.records())
    assert num_in_rungs(slots)[0, 0] == 27
    assert num_in_rungs(slots)[0, 3] == 1


# Small spaces (KerasTuner's Hyperband ends at their first rung)


@pytest.mark.parametrize("num_slots", SLOTS)
@pytest.mark.parametrize("options", [{}, {"asynchronous": True}, {"budget": "data"}, {"hyperband_iterations": None}])
def test_a_space_of_nine_points_is_searched_to_its_full_budget(options: dict[str, Any], num_slots: int) -> None:
    slots = Slots(hyperband(grid_space(), max_epochs=81, **options), num_slots).run()
    trained = Counter((str(record.values), record.fidelity) for record in slots.records())
    assert max(trained.values()) == 1, "trained twice to the same budget"
    full = slots.records(fidelity=1.0)
    assert len(full) >= 5  # as many as the last bracket plans
    assert {"a": 1, "b": 1} in [record.values for record in full]
    assert "only 9 points" in slots.oracle.notes()[-1]


def test_later_brackets_take_the_best_known_points_further() -> None:
    slots = Slots(hyperband(grid_space(), max_epochs=81)).run()
    later = slots.records(bracket=4, rung=0)
    assert later
    for record in later:
        parent = slots.oracle.trials[record.parent].record
        assert parent.bracket < 4
        assert record.initial_epoch == parent.budget


def test_a_space_of_nine_points_survives_failures() -> None:
    slots = Slots(hyperband(grid_space(), max_epochs=81), 4, fate=failing(0.3)).run()
    assert slots.records(fidelity=1.0, status=TrialStatus.COMPLETED)
    failed = [str(record.values) for record in slots.records(status=TrialStatus.FAILED)]
    assert len(failed) == len(set(failed)), "a failed configuration was trained again"


def test_one_point_is_trained_to_the_full_budget_once() -> None:
    slots = Slots(hyperband(grid_space(1, 1), max_epochs=9)).run()
    assert [record.budget for record in slots.records()] == [1, 3, 9]


# ASHA


def test_asha_keeps_four_slots_busy_to_the_end_of_its_supply() -> None:
    busy = Slots(hyperband(asynchronous=True, hyperband_iterations=None), 4, seconds=lambda v: 1.0 + 9 * v["x"])
    busy.run(max_trials=300)
    assert busy.idle == 0.0
    assert len(busy.records(budget=27)) > 3


def test_asha_promotes_only_from_the_best_third_of_a_rung() -> None:
    slots = Slots(hyperband(asynchronous=True, hyperband_iterations=None), 4).run(max_trials=300)
    for rung in range(3):
        done = len(slots.records(rung=rung, status=TrialStatus.COMPLETED))
        best = sorted(slots.records(rung=rung, status=TrialStatus.COMPLETED), key=lambda record: record.score)
        above = {record.parent for record in slots.records(rung=rung + 1)}
        late = {record.trial_id for record in best[: done // 3]} - above
        assert late <= {slots.ended[-1]}  # whose promotion has not been asked for yet
        assert len(above) < done / 2


def test_asha_ends_after_its_supply() -> None:
    oracle = hyperband(max_epochs=9, asynchronous=True)
    slots = Slots(oracle, 4).run()
    assert len(slots.records(rung=0)) == 27
    assert len(slots.records(rung=2)) >= 3
    assert oracle.notes()[1] == "27 to epoch 1, 9 to epoch 3, 3 to epoch 9: 63 epochs"


# Budgets in data


def test_a_budget_in_data_is_a_share_of_it_for_all_epochs() -> None:
    oracle = hyperband(budget="data", max_epochs=9)
    slots = Slots(oracle).run()
    assert {(record.rung, record.data_share) for record in slots.records(bracket=0)} == {
        (0, 1 / 9),
        (1, 1 / 3),
        (2, 1.0),
    }
    assert all(record.budget == 9 and record.initial_epoch == 0 for record in slots.records())
    assert sum(9 * record.data_share for record in slots.records()) == pytest.approx(announced(oracle))
    assert not any(oracle.keeps_state(record.trial_id) for record in slots.records())


# Where new configurations come from


def test_enqueued_values_come_first_and_on_the_lowest_rung() -> None:
    oracle = hyperband(max_epochs=9)
    oracle.enqueue({"x": 0.25})
    first = Slots(oracle).run(max_trials=1).records()[0]
    assert (first.values, first.budget, first.rung) == ({"x": 0.25}, 1, 0)
    with pytest.raises(InputError, match="x"):
        oracle.enqueue({"x": 2.0})


def test_a_model_hears_of_the_highest_budget_with_enough_results() -> None:
    heard: list[Any] = []

    def propose(space: Any, observations: Any, rng: np.random.Generator) -> dict[str, Any]:
        heard.append({one.trial_id: one for one in observations})
        return {"x": float(rng.random())}

    slots = Slots(hyperband(sampler=propose), 2, fate=failing(0.1)).run()
    budgets = []
    for observations in heard:
        full = [one for one in observations.values() if one.score is not None and one.fidelity == 1.0]
        assert len(full) >= 3
        (budget,) = {slots.oracle.trials[one.trial_id].budget for one in full}
        budgets.append(budget)
        for one in observations.values():
            record = slots.oracle.trials[one.trial_id].record
            assert one.is_pending or one.is_failed or one.fidelity == record.budget / budget
    assert sorted(set(budgets)) == [1, 3, 9, 27]
    assert any(one.is_failed for one in heard[-1].values())
    assert any(one.is_pending for one in heard[-1].values())


def test_the_surrogate_searches_and_repeats_nothing() -> None:
    oracle = hyperband(max_epochs=9, hyperband_iterations=2, sampler="bayesian")
    slots = Slots(oracle, 2, fate=failing(0.1)).run()
    drawn = [record.values["x"] for record in slots.records() if record.parent is None]
    assert len(drawn) == len(set(drawn))
    assert all(0 <= x <= 1 for x in drawn)
    assert min(abs(x - 0.3) for x in drawn) < 0.005


def test_a_model_that_repeats_itself_is_passed_over() -> None:
    slots = Slots(hyperband(sampler=lambda space, observations, rng: {"x": 0.5})).run()
    drawn = [record.values["x"] for record in slots.records() if record.parent is None]
    assert len(drawn) == len(set(drawn))


def test_a_share_of_the_proposals_stays_random() -> None:
    calls: list[int] = []

    def propose(space: Any, observations: Any, rng: np.random.Generator) -> None:
        calls.append(1)

    slots = Slots(hyperband(max_epochs=27, hyperband_iterations=3, sampler=propose)).run()
    num_drawn = sum(record.parent is None for record in slots.records())
    assert 0.5 < len(calls) / num_drawn < 0.8


# State


def restored(oracle: HyperbandOracle, **options: Any) -> HyperbandOracle:
    """Returns another oracle that takes up what a storage would have kept of this one."""
    checkpoint = json.loads(json.dumps(oracle.checkpoint()))
    records = [copy.deepcopy(oracle.trials[trial_id].record) for trial_id in oracle.start_order]
    other = hyperband(oracle.hyperparameters, **options)
    other.restore([Trial.of_record(record, oracle.hyperparameters) for record in records], checkpoint)
    return other


def proposals(slots: Slots) -> list[tuple[Any, ...]]:
    names = ("trial_id", "values", "bracket", "rung", "parent", "budget", "initial_epoch", "seed")
    return [tuple(getattr(record, name) for name in names) for record in slots.records()]


@pytest.mark.parametrize("space", [unit_space, grid_space], ids=["infinite", "small"])
@pytest.mark.parametrize(
    "options",
    [{}, {"asynchronous": True}, {"max_epochs": 81, "budget": "data"}, {"max_epochs": 9, "sampler": "bayesian"}],
    ids=str,
)
def test_a_search_that_was_interrupted_goes_on_as_if_it_had_not_been(space: Any, options: dict[str, Any]) -> None:
    whole = proposals(Slots(hyperband(space(), **options)).run())
    for after in (1, 7, 20):
        interrupted = Slots(hyperband(space(), **options)).run(max_trials=after)
        interrupted.oracle.create_trial("slot0")  # under way when the process dies
        assert proposals(Slots(restored(interrupted.oracle, **options)).run()) == whole


def test_zero_is_a_seed_and_seeds_differ() -> None:
    one, two, other = (proposals(Slots(hyperband(seed=seed)).run()) for seed in (0, 0, 1))
    assert one == two
    assert one != other


def test_a_search_that_began_with_another_schedule_is_refused() -> None:
    oracle = Slots(hyperband()).run(max_trials=5).oracle
    for options in ({"max_epochs": 9}, {"factor": 2}, {"min_epochs": 3}, {"budget": "data"}):
        with pytest.raises(ProjectError, match="schedule"):
            restored(oracle, **options)
    done = Slots(hyperband()).run().oracle
    with pytest.raises(ProjectError, match="schedule"):
        restored(done, asynchronous=True)


def test_more_iterations_may_be_asked_for_when_a_search_is_resumed() -> None:
    oracle = Slots(hyperband(max_epochs=9)).run().oracle
    slots = Slots(restored(oracle, max_epochs=9, hyperband_iterations=2)).run()
    assert proposals(slots) == proposals(Slots(hyperband(max_epochs=9, hyperband_iterations=2)).run())


def test_state_is_kept_only_while_a_promotion_may_need_it() -> None:
    oracle = hyperband(max_epochs=9)
    slots = Slots(oracle).run(max_trials=13)
    assert [record.rung for record in slots.records(bracket=0)].count(2) == 1
    assert any(oracle.keeps_state(record.trial_id) for record in slots.records(rung=0))
    slots.run()
    assert not any(oracle.keeps_state(record.trial_id) for record in slots.records())


def test_the_state_of_a_parent_outlives_a_promotion_that_may_be_tried_again() -> None:
    oracle = hyperband(max_epochs=9)
    slots = Slots(oracle).run(max_trials=12)
    child = next(record for record in slots.records() if record.parent is not None)
    child.status = TrialStatus.INVALID
    assert oracle.keeps_state(str(child.parent))
    child.status = TrialStatus.COMPLETED
    assert not oracle.keeps_state(str(child.parent))


def test_a_promotion_starts_where_a_callback_stopped_its_parent() -> None:
    oracle = hyperband(grid_space(1, 1), max_epochs=9, min_epochs=3)
    first = oracle.create_trial("slot0")
    first.record.epochs, first.record.runs, first.record.score = 4, [1, 2], 1.0  # type: ignore[list-item]
    first.status = TrialStatus.COMPLETED
    oracle.verbose = 0
    oracle.end_trial(first)
    second = oracle.create_trial("slot0")
    assert (second.parent, second.initial_epoch, second.budget) == (first.trial_id, 2, 9)


def test_the_best_trials_are_different_configurations() -> None:
    slots = Slots(hyperband()).run()
    best = slots.oracle.get_best_trials(10)
    assert len({str(trial.values) for trial in best}) == len(best) == 10
    assert best[0].score == min(record.score for record in slots.records())


# Arguments


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"factor": 1}, "factor"),
        ({"factor": 1.5}, "factor"),
        ({"max_epochs": 0}, "max_epochs"),
        ({"min_epochs": 0}, "min_epochs"),
        ({"min_epochs": 100}, "min_epochs"),
        ({"hyperband_iterations": 0}, "hyperband_iterations"),
        ({"hyperband_iterations": 1.5}, "hyperband_iterations"),
        ({"sampler": "bayes"}, "sampler"),
        ({"budget": "seconds"}, "budget"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=f"{what} must .*, but got"):
        hyperband(**options)


def test_notes_give_the_arithmetic() -> None:
    assert hyperband(max_epochs=9, hyperband_iterations=2).notes() == [
        "Hyperband, 2 iterations: 44 trials, 138 epochs in all",
        "bracket 0: 9 to epoch 1, 3 to epoch 3, 1 to epoch 9: 21 epochs",
        "bracket 1: 5 to epoch 3, 1 to epoch 9: 21 epochs",
        "bracket 2: 3 to epoch 9: 27 epochs",
    ]
    assert hyperband(max_epochs=3, budget="data").notes()[1] == (
        "bracket 0: 3 on 0.333 of the data, 1 on 1 of the data: as much as 6 epochs on all of it"
    )


def test_it_runs_in_a_plain_keras_tuner(tmp_path: Any) -> None:
    class Plain(keras_tuner.Tuner):  # type: ignore[misc]
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
            return {"val_loss": abs(trial.hyperparameters.get("x") - 0.3)}

    oracle = hyperband(max_epochs=9)
    tuner = Plain(oracle=oracle, directory=tmp_path, project_name="plain")
    tuner.search(verbose=0)
    assert Counter(trial.rung for trial in oracle.trials.values()) == {0: 17, 1: 4, 2: 1}
    again = hyperband(max_epochs=9)
    Plain(oracle=again, directory=tmp_path, project_name="plain").search(verbose=0)
    assert list(again.trials) == list(oracle.trials)
