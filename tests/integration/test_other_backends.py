"""Searches under other backends of Keras, without TensorFlow: fused on JAX, one by one on PyTorch, with the reason."""

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
import keras_tuner
import numpy as np
import kt_suite as kts
from kt_suite.models import MLP
from kt_suite.models.data_facts import yields_batches

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
kts.executors.ProcessExecutor(workers=1)  # counts devices
MLP((4,), 2, task="multiclass").build(keras_tuner.HyperParameters())
assert not yields_batches(x)

found = []
for argument in sys.argv[1:]:
    executor, max_trials = argument.split(":")
    common = {"directory": "searches", "project_name": executor, "seed": 1}
    tuner = kts.RandomSearch(build, objective="val_loss", max_trials=int(max_trials), executor=executor, **common)
    tuner.search(x, y, validation_data=(x, y), epochs=2, verbose=0)
    scores = [row["score"] for row in tuner.results()]
    again = tuner.get_best_models(1)[0].evaluate(x, y, verbose=0)
    found.append({"scores": scores, "again": again, "how": tuner.explain_execution()})
print(json.dumps(found))
"""


NO_TENSORFLOW = 'raise ModuleNotFoundError("No module named tensorflow", name="tensorflow")'


def searched(tmp_path: Path, backend: str, *searches: str) -> list[dict[str, Any]]:
    """Returns what came of ``executor:trials`` in a process that cannot import TensorFlow, nor can its workers."""
    (tmp_path / "blocked" / "tensorflow").mkdir(parents=True)
    (tmp_path / "blocked" / "tensorflow" / "__init__.py").write_text(NO_TENSORFLOW)
    (tmp_path / "script.py").write_text(SCRIPT)
    path = os.pathsep.join([str(tmp_path / "blocked"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "script.py", *searches],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return list(json.loads(done.stdout.splitlines()[-1]))


def needs(package: str) -> Any:
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed")


@needs("jax")
def test_searches_on_jax_need_no_tensorflow(tmp_path: Path) -> None:
    fused, inline = searched(tmp_path, "jax", "fused:3", "inline:1")
    assert "3 trials in one program" in fused["how"]
    assert (len(fused["scores"]), len(inline["scores"])) == (3, 1)
    for found in (fused, inline):
        assert found["again"] == pytest.approx(min(found["scores"]), rel=1e-4)
    assert (tmp_path / "tensorboard_logs").is_dir()


@needs("torch")
def test_trials_are_not_fused_on_torch_and_it_says_why(tmp_path: Path) -> None:
    (found,) = searched(tmp_path, "torch", "fused:1")
    assert "'torch' is not fused: use tensorflow or jax" in found["how"]
    assert found["again"] == pytest.approx(min(found["scores"]), rel=1e-4)


@needs("jax")
def test_stacks_on_jax_train_as_fit_does(tmp_path: Path) -> None:
    """A few tests of equality, with JAX under Keras."""
    tests = "tests/unit/executors/fused/test_stack_equality.py::test_"
    chosen = [
        "layers_between_dense_layers_of_other_widths[normalizations]",
        "optimizers_with_numbers_of_their_own[adamw]",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(tests + name for name in chosen)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
