"""Simple regret of Bayesian optimisation: kt_suite, KerasTuner, Optuna's TPE and GP, and random search.

All optimisers run with the same seeds and their defaults. The regret of a search is the least true loss among its
trials, above the minimum; on a noisy problem that of the trial that scored best, which is what a user would take.
Ranks are averaged over problems and seeds. Seconds are processor time of one suggestion, on one thread.

    python benchmarks/regret.py                     # all problems, ten seeds
    python benchmarks/regret.py --only branin       # one of them
    python benchmarks/regret.py --quick             # two seeds, fewer trials: a check that all of it runs
    python benchmarks/regret.py --timing            # seconds of a suggestion at 100, 1,000 and 10,000 finished trials

Each search is stored in benchmarks/results as soon as it ends, and a run that was interrupted goes on from there;
`--again kt_suite` repeats one optimiser. `record_training.py` makes the tables of trained networks.
Optuna's GP needs torch; without it, that column is left out.
"""

from __future__ import annotations

import argparse
import itertools
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
from scipy.stats import rankdata

from kt_suite.oracles.bayesian import BayesianOptimizationOracle

RESULTS = Path(__file__).resolve().parent / "results"
Record = dict[str, Any]


def run(problem: Problem, name: str, seed: int, num_trials: int) -> Record:
    """Returns the regret after each trial of one search, and the median seconds of a suggestion."""
    optimizer = make_optimizers(is_noisy=problem.noise > 0.0)[name](problem.declare, num_trials, seed)
    rng = np.random.default_rng([seed, 2024])
    best, curve, seconds = np.inf, [], []
    regret = np.inf
    for _ in range(num_trials):
        start = time.process_time()
        values = optimizer.suggest()
        seconds.append(time.process_time() - start)
        observed = problem.observe(values, rng)
        optimizer.observe(observed)
        if observed < best:
            best, regret = observed, problem.regret(values)
        curve.append(float(f"{regret:.6g}"))
    return {
        "problem": problem.name,
        "optimizer": name,
        "seed": seed,
        "seconds": float(f"{np.median(seconds):.3g}"),
        "regret": curve,
    }


def rank(records: list[Record]) -> dict[str, float]:
    """Returns the mean rank of each optimiser over problems, each the mean over its seeds; equals share their ranks."""
    names = list(dict.fromkeys(record["optimizer"] for record in records))
    groups: dict[tuple[str, int], dict[str, float]] = {}
    for record in records:
        groups.setdefault((record["problem"], record["seed"]), {})[record["optimizer"]] = record["regret"][-1]
    ranks: dict[str, list[np.ndarray]] = {}
    for (problem, _), group in groups.items():
        if len(group) == len(names):
            ranks.setdefault(problem, []).append(rankdata([group[name] for name in names]))
    means = np.mean([np.mean(rows, axis=0) for rows in ranks.values()], axis=0)
    return dict(zip(names, means.tolist(), strict=True))


def summarize(records: list[Record]) -> list[list[str]]:
    """Returns the rows of a table: median final regret, and worst of the seeds in brackets.

    Where some optimiser is missing seeds that another has, numbers of seeds stand behind. Ranks are those of the seeds
    that all have.
    """
    names = list(dict.fromkeys(record["optimizer"] for record in records))
    rows = [["problem", *names]]
    for problem in dict.fromkeys(record["problem"] for record in records):
        row = [problem]
        num_seeds = len({one["seed"] for one in records if one["problem"] == problem})
        for name in names:
            mine = [one for one in records if (one["problem"], one["optimizer"]) == (problem, name)]
            final = [one["regret"][-1] for one in mine]
            count = f" of {len(final)}" if len(final) < num_seeds else ""
            row.append(f"{np.median(final):.2g} ({max(final):.2g}){count}" if final else "")
        rows.append(row)
    ranks = rank(records)
    rows.append(["mean rank", *(f"{ranks[name]:.2f}" for name in names)])
    seconds = [np.median([one["seconds"] for one in records if one["optimizer"] == name]) for name in names]
    rows.append(["seconds a suggestion", *(f"{one:.3f}" for one in seconds)])
    return rows


def measure_timing(sizes: tuple[int, ...]) -> list[Record]:
    """Returns seconds of one suggestion of ours by number of finished trials, eight floats, and of 16 pending ones."""
    found = []
    for size in sizes:
        optimizer = OracleOptimizer(BayesianOptimizationOracle, cube(8), size + 100, seed=0)
        fill(optimizer.oracle, size)
        oracle, seconds, proposals = optimizer.oracle, [], []
        for slot in range(16):
            start = time.process_time()
            proposals.append(oracle.create_trial(f"slot{slot}").hyperparameters.values)
            seconds.append(time.process_time() - start)
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


def store(path: Path, content: Record) -> None:
    """Writes a result, one entry of its list a line, beside the others."""
    path.parent.mkdir(exist_ok=True)
    (name, entries), about = next(iter(content.items())), json.dumps(machine())
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    path.write_text(f'{{"machine": {about},\n"{name}": [\n{lines}\n]}}\n', encoding="utf-8")


def load(path: Path) -> list[Record]:
    """Returns the searches that earlier calls have stored."""
    return json.loads(path.read_text(encoding="utf-8"))["records"] if path.exists() else []  # type: ignore[no-any-return]


def compare(arguments: argparse.Namespace) -> None:
    """Runs all optimisers on all problems, stores every search and prints the table."""
    path = RESULTS / f"{arguments.name}.json"
    names = [name for name in make_optimizers(is_noisy=False) if name not in arguments.without]
    if "optuna_gp" in names and not util.find_spec("torch"):
        names.remove("optuna_gp")
        print("Optuna's GP is left out: it needs torch.")
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    chosen = [one for one in problems() if not arguments.only or one.name in arguments.only]
    known = {(one["problem"], one["seed"], one["optimizer"]): one for one in load(path)}
    known = {key: one for key, one in known.items() if key[2] not in arguments.again}
    for seed, problem in itertools.product(seeds, chosen):  # by seed: what is interrupted has some of every problem
        num_trials = min(problem.num_trials, 12) if arguments.quick else problem.num_trials
        for name in names:
            key = (problem.name, seed, name)
            if key not in known and not arguments.show:
                known[key] = run(problem, name, seed, num_trials)
                print(*key, known[key]["regret"][-1], flush=True)
                store(path, {"records": [known[one] for one in sorted(known)]})
    order = [(problem.name, seed, name) for problem in chosen for name in names for seed in seeds]
    rows = summarize([known[key] for key in order if key in known])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print(*lines, sep="\n")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="searches for each problem and optimiser")
    parser.add_argument("--first-seed", type=int, default=10, help="0 to 9 were looked at while ours was designed")
    parser.add_argument("--only", nargs="*", default=(), help="names of problems")
    parser.add_argument("--without", nargs="*", default=(), help="names of optimisers to leave out")
    parser.add_argument("--again", nargs="*", default=(), help="names of optimisers to run anew")
    parser.add_argument("--timing", action="store_true", help="seconds of a suggestion, in place of regret")
    parser.add_argument("--quick", action="store_true", help="two seeds, fewer trials")
    parser.add_argument("--show", action="store_true", help="only the table of what is stored")
    parser.add_argument("--name", default="regret", help="name of the stored file")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.timing:
        timings = measure_timing((100,) if arguments.quick else (100, 1000, 10_000))
        print(*timings, sep="\n")
        store(RESULTS / "suggestion_seconds.json", {"timings": timings})
        return
    if arguments.quick:
        arguments.seeds, arguments.name = min(arguments.seeds, 2), "quick"
    compare(arguments)


if __name__ == "__main__":
    main()
