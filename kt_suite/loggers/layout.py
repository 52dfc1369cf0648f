"""Where the TensorBoard log of a search lies, and what its rows are called."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kt_suite.loggers.base import SearchInfo

SEARCH_RUN = "_search"
"""The run of a search itself, beside those of its trials."""

PROJECT_FILE = "project.json"
"""In that run: the id of the search and its project directory, absolute and as seen from there."""

_MAX_NAME = 48  # of at most 255 bytes a file name, with four bytes a character
_ID_LENGTH = 8


def safe_name(name: str) -> str:
    """Returns a name as one path component: letters, digits and ``._-``, none of the latter in front.

    Example:
        >>> safe_name("../my search")
        'my_search'
    """
    return re.sub(r"[^\w.-]+", "_", name).lstrip("._-")[:_MAX_NAME] or "unnamed"


def search_directory(info: SearchInfo, logdir: str | os.PathLike[str]) -> Path:
    """Returns the directory of a search: its name, and of its id what tells it from its namesakes."""
    return Path(logdir) / f"{safe_name(info.name)}-{safe_name(info.search_id)[:_ID_LENGTH]}"


def attempt_directory(directory: Path, trial_id: str, attempt: int) -> Path:
    """Returns the directory of an attempt (from 1) of a trial, under the directory of its search."""
    trial = directory / f"trial_{safe_name(trial_id)}"
    return trial if attempt == 1 else trial / f"retry_{attempt - 1}"


def run_directory(attempt: Path, run: int) -> Path:
    """Returns the directory of a run (from 0), under the directory of its attempt."""
    return attempt if run == 0 else attempt / f"exec_{run}"


def group_name(info: SearchInfo, trial_id: str, attempt: int) -> str:
    """Returns the name of an attempt's row in the HParams tab.

    It is unique over all searches, as rows of one name are merged, and starts with what tells the rows of a
    search apart, as the tab cuts long names.
    """
    retry = f" retry {attempt - 1}" if attempt > 1 else ""
    return f"{trial_id}{retry} · {info.name} · {info.search_id[:_ID_LENGTH]}"
