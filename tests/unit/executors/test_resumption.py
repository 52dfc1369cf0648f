from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kt_suite as kts
from kt_suite.executors import Event, InlineExecutor
from kt_suite.executors import resumption as module
from kt_suite.executors.resumption import carry_over, load_progress
from kt_suite.executors.workers import WorkerLostError
from kt_suite.trial import TrialStatus

EPOCHS = 6


class LosingExecutor(InlineExecutor):
    """Loses the first attempt when it reports a certain epoch of a certain run, as if its worker had died there."""

    def __init__(self, run: int, epoch: int, interval: float | None = 0.0) -> None:
        super().__init__()
        self.point = (1, run, epoch)
        self.interval = interval

    def open(self, runner: Any, report: Any, should_stop: Any = None) -> None:
        def losing(trial_id: str, one: Any) -> Any:
            if (one.attempt, one.run, one.epoch) == self.point:
                raise WorkerLostError("as asked")
            return report(trial_id, one)

        runner._checkpoint_interval = self.interval
        super().open(runner, losing, should_stop)

    def _run(self, spec: Any) -> Event:
        event = super()._run(spec)
        if "WorkerLostError" in (event.message or ""):
            event.kind = "lost"
        return event


class Counter(keras.callbacks.Callback):
    """Counts the epochs that are really trained, over all copies."""

    epochs: list[int] = []  # noqa: RUF012 - shared on purpose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(epoch)


def build(hp: Any) -> Any:
    hp.Int("unused", 1, 2)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return model


def build_late(hp: Any) -> Any:
    hp.Int("unused", 1, 2)
    model = keras.Sequential([keras.layers.Dense(2, "relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return model


def search(directory: Path, executor: Any, build: Any = build, callbacks: Any = (), **options: Any) -> Any:
    Counter.epochs = []
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 3)).astype("float32")
    y = x[:, :1] - x[:, 1:2] * x[:, 2:]
    settings: dict[str, Any] = {"max_trials": 1, "seed": 0, "tensorboard": None, **options}
    tuner = kts.RandomSearch(build, "val_loss", directory=directory, executor=executor, **settings)
    fit = {"validation_data": (x[16:], y[16:]), "epochs": EPOCHS, "shuffle": False, "batch_size": 8, "verbose": 0}
    tuner.search(x[:16], y[:16], callbacks=[Counter(), *callbacks], **fit)
    return tuner


def outcome(tuner: Any) -> Any:
    record = tuner._records()[0]
    reports = [(one.run, one.epoch, one.metrics) for one in tuner._storage.reports(record.trial_id)]
    runs = [(run.score, run.best_epoch, run.metrics, run.seed) for run in record.runs]
    weights = [weight.tolist() for weight in tuner.get_best_models()[0].get_weights()]
    return record.status, record.score, record.best_epoch, record.metrics, record.epochs, runs, reports, weights


@pytest.mark.parametrize("make", [build, build_late], ids=["built", "built by fit"])
def test_a_retry_goes_on_where_the_lost_attempt_was_and_ends_like_one_that_was_not_lost(
    tmp_path: Path, make: Any
) -> None:
    whole = outcome(search(tmp_path / "whole", "inline", make))
    lost = search(tmp_path / "lost", LosingExecutor(0, 3), make)
    assert outcome(lost) == whole
    assert lost._records()[0].attempt == 2
    assert Counter.epochs == [0, 1, 2, 3, 4, 5]


@pytest.mark.slow
def test_runs_that_were_over_are_not_trained_again(tmp_path: Path) -> None:
    whole = outcome(search(tmp_path / "whole", "inline", executions_per_trial=2))
    lost = outcome(search(tmp_path / "lost", LosingExecutor(1, 1), executions_per_trial=2))
    assert Counter.epochs == [*range(EPOCHS), 0, 1, *range(2, EPOCHS)]
    assert lost == whole


def test_a_run_that_had_stopped_by_itself_stays_stopped(tmp_path: Path) -> None:
    class Stopping(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 1

    lost = search(tmp_path, LosingExecutor(0, 1), callbacks=[Stopping()])
    assert [one.epoch for one in lost._storage.reports("0000")] == [0, 1]


@pytest.mark.slow
def test_a_retry_begins_at_the_beginning_where_nothing_was_left(tmp_path: Path) -> None:
    whole = outcome(search(tmp_path / "whole", "inline"))
    lost = outcome(search(tmp_path / "lost", LosingExecutor(0, 2, interval=None)))
    assert Counter.epochs == [0, 1, 2, *range(EPOCHS)]
    assert lost == whole


def test_a_deterministic_search_never_resumes_a_run(tmp_path: Path) -> None:
    search(tmp_path, LosingExecutor(0, 2), deterministic=True)
    assert Counter.epochs == [0, 1, 2, *range(EPOCHS)]


def test_nothing_of_it_stays_when_a_trial_has_ended(tmp_path: Path) -> None:
    search(tmp_path, LosingExecutor(0, 2))
    assert list(tmp_path.rglob("progress_*")) == []
    assert [path.name for path in tmp_path.rglob("attempt_*")] == ["attempt_2"]


def test_a_failed_attempt_leaves_nothing_to_go_on_from(tmp_path: Path) -> None:
    class Failing(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise ValueError("always")

    lost = search(tmp_path, LosingExecutor(9, 9), callbacks=[Failing()], max_retries_per_trial=1)
    assert Counter.epochs == [0, 1, 2, 0, 1, 2]
    assert lost._records()[0].status == TrialStatus.FAILED


def test_a_lost_attempt_that_is_still_writing_does_not_harm_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, target = tmp_path / "attempt_1", tmp_path / "attempt_2"
    lost.mkdir()
    target.mkdir()

    def leave(epoch: int) -> None:
        name = f"progress_0_{epoch}.weights.h5"
        for old in lost.glob("*.h5"):
            old.unlink()
        (lost / name).write_text(str(epoch))
        fields = {"run": 0, "first_epoch": 0, "curve": [{}] * epoch, "best_epoch": None, "is_over": False}
        (lost / "progress_0.json").write_text(json.dumps({**fields, "build_config": None, "files": [name]}))

    copy = shutil.copyfile

    def copy_too_late(source: Any, target: Any) -> Any:
        monkeypatch.undo()
        leave(2)
        return copy(source, target)

    leave(1)
    monkeypatch.setattr(module.shutil, "copyfile", copy_too_late)
    carry_over(lost, target)
    progress = load_progress(target, 0)
    assert progress is not None
    assert progress.next_epoch == 2
    assert (target / progress.files[0]).read_text() == "2"
