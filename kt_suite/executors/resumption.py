"""What a retry goes on from when a worker was lost: the state of each run, left at the end of an epoch.

A run is resumed with its weights, its optimizer and its learning curve. Shuffles, dropout and callbacks of the user
begin anew, so that a resumed run comes to about the same, not to the same bit for bit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kt_suite.executors.training import RunMonitor, read_state, save_state


@dataclass
class RunProgress:
    """How far a run had come.

    Attributes:
        run: Index of the run.
        first_epoch: The epoch it began with.
        curve: Metrics of each epoch since.
        best_epoch: Index in ``curve`` of the epoch whose weights were remembered.
        is_over: Whether training had decided to end there.
        build_config: How to build the model before its state is loaded; ``None`` if ``build`` does.
        files: Names of the files that belong to it, the state first.
    """

    run: int
    first_epoch: int
    curve: list[dict[str, float]]
    best_epoch: int | None
    is_over: bool
    build_config: dict[str, Any] | None = None
    files: list[str] = field(default_factory=list)

    @property
    def next_epoch(self) -> int:
        """The epoch to go on with."""
        return self.first_epoch + len(self.curve)


def save_progress(directory: str | Path, monitor: RunMonitor, *, was_built: bool) -> None:
    """Leaves the state of a run in ``directory``, in the place of the one before.

    Whatever instant the process dies at, the one or the other is there, complete.

    Args:
        directory: The directory of the attempt.
        monitor: The monitor of the run, in the epoch that has just ended.
        was_built: Whether the model came built from ``build``.
    """
    folder, model = Path(directory), monitor.model
    stem = f"progress_{monitor.run}_{monitor.first_epoch + len(monitor.curve)}"
    files = [f"{stem}.weights.h5"]
    save_state(model, folder / files[0])
    if monitor.weights is not None:
        files.append(f"{stem}.npz")
        # NumPy's file format does not know bfloat16; every such number is a float32 too.
        known = [one.astype(np.float32) if one.dtype.kind == "V" else one for one in monitor.weights]
        np.savez(folder / files[1], *known)
    progress = RunProgress(
        monitor.run,
        monitor.first_epoch,
        monitor.curve,
        monitor.best_epoch,
        bool(model.stop_training),
        None if was_built else model.get_build_config(),
        files,
    )
    path = _path(folder, monitor.run)
    before = load_progress(folder, monitor.run)
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(dataclasses.asdict(progress)), encoding="utf-8")
    os.replace(draft, path)
    for name in set(before.files if before is not None else ()) - set(files):
        (folder / name).unlink(missing_ok=True)


def load_progress(directory: str | Path, run: int) -> RunProgress | None:
    """Returns how far a run had come, or ``None`` if nothing was left."""
    path = _path(Path(directory), run)
    return RunProgress(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def restore_monitor(monitor: RunMonitor, progress: RunProgress, directory: str | Path) -> None:
    """Has a new monitor know what the lost one knew."""
    weights = None
    if len(progress.files) > 1:
        with np.load(Path(directory, progress.files[1]), allow_pickle=False) as arrays:
            weights = [arrays[name] for name in arrays.files]
    monitor.restore(progress.first_epoch, progress.curve, progress.best_epoch, weights)


def restore_model(model: Any, progress: RunProgress, directory: str | Path) -> None:
    """Brings a model that was just built to where the lost one was."""
    if not model.built:
        model.build_from_config(progress.build_config)
    read_state(model, Path(directory, progress.files[0]))


def history_of(monitor: RunMonitor) -> Any:
    """Returns the History that ``fit`` would have returned, had it not been cut in two."""
    history = keras.callbacks.History()
    history.epoch = list(range(monitor.first_epoch, monitor.first_epoch + len(monitor.curve)))
    history.history = {}
    for metrics in monitor.curve:
        for name, value in metrics.items():
            history.history.setdefault(name, []).append(value)
    return history


def carry_over(lost: Path, directory: Path) -> None:
    """Copies what a lost attempt left into the directory of the next one.

    The lost one may still be at work, where only the line to it is cut. It waits for an answer after each epoch, so it
    can replace what it left at most once while we look.
    """
    for path in lost.glob("progress_*.json"):
        for _ in range(2):
            with contextlib.suppress(FileNotFoundError):
                content = path.read_text(encoding="utf-8")
                for name in json.loads(content)["files"]:
                    shutil.copyfile(lost / name, directory / name)
                (directory / path.name).write_text(content, encoding="utf-8")
                break


def forget_progress(directory: Path) -> None:
    """Removes what a retry would go on from."""
    for path in directory.glob("progress_*"):
        path.unlink(missing_ok=True)


def _path(directory: Path, run: int) -> Path:
    return directory / f"progress_{run}.json"
