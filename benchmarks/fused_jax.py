"""Fused trials on JAX beside one ``fit`` after the other on JAX: an MLP on digits, learning rate and dropout tuned.

    python benchmarks/fused_jax.py --trials 8 64 256 1024 --epochs 20     # an accelerator
    python benchmarks/fused_jax.py --trials 4 8 --epochs 2 --alone 1      # to see it run on a CPU

Needs the extra ``jax`` (``pip install 'kt-suite[jax]'``). Each search is timed from its first call to its last result,
compiling included; the import is not. Only ``--alone`` trials are trained one after the other, as ``fit`` does, and
their mean is what a trial costs there; so the ratio is one of trials per second.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from throughput import build_mlp, digits

os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported


def seconds(executor: str, num_trials: int, epochs: int) -> tuple[float, float]:
    """Returns how long a search takes, and its best score."""
    import kt_suite as kts

    x, y = digits()
    with tempfile.TemporaryDirectory() as directory:
        tuner = kts.RandomSearch(
            build_mlp,
            objective="val_accuracy",
            max_trials=num_trials,
            executor=executor,
            directory=directory,
            seed=0,
            tensorboard=None,
        )
        start = time.perf_counter()
        tuner.search(x[:1347], y[:1347], validation_data=(x[1347:], y[1347:]), epochs=epochs, verbose=0)
        took = time.perf_counter() - start
        return took, float(tuner.results()[0]["score"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[8, 64, 256, 1024])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--alone", type=int, default=4, help="trials trained one after the other")
    parser.add_argument("--output", type=Path, help="file for the figures as JSON, written anew after each search")
    arguments = parser.parse_args()
    import jax

    jax.block_until_ready(jax.numpy.ones((8, 8)) @ jax.numpy.ones((8, 8)))  # opens the device, for all that follow
    took, best = seconds("inline", arguments.alone, arguments.epochs)
    alone = took / arguments.alone
    device = jax.devices()[0].device_kind
    print(f"{device}: one after the other {alone:.2f} s a trial of {arguments.epochs} epochs, best {best:.4f}")
    rows: list[dict[str, float]] = []
    figures = {"device": device, "epochs": arguments.epochs, "alone_seconds": alone, "fused": rows}
    for num_trials in arguments.trials:
        took, best = seconds("fused", num_trials, arguments.epochs)
        rows.append({"trials": num_trials, "seconds": took, "best": best, "ratio": alone * num_trials / took})
        print(f"fused, {num_trials:5d} trials: {took:7.2f} s, best {best:.4f}, {rows[-1]['ratio']:.1f} times")
        if arguments.output is not None:
            arguments.output.write_text(json.dumps(figures))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
