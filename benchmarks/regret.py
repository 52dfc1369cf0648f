"""Simple regret of Bayesian optimisation: kt_suite, KerasTuner, Optuna's TPE and GP, and random search.

All optimisers run in one process, in turn, with the same seeds and their defaults. The regret of a search is the
least true
loss among its trials, above the minimum; on a noisy problem that of the trial that scored best, which is what a
user would take. Ranks are averaged over problems and seeds. Seconds are those of one suggestion.

    python benchmarks/regret.py                 # artificial problems, ten seeds
    python benchmarks/regret.py --training      # and networks that are really trained
    python benchmarks/regret.py --quick         # two seeds, fewer trials: a check that all of it runs
    python benchmarks/regret.py --timing        # seconds of a suggestion at 100, 1,000 and 10,000 finished trials

Optuna's GP needs torch; without it, that column is left out. The table is stored in benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from importlib import metadata, util
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from optimizers import OracleOptimizer, make_optimizers
from problems import Problem, cube, problems
from rich.console import Console
from rich.table import Table

from kt_suite.oracles.bayesian import BayesianOptimizationOracle

RESULTS = Path(__file__).resolve().parent / "results"
Record = dict[str, Any]


def run(problem: Problem, name: str, seed: int, num_trials: int) -> Record:
    """Returns the regret and the seconds of each trial of one search."""
    optimizer = make_optimizers(is_noisy=problem.noise > 0.0)[name](problem.declare, num_trials, seed)
    rng = np.random.default_rng([seed, 2024])
    best, curve, seconds = np.inf, [], []
    regret = np.inf
    for _ in range(num_trials):
        start = time.perf_counter()
        values = optimizer.suggest()
        seconds.append(time.perf_counter() - start)
        observed = problem.observe(values, rng)
        optimizer.observe(observed)
        if observed < best:
            best, regret = observed, problem.regret(values)
        curve.append(regret)
    return {
        "problem": problem.name,
        "optimizer": name,
        "seed": seed,
        "regret": curve,
        "seconds": float(np.median(seconds)),
    }


def rank(records: list[Record]) -> dict[str, float]:
    """Returns the mean rank of each optimiser over problems and seeds; equals share their ranks."""
    from scipy.stats import rankdata

    names = list(dict.fromkeys(record["optimizer"] for record in records))
    groups: dict[tuple[str, int], dict[str, float]] = {}
    for record in records:
        groups.setdefault((record["problem"], record["seed"]), {})[record["optimizer"]] = record["regret"][-1]
    ranks = [rankdata([group[name] for name in names]) for group in groups.values() if len(group) == len(names)]
    return dict(zip(names, np.mean(ranks, axis=0).tolist(), strict=True))


def summarize(records: list[Record]) -> Table:
    """Returns a table of final regrets: median, and worst of the seeds in brackets."""
    names = list(dict.fromkeys(record["optimizer"] for record in records))
    table = Table(title="Simple regret: median (worst) | seconds a suggestion")
    table.add_column("problem")
    for name in names:
        table.add_column(name, justify="right")
    for problem in dict.fromkeys(record["problem"] for record in records):
        cells = []
        for name in names:
            mine = [one for one in records if (one["problem"], one["optimizer"]) == (problem, name)]
            final = [one["regret"][-1] for one in mine]
            seconds = np.median([one["seconds"] for one in mine])
            cells.append(f"{np.median(final):.2g} ({max(final):.2g}) | {seconds:.3f}")
        table.add_row(problem, *cells)
    ranks = rank(records)
    table.add_row("mean rank", *(f"{ranks[name]:.2f}" for name in names))
    return table


def measure_timing(sizes: tuple[int, ...]) -> list[Record]:
    """Returns seconds of one suggestion of ours by number of finished trials, eight floats, and of 16 pending ones."""
    found = []
    for size in sizes:
        optimizer = OracleOptimizer(BayesianOptimizationOracle, cube(8), size + 100, seed=0)
        fill(optimizer.oracle, size)
        oracle, seconds, proposals = optimizer.oracle, [], []
        for slot in range(16):
            start = time.perf_counter()
            proposals.append(oracle.create_trial(f"slot{slot}").hyperparameters.values)
            seconds.append(time.perf_counter() - start)
        points = np.array([list(values.values()) for values in proposals])
        apart = np.linalg.norm(points[:, None] - points, axis=-1)[np.triu_indices(len(points), 1)]
        found.append(
            {
                "finished": size,
                "seconds_first": seconds[0],
                "seconds_median": float(np.median(seconds)),
                "seconds_max": max(seconds),
                "batch_distinct": len({tuple(point) for point in points}),
                "batch_least_distance": float(apart.min()),
            }
        )
    return found


def fill(oracle: Any, num_trials: int) -> None:
    """Gives an oracle so many finished trials of a bowl with noise, without asking it for them."""
    propose = type(oracle).populate_space
    rng = np.random.default_rng(7)

    def random_values(trial_id: str) -> Record:
        return {"status": "RUNNING", "values": oracle.space().sample(rng)}

    oracle.populate_space = random_values
    for _ in range(num_trials):
        trial = oracle.create_trial("filler")
        point = np.array(list(trial.hyperparameters.values.values()))
        trial.score = float(((point - 0.4) ** 2).sum() + 0.01 * rng.standard_normal())
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    oracle.populate_space = propose.__get__(oracle)


def machine() -> Record:
    """Returns what ran this, and where."""
    packages = ("numpy", "scipy", "keras", "keras-tuner", "tensorflow", "optuna", "torch")
    installed = {name: metadata.version(name) for name in packages if util.find_spec(name.replace("-", "_"))}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "versions": installed,
    }


def store(name: str, content: Record) -> Path:
    """Writes a result beside the others; returns where."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**content, "machine": machine()}, indent=1) + "\n", encoding="utf-8")
    return path


def compare(arguments: argparse.Namespace, console: Console) -> None:
    """Runs all optimisers on all problems, prints the table and stores it."""
    records: list[Record] = []
    names = list(make_optimizers(is_noisy=False))
    if not util.find_spec("torch"):
        names.remove("optuna_gp")
        console.print("Optuna's GP is left out: it needs torch.")
    chosen = [
        one for one in problems(with_training=arguments.training) if not arguments.only or one.name in arguments.only
    ]
    for problem in chosen:
        num_trials = min(problem.num_trials, 12) if arguments.quick else problem.num_trials
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            for name in names:
                records.append(run(problem, name, seed, num_trials))
            last = {one["optimizer"]: round(one["regret"][-1], 5) for one in records[-len(names) :]}
            console.print(problem.name, seed, last)
    console.print(summarize(records))
    console.print("stored:", store(arguments.name, {"records": records, "mean_rank": rank(records)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="searches for each problem and optimiser")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="names of problems")
    parser.add_argument("--training", action="store_true", help="also train networks")
    parser.add_argument("--timing", action="store_true", help="seconds of a suggestion, in place of regret")
    parser.add_argument("--quick", action="store_true", help="two seeds, fewer trials")
    parser.add_argument("--name", default="regret", help="name of the stored file")
    arguments = parser.parse_args()
    console = Console(width=140)
    warnings.simplefilter("ignore")
    if arguments.timing:
        sizes = (100,) if arguments.quick else (100, 1000, 10_000)
        timings = measure_timing(sizes)
        for timing in timings:
            console.print(timing)
        console.print("stored:", store("regret_timing", {"timings": timings}))
        return
    if arguments.quick:
        arguments.seeds = min(arguments.seeds, 2)
    compare(arguments, console)


if __name__ == "__main__":
    main()
