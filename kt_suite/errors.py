"""One family of exceptions, and KerasTuner's own under the same names.

Every message reads ``{what} must {rule}, but got {value!r}. {remedy}``; :func:`rule` writes it. KerasTuner's classes
(``FailedTrialError``, ``FatalError``, ...) are fetched when first asked for, so that this module stays light.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = [  # noqa: F822 - the second half is served by __getattr__
    "FailedTrialError",
    "FatalError",
    "FatalRuntimeError",
    "FatalTypeError",
    "FatalValueError",
    "InputError",
    "KTSuiteError",
    "MissingExtraError",
    "ObjectiveError",
    "ProjectError",
    "SearchFailedError",
    "StorageError",
    "WorkerError",
    "near",
    "rule",
]

_KERAS_TUNER_NAMES = frozenset(name for name in __all__ if name.startswith(("Fatal", "FailedTrial")))


class KTSuiteError(Exception):
    """Base of every error that kt_suite raises on purpose."""


class InputError(KTSuiteError, ValueError):
    """An argument, a data set or a space that cannot be used."""


class ObjectiveError(InputError):
    """The objective is not among the metrics that training reports."""


class ProjectError(InputError):
    """A project directory that belongs to something else, or to a search with other settings."""


class StorageError(KTSuiteError, RuntimeError):
    """A stored search that is torn, foreign or of a newer version."""


class SearchFailedError(KTSuiteError, RuntimeError):
    """A search that ended because too many trials in a row failed."""


class WorkerError(KTSuiteError, RuntimeError):
    """Workers that cannot be started."""


class MissingExtraError(KTSuiteError, ImportError):
    """An optional dependency that is not installed.

    Args:
        package: The package that could not be imported.
        extra: The extra of kt_suite that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} must be installed for this, but is not. Run: pip install 'kt-suite[{extra}]'")
        self.package = package
        self.extra = extra


def rule(what: str, must: str, value: object, remedy: str = "") -> str:
    """Returns the text of an error: ``{what} must {must}, but got {value!r}. {remedy}``."""
    return f"{what} must {must}, but got {value!r}. {remedy}".rstrip()


def near(name: object, known: Iterable[str]) -> str:
    """Returns a remedy that names what ``name`` may have meant; empty where nothing is near."""
    matches = difflib.get_close_matches(str(name), list(known), n=1)
    return f"Did you mean {matches[0]!r}?" if matches else ""


def __getattr__(name: str) -> Any:
    if name in _KERAS_TUNER_NAMES:
        import keras_tuner

        return getattr(keras_tuner.errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
