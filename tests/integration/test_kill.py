"""Whatever instant a search dies at, it goes on as if nothing had happened.

A process that is killed leaves its files as they were after the last write. Here a search leaves a copy of its
project after
each write, and every copy is taken up: that is every instant there is, but for those inside a write, which the
    contract of
storages covers. Real signals on real training are in test_killed_search.py.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import pytest

import kt_suite as kts
from kt_suite.storage import Storage
from tests.black_box import black_box, table

NUM_TRIALS = 12
LOSS = kts.Objective("loss", "min")


def run(trial: Any) -> float:
    """A dynamic space, one trial that fails for good, and one that succeeds at the second try."""
    hp = trial.hyperparameters
    layers = hp.Int("layers", 1, 3)
    loss = sum((hp.Float(f"rate_{layer}", 1e-3, 1.0, sampling="log") - 0.1) ** 2 for layer in range(layers))
    if hp.Boolean("is_wide"):
        loss += hp.Choice("width", [8, 16, 32]) / 100
    if trial.number == 4 or (trial.number == 7 and trial.attempt == 1):
        raise ValueError("on purpose")
    return float(loss)


def search_in(directory: Path, make_oracle: Callable[[], Any]) -> Any:
    return black_box(run, make_oracle(), directory=directory)


def images_of(directory: Path, make_oracle: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Runs a search to its end; returns copies of its project, one for each write."""
    images: list[Path] = []
    write_event = Storage._transaction

    def with_image(self: Storage) -> Any:
        image = directory / f"image_{len(images)}"
        shutil.copytree(self.path.parent, image / "search")
        images.append(image)
        return write_event(self)

    monkeypatch.setattr(Storage, "_transaction", with_image)
    search_in(directory / "live", make_oracle).search(verbose=0)
    monkeypatch.undo()
    return images


def ours(name: str, **options: Any) -> Callable[[], Any]:
    settings = {"objective": LOSS, "max_trials": NUM_TRIALS, "seed": 3, "max_retries_per_trial": 1, **options}
    return lambda: getattr(kts.oracles, name)(**settings)


def theirs() -> Any:
    return keras_tuner.oracles.RandomSearchOracle(
        objective=LOSS, max_trials=NUM_TRIALS, seed=3, max_retries_per_trial=1
    )


@pytest.mark.parametrize(
    ("make_oracle", "every"),
    [
        pytest.param(ours("RandomSearchOracle"), 4, id="random"),
        pytest.param(ours("GridSearchOracle"), 11, id="grid", marks=pytest.mark.slow),
        pytest.param(
            ours("BayesianOptimizationOracle", num_initial_points=4), 17, id="bayesian", marks=pytest.mark.slow
        ),
        pytest.param(theirs, 11, id="keras_tuner", marks=pytest.mark.slow),
    ],
)
def test_a_search_killed_after_any_write_ends_as_if_never_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_oracle: Callable[[], Any], every: int
) -> None:
    whole = search_in(tmp_path / "whole", make_oracle)
    whole.search(verbose=0)
    expected = table(whole)
    assert Counter(row[1] for row in expected) == {"COMPLETED": NUM_TRIALS - 1, "FAILED": 1}
    images = images_of(tmp_path, make_oracle, monkeypatch)
    assert len(images) > 3 * NUM_TRIALS
    for image in images[1::every]:
        before = Storage.open(image / "search")
        finished = {trial.trial_id for trial in before.trials() if trial.is_finished}
        last_event = max((event["id"] for event in before.events()), default=0)
        tuner = search_in(image, make_oracle)
        tuner.search(verbose=0)
        assert table(tuner) == expected, image.name
        again = {event["trial_id"] for event in tuner._storage.events(after=last_event if finished else 0)}
        assert not finished & again, f"{image.name}: a finished trial was run again"


def test_a_search_that_dies_again_and_again_ends_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search_in(tmp_path / "whole", ours("RandomSearchOracle"))
    whole.search(verbose=0)

    class Killed(BaseException):
        """Nothing that the search does after this reaches the disk."""

    num_left = [0]
    transaction = Storage._transaction

    def dying(self: Storage) -> Any:
        num_left[0] -= 1
        if num_left[0] < 0:
            raise Killed
        return transaction(self)

    monkeypatch.setattr(Storage, "_transaction", dying)
    num_deaths = 0
    for lifetime in [3, 5, 4, 9, 6, 5, 11, 4, 8, 7, 10**6]:
        num_left[0] = lifetime
        try:
            tuner = search_in(tmp_path / "mortal", ours("RandomSearchOracle"))
            tuner.search(verbose=0)
        except Killed:
            num_deaths += 1
    assert num_deaths == 10
    assert table(tuner) == table(whole)
