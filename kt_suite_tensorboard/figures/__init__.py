"""The views of a search, by name."""

from collections.abc import Callable, Mapping, Sequence

from kt_suite_tensorboard.figures.history import history
from kt_suite_tensorboard.figures.view import View
from kt_suite_tensorboard.search import Search

VIEWS: dict[str, tuple[str, Callable[[Sequence[Search], Mapping[str, str]], View]]] = {
    "history": ("Optimisation history", history),
}
"""Title and function of each view: searches (the first is the one to show) and options give a view."""

__all__ = ["VIEWS", "View"]
