"""The examples run, on fewer trials than they are meant for."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL: dict[str, dict[str, Any]] = {
    "iris_mlp_grid": {"epochs": 2},
    "forest_grid": {"max_trials": 3},
    "hidden_units_bayesian": {"max_trials": 6, "epochs": 2},
    "depth_grid": {"epochs": 2},
    "own_hypermodel": {"max_trials": 3, "epochs": 3},
    "part_then_all": {"max_trials": 3, "num_best": 2, "epochs": 2},
}
pytestmark = pytest.mark.slow


def example(name: str) -> Any:
    return importlib.import_module(f"examples.{name}")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_example_is_run_by_a_test() -> None:
    alone = {"logistic_regression_grid", "hyperband_mirrored"}
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == SMALL.keys() | alone


@pytest.mark.parametrize("name", SMALL)
def test_an_example_ends_with_a_best_trial(name: str, tmp_path: Path) -> None:
    found = example(name).search(**SMALL[name], directory=str(tmp_path))
    tuners = [one for one in (found if isinstance(found, tuple) else (found,)) if hasattr(one, "results")]
    for tuner in tuners:
        assert {row["status"] for row in tuner.results()} == {"COMPLETED"}
        assert 0.3 < tuner.results()[0]["score"] <= 1.0
    if name == "iris_mlp_grid":
        assert len(tuners[0].results()) == 36
        assert all(len(trial.record.runs) == 5 for trial in tuners[0].oracle.trials.values())


def test_both_logistic_regressions_end_alike(tmp_path: Path) -> None:
    module = example("logistic_regression_grid")
    _, x_test, _, y_test = module.data()
    network = module.search(module.keras_model, str(tmp_path), epochs=40, batch_size=16)
    estimator = module.search(module.estimator, str(tmp_path))
    assert len(network.results()) == len(estimator.results()) == 12
    assert network.get_best_models()[0].evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"] > 0.85
    assert estimator.get_best_models()[0].score(x_test, y_test) > 0.85


def test_the_part_chooses_what_is_trained_on_all(tmp_path: Path) -> None:
    part, full = example("part_then_all").search(max_trials=3, num_best=2, epochs=1, directory=str(tmp_path))
    best = [hp.values for hp in part.get_best_hyperparameters(2)]
    assert [trial.record.values for trial in full.oracle.trials.values()] == best


def test_hyperband_runs_mirrored_in_a_process_of_its_own(tmp_path: Path) -> None:
    code = "from examples.hyperband_mirrored import search; print(len(search(max_epochs=3).results()))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("KT_SUITE_VIRTUAL_DEVICES", None)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) >= 2
