"""Views of a search: progress on a console, event files for TensorBoard."""

from kt_suite.loggers.base import Logger, SearchInfo

__all__ = ["Logger", "SearchInfo"]
