"""Project directories: which search lives where, and what may be overwritten."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import time
import uuid
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import keras

from kt_suite.errors import ProjectError, rule
from kt_suite.storage import Storage, is_draft

# Settings under which scores can be compared and proposals go on; a resumed search must have the same.
_FIXED = ("objective", "direction", "objectives", "oracle", "score", "runs_per_trial")


def project_path(directory: Any, project_name: Any) -> Path:
    """Returns the directory of a project, by KerasTuner's defaults."""
    name = Path(str(project_name or "untitled_project"))
    if name.is_absolute() or ".." in name.parts:
        raise ProjectError(rule("project_name", "name a directory inside the directory", str(project_name)))
    return Path(directory or ".") / name


def find_project(path: Path, settings: Mapping[str, Any], *, overwrite: bool, seed: int | None) -> Storage | None:
    """Opens the search in a project directory, if there is one.

    Args:
        path: The directory.
        settings: The settings of the search, to be compared with those stored.
        overwrite: Whether an old search is removed first.
        seed: The seed that the user gave; ``None`` for any.

    Raises:
        ProjectError: The directory belongs to something else, or to a search with other settings.
    """
    if overwrite and path.exists():
        _remove(path)
    if Storage.exists(path):
        storage = Storage.open(path)
        if any(trial.is_finished for trial in storage.trials()):
            _check_settings(path, storage.facts, settings, seed)
            return storage
        # Nothing would be lost: a first attempt with a mistyped objective, say.
        storage.close()
        _remove(path)
    if path.exists() and (not path.is_dir() or any(not is_draft(one) for one in path.iterdir())):
        is_theirs = (path / "oracle.json").exists()
        remedy = (
            "It is KerasTuner's: give another project_name, or overwrite=True."
            if is_theirs
            else "Give another project_name."
        )
        raise ProjectError(rule("A project directory", "be empty or hold a search of kt_suite", str(path), remedy))
    return None


def create_project(path: Path, settings: Mapping[str, Any]) -> Storage:
    """Makes a project directory with a new search in it."""
    facts = {**settings, "search_id": uuid.uuid4().hex, "created": time.time(), "versions": versions()}
    return Storage.create(path, facts)


def _remove(path: Path) -> None:
    """Removes a project, but never a directory that no tuner wrote."""
    if Storage.exists(path):
        storage = Storage.open(path)
        with storage.lock():
            storage.close()
            shutil.rmtree(path)
    elif (path / "oracle.json").is_file():
        shutil.rmtree(path)
    elif not path.is_dir() or any(path.iterdir()):
        remedy = "Remove it yourself, or give another project_name or directory."
        raise ProjectError(rule("A project directory to overwrite", "hold a search", str(path), remedy))


def _check_settings(path: Path, stored: Mapping[str, Any], facts: Mapping[str, Any], seed: int | None) -> None:
    remedy = f"The search in {path} was made so. Give another project_name, or overwrite=True."
    for name in _FIXED:
        if stored.get(name) != facts[name]:
            raise ProjectError(rule(f"{name} of a resumed search", f"be {stored.get(name)!r}", facts[name], remedy))
    if seed is not None and stored.get("seed") != seed:
        raise ProjectError(rule("seed of a resumed search", f"be {stored.get('seed')!r}", seed, remedy))


def versions() -> dict[str, str]:
    """Returns the versions of what a result may depend on."""
    found = {"python": platform.python_version()}
    for package in ("kt-suite", "keras", "tensorflow", "keras-tuner", "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def devices() -> list[str]:
    """Returns what the machine of the driver can compute with, each as a text."""
    return [f"{os.cpu_count()} CPU cores", *_accelerators()]


def _accelerators() -> list[str]:
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return [str(device.device_kind) for device in jax.local_devices() if device.platform != "cpu"]
    if backend == "torch":
        torch = importlib.import_module("torch")  # of Keras, not a requirement of this package
        return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    import tensorflow as tf

    details = tf.config.experimental.get_device_details
    found = [device for device in tf.config.list_physical_devices() if device.device_type != "CPU"]
    return [str(details(device).get("device_name", device.device_type)) for device in found]
