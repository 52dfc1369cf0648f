"""Pruning where several objectives count."""

from __future__ import annotations

from kt_suite.objective import Objective
from kt_suite.oracles.pareto_objective import ParetoObjective
from kt_suite.pruners import MedianPruner, Pruner
from kt_suite.pruners.pareto import ParetoPruner
from kt_suite.trial import Decision, Report, TrialRecord, TrialStatus

OBJECTIVE = ParetoObjective([Objective("accuracy", "max"), Objective("seconds", "min")])


def opened(pruner: Pruner) -> ParetoPruner:
    made = ParetoPruner(pruner)
    made.open(OBJECTIVE)
    return made


def train(pruner: Pruner, number: int, curve: list[tuple[float, float]]) -> int | None:
    """Trains a trial along (accuracy, seconds); returns the epoch at which it was stopped."""
    trial = TrialRecord(f"{number:04d}", number)
    stopped = None
    for epoch, (accuracy, seconds) in enumerate(curve):
        if (
            pruner.judge(trial, Report(0, epoch, {"accuracy": accuracy, "seconds": seconds}), -accuracy)
            is Decision.STOP
        ):
            stopped = epoch
            break
    trial.status = TrialStatus.COMPLETED if stopped is None else TrialStatus.PRUNED
    pruner.end(trial)
    return stopped


def three_trials() -> ParetoPruner:
    pruner = opened(MedianPruner(num_startup_trials=3))
    for number, (accuracy, seconds) in enumerate([(0.5, 1.0), (0.7, 3.0), (0.9, 5.0)]):
        assert train(pruner, number, [(accuracy, seconds)] * 3) is None
    return pruner


def test_only_a_trial_that_is_bad_in_all_objectives_stops() -> None:
    pruner = three_trials()
    assert train(pruner, 3, [(0.6, 4.0)] * 3) == 0
    assert train(pruner, 4, [(0.1, 0.5)] * 3) is None
    assert train(pruner, 5, [(0.95, 9.0)] * 3) is None


def test_objectives_must_be_bad_at_the_same_epoch() -> None:
    assert train(three_trials(), 3, [(0.6, 2.0), (0.9, 4.0), (0.9, 4.0)]) is None
    assert train(three_trials(), 3, [(0.6, 2.0), (0.6, 2.0), (0.6, 9.0)]) is None


def test_a_search_for_one_objective_is_judged_by_it_alone() -> None:
    pruner = ParetoPruner(MedianPruner(num_startup_trials=1))
    pruner.open(Objective("accuracy", "max"))
    assert train(pruner, 0, [(0.5, 0.0)]) is None
    assert train(pruner, 1, [(0.4, 0.0)]) == 0


def test_opening_forgets_an_earlier_search_and_leaves_the_given_pruner_alone() -> None:
    given = MedianPruner(num_startup_trials=1)
    pruner = opened(given)
    train(pruner, 0, [(0.9, 1.0)])
    assert train(pruner, 1, [(0.1, 2.0)]) == 0
    pruner.open(OBJECTIVE)
    assert train(pruner, 0, [(0.1, 2.0)]) is None
    assert vars(given).keys() == vars(MedianPruner(num_startup_trials=1)).keys()
