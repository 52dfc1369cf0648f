"""Searches under other backends of Keras: fused on JAX, one trial after the other on PyTorch, with the reason."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, sys
import keras
import numpy as np
import kt_suite as kts

def build(hp):
    model = keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(hp.Int("units", 2, 6), activation=hp.Choice("activation", ["relu", "tanh"])),
        keras.layers.Dropout(hp.Float("dropout", 0.0, 0.5)),
        keras.layers.Dense(2, activation="softmax"),
    ])
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model

x = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
y = (x[:, 0] > 0).astype("int32")
executor, trials = sys.argv[1], int(sys.argv[2])
tuner = kts.RandomSearch(
    build, objective="val_loss", max_trials=trials, executor=executor, directory="searches", seed=1, tensorboard=None
)
tuner.search(x, y, validation_data=(x, y), epochs=2, verbose=0)
scores = [row["score"] for row in tuner.results()]
again = tuner.get_best_models(1)[0].evaluate(x, y, verbose=0)
print(json.dumps({"scores": scores, "again": again, "how": tuner.explain_execution()}))
"""


def searched(tmp_path: Path, backend: str, executor: str, trials: int) -> dict[str, Any]:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(path), executor, str(trials)],
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def needs(package: str) -> Any:
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed")


@needs("jax")
def test_trials_are_fused_on_jax(tmp_path: Path) -> None:
    found = searched(tmp_path, "jax", "fused", 4)
    assert "4 trials in one program" in found["how"]
    assert len(found["scores"]) == 4
    assert found["again"] == pytest.approx(min(found["scores"]), rel=1e-4)


@needs("jax")
def test_trials_train_inline_on_jax(tmp_path: Path) -> None:
    found = searched(tmp_path, "jax", "inline", 1)
    assert found["again"] == pytest.approx(found["scores"][0], rel=1e-4)


@needs("torch")
def test_trials_are_not_fused_on_torch_and_it_says_why(tmp_path: Path) -> None:
    found = searched(tmp_path, "torch", "fused", 1)
    assert "'torch' is not fused: use tensorflow or jax" in found["how"]
    assert found["again"] == pytest.approx(found["scores"][0], rel=1e-4)


@needs("jax")
def test_stacks_on_jax_train_as_fit_does(tmp_path: Path) -> None:
    """The tests of equality, a few of each kind, with JAX under Keras."""
    chosen = "dense_layers or valid_and_average or nested or adamw or huber or one_hot"
    tests = ROOT / "tests/unit/executors/fused/test_stack_equality.py"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-m",
            "slow or not slow",
            str(tests),
            "-k",
            chosen,
        ],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
