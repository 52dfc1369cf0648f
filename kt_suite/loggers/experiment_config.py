"""The one experiment config of a log directory, shared by all the searches in it.

TensorBoard applies a single config to all it shows, of several a random one, and never reads a newer one in
the same run. Each search therefore leaves its own columns beside its log, and the config is derived from
those of all searches: one run, named after its content, which takes the place of the run before. The reasons
and the measurements are in ``docs/adr/0002-tensorboard-experiment-config.md``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kt_suite.errors import rule
from kt_suite.loggers.event_writer import EventWriter, event_files, read_events
from kt_suite.loggers.hparams import SearchColumns, experiment, hparam_kinds
from kt_suite.loggers.layout import SEARCH_RUN

_COLUMNS_FILE = "columns.json"
_CONFIG_RUN = re.compile(r"_hparams-[0-9a-f]{16}")
_LOCK_FILE = ".columns.lock"
_LOCK_TIMEOUT = 60.0  # seconds; it is held for milliseconds


def publish_columns(search: Path, columns: SearchColumns) -> None:
    """Stores the columns of a search, and renews the config of its log directory where they change it.

    Searches in several processes may do so at once: they take turns.

    Args:
        search: The directory of the search; its parent is the log directory.
        columns: The columns of the search.
    """
    path = search / SEARCH_RUN / _COLUMNS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock(search.parent):
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(columns), default=str), encoding="utf-8")
        draft.replace(path)
        _renew_config(search.parent)


def stored_columns(search: Path) -> SearchColumns | None:
    """Returns the columns that :func:`publish_columns` has stored for a search, or ``None``."""
    return _read_columns(search.parent).get(search.name)


def column_names(search: Path, space: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Returns the name of the column of each hyperparameter of a search.

    That is the hyperparameter's own, unless another search in the log directory has one of that name and of
    another type: TensorBoard cannot sort a column of several types. A column keeps its name once published.
    """
    searches = _read_columns(search.parent)
    own = searches.pop(search.name, None)
    published = {entry["config"]["name"] for entry in own.space} if own else set()
    others = [hparam_kinds(columns.space) for columns in searches.values()]
    names = {}
    for name, kind in hparam_kinds(space).items():
        long_name = f"{name} ({search.name})"
        is_taken = name not in published and any(kinds.get(name, kind) != kind for kinds in others)
        names[name] = long_name if long_name in published or is_taken else name
    return names


@contextlib.contextmanager
def _lock(logdir: Path) -> Iterator[None]:
    """Holds the right to change the config of a log directory.

    It is SQLite's lock on an empty file: it works on all systems, waits, and is freed when a process dies.
    """
    with contextlib.closing(sqlite3.connect(logdir / _LOCK_FILE, timeout=_LOCK_TIMEOUT)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


def _renew_config(logdir: Path) -> None:
    """Makes the config of all the columns in a log directory the only one there."""
    value = experiment(list(_read_columns(logdir).values()))
    digest = hashlib.sha256(value.SerializeToString(deterministic=True)).hexdigest()[:16]
    current = logdir / f"_hparams-{digest}"
    events = (event for file in event_files(current) for event in read_events(file))
    if not any(event.HasField("summary") for event in events):
        with EventWriter(current) as writer:
            writer.value(value)
    for path in logdir.glob("_hparams-*"):
        if path != current and _CONFIG_RUN.fullmatch(path.name):
            # Windows keeps files that TensorBoard has open: the next change tries again.
            with contextlib.suppress(OSError):
                for file in event_files(path):
                    file.unlink()
                path.rmdir()


def _read_columns(logdir: Path) -> dict[str, SearchColumns]:
    """Returns the columns of all searches in a log directory, by the names of their directories."""
    searches = {}
    for path in sorted(logdir.glob(f"*/{SEARCH_RUN}/{_COLUMNS_FILE}")):
        try:
            columns = SearchColumns(**json.loads(path.read_text(encoding="utf-8")))
            experiment([columns])
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            remedy = "TensorBoard does not list its hyperparameters. Rebuild its log, or delete it."
            warnings.warn(rule(str(path), "hold the columns of a search", str(error), remedy), stacklevel=2)
        else:
            searches[path.parts[-3]] = columns
    return searches
