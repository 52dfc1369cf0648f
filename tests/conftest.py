"""What all tests share: a quiet TensorFlow, small data, a tiny model, a directory of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

# Before TensorFlow is loaded. One thread an operation and plain kernels: the same numbers on every machine and
# room for others on it. Subprocesses inherit this, and import the same kt_suite as the test that starts them.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))

# A shell that starts the tests in the background has them, and all that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402 - loaded once, here, so that no single test pays for it

# Two devices, for what is spread over them; everything else stays on the first.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths, such as the default log directory, lead nowhere near the checkout."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def _checkout_stays_as_it_was() -> Iterator[None]:
    """A test that leaves something in the checkout fails the run."""
    before = set(ROOT.iterdir())
    yield
    litter = [path.name for path in set(ROOT.iterdir()) - before if not path.name.startswith(".")]
    assert litter == [], "tests wrote into the checkout"


@pytest.fixture(scope="session")
def digits_images() -> tuple[np.ndarray, np.ndarray]:
    """Returns 360 digits: images of shape ``(360, 8, 8, 1)`` in [0, 1], and labels of shape ``(360,)``."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return (x[:360].reshape(-1, 8, 8, 1) / 16).astype("float32"), y[:360].astype("int32")


@pytest.fixture(scope="session")
def digits_rows(digits_images: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the same digits as rows of shape ``(360, 64)``."""
    x, y = digits_images
    return x.reshape(len(x), -1), y


@pytest.fixture(scope="session")
def iris() -> tuple[np.ndarray, np.ndarray]:
    """Returns the iris data, shuffled: rows of shape ``(150, 4)``, and labels of shape ``(150,)``."""
    from sklearn.datasets import load_iris

    x, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return x[order].astype("float32"), y[order].astype("int32")


@pytest.fixture
def project(tmp_path: Path) -> dict[str, Any]:
    """Returns the arguments that give a tuner a project of its own."""
    return {"directory": tmp_path / "projects", "project_name": "search"}


@pytest.fixture
def tiny_build() -> Callable[[Any], Any]:
    """Returns a build function for the iris data: one hidden layer, a width and a learning rate to tune."""
    import keras

    def build(hp: Any) -> Any:
        units = hp.Int("units", 2, 8, step=2)
        rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(units, "relu"), keras.layers.Dense(3, "softmax")]
        )
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    return build
