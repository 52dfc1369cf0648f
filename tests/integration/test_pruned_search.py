"""Pruners stop real searches in mid-training, and know after a resume what they knew before."""

from __future__ import annotations

from typing import Any

import pytest

from kt_suite import HyperParameters, RandomSearch
from kt_suite.pruners import PRUNERS, MedianPruner, Pruner, ThresholdPruner
from kt_suite.trial import TrialStatus

NUM_EPOCHS = 12


class CurveSearch(RandomSearch):
    """Trains along curves that level off at the value of ``x``; dies before the trial of a number."""

    dies_before: int | None = None

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        if trial.number == self.dies_before:
            raise KeyboardInterrupt
        losses: list[float] = []
        for epoch in range(NUM_EPOCHS):
            losses.append(max(trial.values["x"], 1.0 - 0.2 * epoch))
            if not self.report_epoch(trial, epoch, {"val_loss": losses[-1]}):
                break
        return {"val_loss": min(losses)}


def search(project: dict[str, Any], pruner: Any, dies_before: int | None = None) -> list[Any]:
    """Returns the records of a search with a pruner."""
    space = HyperParameters()
    space.Float("x", 0.0, 1.0)
    tuner = CurveSearch(
        objective="val_loss", max_trials=25, seed=0, hyperparameters=space, pruner=pruner, tensorboard=None, **project
    )
    tuner.dies_before = dies_before
    tuner.search(verbose=0)
    return [tuner.oracle.trials[trial_id].record for trial_id in tuner.oracle.start_order]


PRUNED_BY = [*(name for name in PRUNERS if name != "threshold"), ThresholdPruner(upper=0.85, num_warmup_epochs=1)]


@pytest.mark.parametrize("pruner", PRUNED_BY)
def test_hopeless_trials_stop_early_and_the_best_is_found(project: dict[str, Any], pruner: str | Pruner) -> None:
    records = search(project, pruner)
    pruned = [record for record in records if record.status == TrialStatus.PRUNED]
    assert 0 < len(pruned) < len(records)
    assert all(record.epochs < NUM_EPOCHS and record.score is not None for record in pruned)
    best = min(records, key=lambda record: record.values["x"])
    if not isinstance(pruner, Pruner):
        assert best.status == TrialStatus.COMPLETED


@pytest.mark.slow
def test_a_resumed_search_prunes_what_an_uninterrupted_one_would(project: dict[str, Any]) -> None:
    def outcome(records: list[Any]) -> list[tuple[Any, ...]]:
        return [(record.trial_id, record.values, record.status, record.epochs) for record in records]

    whole = search({**project, "project_name": "whole"}, MedianPruner())
    with pytest.raises(KeyboardInterrupt):
        search(project, MedianPruner(), dies_before=12)
    assert outcome(search(project, MedianPruner())) == outcome(whole)


def test_keras_training_stops_at_the_end_of_the_epoch(tiny_build: Any, iris: Any, project: dict[str, Any]) -> None:
    x, y = iris
    tuner = RandomSearch(
        tiny_build, "val_loss", max_trials=1, seed=0, pruner=ThresholdPruner(upper=0.0), tensorboard=None, **project
    )
    tuner.search(x, y, validation_data=(x, y), epochs=3, verbose=0)
    (trial,) = tuner.oracle.trials.values()
    assert (trial.status, trial.record.epochs) == (TrialStatus.PRUNED, 1)
    assert trial.record.fidelity == pytest.approx(1 / 3)
