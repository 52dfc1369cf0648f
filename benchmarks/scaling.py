"""What executors add to a trial, how they scale, and whether the driver grows: trials that sleep, and nothing else.

Each arm runs in a process of its own. Workers are started and warm before the clock starts; it stops when the last
trial is booked, so that what is left after the sleep is the executor's, the loop's and the storage's. Ray Tune runs the
same trials in the same way, where it is installed (pip install 'ray[tune]').

    python benchmarks/scaling.py
    python benchmarks/scaling.py --memory 300       # resident memory of the driver over 300 trials
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata, util
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "scaling.json"
ARMS = ("inline", "processes", "ray", "ray tune")
WARM = 2  # trials of each worker before the clock starts


def resident_bytes() -> int:
    """Returns the resident memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def make_tuner(arm: str, num_workers: int, num_trials: int, seconds: float) -> Any:
    """Returns a tuner whose trials sleep."""
    import kt_suite
    from kt_suite.executors.processes import ProcessExecutor

    class Sleeping(kt_suite.RandomSearch):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            time.sleep(seconds)
            return float(trial.hyperparameters.get("number"))

    options: dict[str, Any] = {"trials_per_worker": None}
    if arm == "ray":
        from kt_suite.executors.ray import RayExecutor

        executor: Any = RayExecutor(num_workers, address="local", resources={"CPU": 1 / num_workers}, **options)
    else:
        executor = "inline" if arm == "inline" else ProcessExecutor(num_workers, **options)
    hyperparameters = kt_suite.HyperParameters()
    hyperparameters.Float("number", 0.0, 1.0)
    return Sleeping(
        objective=kt_suite.Objective("number", "max"),
        max_trials=num_trials,
        hyperparameters=hyperparameters,
        seed=0,
        executor=executor,
        tensorboard=None,
        directory="projects",
    )


def run_kt_suite(arm: str, num_workers: int, num_trials: int, seconds: float) -> dict[str, float]:
    """Times a search from the moment at which every worker has done its warm trials."""
    num_warm = WARM * num_workers
    tuner = make_tuner(arm, num_workers, num_trials + num_warm, seconds)
    ended: list[tuple[float, float, int]] = []
    tuner.on_trial_end = lambda trial: ended.append((time.perf_counter(), time.process_time(), resident_bytes()))
    tuner.search(verbose=0)
    first, last = ended[num_warm - 1], ended[-1]
    return {"seconds": last[0] - first[0], "cpu": last[1] - first[1], "growth": (last[2] - first[2]) / num_trials}


def run_ray_tune(num_workers: int, num_trials: int, seconds: float) -> dict[str, float]:
    """Times as many trials of Ray Tune; its actors are warm after the first trials, and used again."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray import tune

    class Sleeping(tune.Trainable):
        def setup(self, config: Any) -> None:
            pass

        def step(self) -> dict[str, Any]:
            time.sleep(seconds)
            return {"number": self.config["number"], "done": True}

        def reset_config(self, new_config: Any) -> bool:
            return True

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            pass

    class Clock(tune.Callback):
        def __init__(self) -> None:
            self.ended: list[tuple[float, float]] = []

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            self.ended.append((time.perf_counter(), time.process_time()))

    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    clock, num_warm = Clock(), WARM * num_workers
    tuner = tune.Tuner(
        tune.with_resources(Sleeping, {"CPU": 1 / num_workers}),
        param_space={"number": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(
            num_samples=num_trials + num_warm, max_concurrent_trials=num_workers, reuse_actors=True
        ),
        run_config=tune.RunConfig(callbacks=[clock], verbose=0, storage_path=str(Path.cwd() / "projects")),
    )
    tuner.fit()
    ray.shutdown()
    first, last = clock.ended[num_warm - 1], clock.ended[-1]
    return {"seconds": last[0] - first[0], "cpu": last[1] - first[1]}


def run_arm(arm: str, num_workers: int, num_trials: int, seconds: float) -> None:
    """Runs one arm in this process, and prints what it timed as JSON."""
    if arm == "ray tune":
        timed = run_ray_tune(num_workers, num_trials, seconds)
    else:
        timed = run_kt_suite(arm, num_workers, num_trials, seconds)
    print(json.dumps(timed))


def measure(arm: str, num_workers: int, num_trials: int, seconds: float) -> dict[str, float]:
    """Runs one arm in a fresh process and an empty directory; returns what it timed, and the overhead.

    The overhead of a trial is what a worker's share of the time holds beyond the sleep; the efficiency is the share of
    the workers' time that was sleep.
    """
    sizes = ["--workers", str(num_workers), "--trials", str(num_trials), "--seconds", str(seconds)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        command = [sys.executable, os.path.abspath(__file__), "--arm", arm, *sizes]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{arm}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    timed: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    each = timed["seconds"] * num_workers / num_trials
    return {**timed, "overhead_ms": 1000 * (each - seconds), "efficiency": seconds / each}


def machine() -> dict[str, Any]:
    """Returns what the figures depend on."""
    versions = {}
    for name in ("kt-suite", "tensorflow", "keras", "keras-tuner", "ray", "numpy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "from the checkout" if name == "kt-suite" else "missing"
    cpus, system = os.cpu_count(), platform.platform()
    return {"cpus": cpus, "system": system, "python": platform.python_version(), "versions": versions}


def main() -> None:
    """Measures all arms, prints a table, and stores it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 8])
    parser.add_argument("--arms", nargs="*", choices=ARMS, default=ARMS)
    parser.add_argument("--trials", type=int, default=40, help="trials of each worker")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--memory", type=int, help="trials over which the driver's memory is measured instead")
    parser.add_argument("--output", type=Path, default=RESULT, help="where the figures are stored")
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        run_arm(options.arm, options.workers[0], options.trials, options.seconds)
    elif options.memory:
        growth = measure("processes", 2, options.memory, 0.0)["growth"]
        print(f"The driver grew by {growth / 1e6:.3f} MB a trial over {options.memory} trials")
    else:
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """Runs every arm with every number of workers, in turn, and stores the medians over the rounds as they come."""
    arms = [arm for arm in options.arms if arm != "ray tune" or has_ray_tune()]
    if len(arms) < len(options.arms):
        print("Ray Tune is not installed (pip install 'ray[tune]'): left out")
    sizes = {"trials_per_worker": options.trials, "sleep": options.seconds, "rounds": options.rounds}
    content: dict[str, Any] = {"machine": machine(), **sizes, "rows": []}
    print(json.dumps(content["machine"]))
    options.output.parent.mkdir(exist_ok=True)
    for num_workers in options.workers:
        for arm in arms:
            if arm == "inline" and num_workers > 1:
                continue
            row = {"arm": arm, "workers": num_workers, "load": os.getloadavg()[0]}
            content["rows"].append({**row, **summary(arm, num_workers, options)})
            print(line(content["rows"][-1]), flush=True)
            options.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def summary(arm: str, num_workers: int, options: argparse.Namespace) -> dict[str, float]:
    """Returns the medians over the rounds."""
    num_trials = options.trials * num_workers
    timed = [measure(arm, num_workers, num_trials, options.seconds) for _ in range(options.rounds)]
    medians = {name: statistics.median(one[name] for one in timed) for name in timed[0]}
    return {**medians, "driver_cpu_ms": 1000 * medians["cpu"] / num_trials}


def line(row: dict[str, Any]) -> str:
    """Returns a row of the table."""
    figures = f"{row['overhead_ms']:6.1f} ms a trial, efficiency {row['efficiency']:.3f}"
    driver = f"driver's processor {row['driver_cpu_ms']:5.1f} ms a trial"
    return f"{row['arm']:10} {row['workers']} workers: {figures}, {driver}, load {row['load']:.1f}"


def has_ray_tune() -> bool:
    """Whether Ray Tune and what it needs are installed."""
    return all(util.find_spec(name) is not None for name in ("ray", "pyarrow", "tensorboardX", "pydantic", "fsspec"))


if __name__ == "__main__":
    main()
