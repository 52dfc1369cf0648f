"""The views of a search, by name."""

from collections.abc import Callable, Mapping, Sequence

from kt_suite_tensorboard.figures.curves import curves
from kt_suite_tensorboard.figures.history import history
from kt_suite_tensorboard.figures.importance import importance
from kt_suite_tensorboard.figures.parallel import parallel
from kt_suite_tensorboard.figures.pareto import pareto
from kt_suite_tensorboard.figures.rungs import rungs
from kt_suite_tensorboard.figures.slices import contour, slices
from kt_suite_tensorboard.figures.timeline import timeline
from kt_suite_tensorboard.figures.view import View
from kt_suite_tensorboard.search import Search

VIEWS: dict[str, tuple[str, Callable[[Sequence[Search], Mapping[str, str]], View]]] = {
    "history": ("Optimisation history", history),
    "curves": ("Learning curves", curves),
    "parallel": ("Parallel coordinates", parallel),
    "importance": ("Importance of hyperparameters", importance),
    "slice": ("Slice", slices),
    "contour": ("Contour", contour),
    "pareto": ("Pareto front", pareto),
    "rungs": ("Rungs and brackets", rungs),
    "timeline": ("Timeline", timeline),
}
"""Title and function of each view: searches (the first is the one to show) and options give a view."""

__all__ = ["VIEWS", "View"]
