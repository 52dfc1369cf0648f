"""Fused trials on JAX beside one ``fit`` after the other on JAX, over the spaces of ``throughput.py``.

    python benchmarks/fused_jax.py --trials 8 64 256 1024                                   # on an accelerator
    python benchmarks/fused_jax.py --trials 4 8 --epochs 2 --alone 1 --output /tmp/try.json  # to see it run on a CPU

Needs the extra ``jax`` (``pip install 'kt-suite[jax]'``). Each search is timed from its first call to its last result,
compiling included; the import is not. Only ``--alone`` trials are trained one after the other, as ``fit`` does, and
their mean is what a trial costs there; so the ratio is one of trials per second.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from throughput import BUILDS, NUM_TRAINING, digits

os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported


CASES = ("learning_rate", "depth", "cnn")


def seconds(case: str, executor: str, num_trials: int, epochs: int) -> tuple[float, float]:
    """Returns how long a search takes, and its best score."""
    import kt_suite as kts

    x, y = digits()
    with tempfile.TemporaryDirectory() as directory:
        tuner = kts.RandomSearch(
            BUILDS[case],
            objective="val_accuracy",
            max_trials=num_trials,
            executor=executor,
            directory=directory,
            seed=0,
            tensorboard=None,
        )
        held_out = (x[NUM_TRAINING:], y[NUM_TRAINING:])
        start = time.perf_counter()
        tuner.search(x[:NUM_TRAINING], y[:NUM_TRAINING], validation_data=held_out, epochs=epochs, verbose=0)
        took = time.perf_counter() - start
        return took, float(tuner.results()[0]["score"])


def machine() -> dict[str, Any]:
    """Opens the device, for all that follow; returns what the figures depend on."""
    import jax

    jax.block_until_ready(jax.numpy.ones((8, 8)) @ jax.numpy.ones((8, 8)))
    versions = {name: metadata.version(name) for name in ("jax", "keras", "numpy")}
    return {
        "device": jax.devices()[0].device_kind,
        "versions": {"python": platform.python_version(), **versions},
        # JAX's own choice is less than single precision where the device multiplies so: TF32 on GPUs of NVIDIA.
        "matmul_precision": str(jax.config.jax_default_matmul_precision or "default"),
    }


def store(path: Path, figures: dict[str, Any]) -> None:
    """Writes the figures of one case beside those of others."""
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"cases": {}}
    stored["cases"][figures["case"]] = figures
    path.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Measures one case, prints its figures and stores them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, default=CASES[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[8, 64, 256, 1024])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--alone", type=int, default=4, help="trials trained one after the other")
    default = Path(__file__).parent / "results" / "fused_jax.json"
    parser.add_argument("--output", type=Path, default=default, help="file of the figures, written after each search")
    options = parser.parse_args()
    rows: list[dict[str, float]] = []
    figures: dict[str, Any] = {"case": options.case, **machine(), "epochs": options.epochs}
    took, best = seconds(options.case, "inline", options.alone, options.epochs)
    alone = took / options.alone
    figures |= {"alone_trials": options.alone, "alone_seconds": alone, "fused": rows}
    print(
        f"{options.case}, {figures['device']}: one after the other {alone:.2f} s a trial of {options.epochs} epochs, "
        f"best {best:.4f}",
        flush=True,
    )
    for num_trials in options.trials:
        took, best = seconds(options.case, "fused", num_trials, options.epochs)
        rows.append({"trials": num_trials, "seconds": took, "best": best, "ratio": alone * num_trials / took})
        store(options.output, figures)
        print(
            f"fused, {num_trials:5d} trials: {took:7.2f} s, best {best:.4f}, {rows[-1]['ratio']:.1f} times", flush=True
        )


if __name__ == "__main__":
    main()
