"""Which searches lie under a log directory.

A search leaves ``<logdir>/<search>/_search/project.json``, which names its project directory, where ``search.db`` is. A
project directory itself may be given as log directory too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SEARCH_RUN = "_search"
PROJECT_FILE = "project.json"
FILE_NAME = "search.db"

_MAX_DEPTH = 3  # of a search below the log directory
_MAX_FOLDERS = 20_000
_NOT_SEARCHED = ("trial_", "_hparams-", ".")


@dataclass(frozen=True)
class LoggedSearch:
    """A search under a log directory.

    Attributes:
        key: Its path below the log directory, which addresses it.
        path: Its ``search.db``, which may be missing.
        search_id: Its id; ``None`` where the log says nothing of it.
    """

    key: str
    path: Path
    search_id: str | None = None


def find_searches(logdirs: list[str]) -> dict[str, LoggedSearch]:
    """Returns the searches under the log directories, by key, in the order of their names."""
    found: dict[str, LoggedSearch] = {}
    for logdir in logdirs:
        root = Path(logdir)
        for folder in _folders(root):
            search = _search_of(folder, _key(folder, root, found))
            if search is not None:
                found[search.key] = search
    return dict(sorted(found.items()))


def split_logdirs(logdir: str | None, logdir_spec: str | None) -> list[str]:
    """Returns the local directories that TensorBoard was started with.

    Args:
        logdir: The flag of that name.
        logdir_spec: The flag of that name: directories with commas between them, each with a name and a colon, or none.
    """
    given = [logdir or ""]
    for part in (logdir_spec or "").split(","):
        name, colon, path = part.partition(":")
        given.append(path if colon and os.sep not in name else part)
    return [os.path.expanduser(path) for path in given if path and "://" not in path]


def _folders(root: Path) -> Iterator[Path]:
    """Yields directories, nearest first, without those inside a search."""
    level = [root]
    num_seen = 0
    for _ in range(_MAX_DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            yield folder
            num_seen += 1
            if num_seen > _MAX_FOLDERS:
                return
            if not (folder / SEARCH_RUN).is_dir():
                below += _subfolders(folder)
        level = below


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                Path(entry.path)
                for entry in entries
                if not entry.name.startswith(_NOT_SEARCHED) and entry.is_dir(follow_symlinks=False)
            )
    except OSError:  # not readable, or gone
        return []


def _key(folder: Path, root: Path, taken: dict[str, LoggedSearch]) -> str:
    name = folder.relative_to(root).as_posix()
    name = root.resolve().name if name == "." else name
    return name if name not in taken else folder.resolve().as_posix()


def _search_of(folder: Path, key: str) -> LoggedSearch | None:
    if (folder / FILE_NAME).is_file():
        return LoggedSearch(key, folder / FILE_NAME)
    note = folder / SEARCH_RUN / PROJECT_FILE
    if not (folder / SEARCH_RUN).is_dir():
        return None
    try:
        project = json.loads(note.read_text(encoding="utf-8"))
        directories = [Path(str(project["directory"]))]
        # Where logs and project were moved together, the way from one to the other still holds.
        directories.append(note.parent / str(project.get("relative", ".")))
        search_id = str(project["search_id"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return LoggedSearch(key, note)
    paths = [directory / FILE_NAME for directory in directories]
    return LoggedSearch(key, next((path for path in paths if path.is_file()), paths[0]), search_id)
