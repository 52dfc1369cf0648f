"""What all views share: their form, their colours, and names as text."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from kt_suite_tensorboard.search import COMPLETED, FAILED, PRUNED, RUNNING, Trial

STATUS_COLORS = {COMPLETED: "#3a86d1", RUNNING: "#2a9d70", PRUNED: "#e0922f", FAILED: "#d5484f"}
OTHER_COLOR = "#8b9099"
INCUMBENT_COLOR = "#d1478c"
SEARCH_COLORS = ("#3a86d1", "#e0922f", "#2a9d70", "#d1478c", "#8663c7", "#8b9099", "#b39b2e", "#2aa3b3")
# Like Viridis, without the ends that vanish on a dark or a bright page.
COLOR_SCALE = [[0.0, "#6a51b8"], [0.33, "#3585c0"], [0.66, "#2aa876"], [1.0, "#e3b11f"]]


@dataclass(frozen=True)
class Choice:
    """Something that a reader may choose in a view.

    Attributes:
        name: Name of the option.
        label: What is chosen, for the reader.
        options: What there is to choose from.
        value: What is chosen now.
    """

    name: str
    label: str
    options: list[str]
    value: str


@dataclass
class View:
    """A view of a search: a figure in Plotly's JSON, and what belongs around it.

    A trace whose ``customdata`` holds the ids of trials can mark them. A trace of parallel coordinates whose first
    dimension is the trial's number can too.

    Attributes:
        data, layout: Plotly's.
        choices: What the reader may choose.
        note: What the figure leaves out, or why it is empty.
    """

    data: list[dict[str, Any]] = field(default_factory=list)
    layout: dict[str, Any] = field(default_factory=dict)
    choices: list[Choice] = field(default_factory=list)
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns the view as values that JSON can hold: numbers that are not finite become null."""
        result = finite(asdict(self))
        return dict(result)


def choose(options: Mapping[str, str], name: str, label: str, among: Sequence[str], default: str = "") -> Choice:
    """Returns a choice: what ``options`` say if that is possible, else ``default``, else the first."""
    value = options.get(name, "")
    if value not in among:
        value = default if default in among else next(iter(among), "")
    return Choice(name, label, list(among), value)


def text(value: Any) -> str:
    """Returns a name or value as text for Plotly, which reads some HTML.

    Example:
        >>> text("<b>a</b> & b")
        '&lt;b&gt;a&lt;/b&gt; &amp; b'
    """
    return html.escape(str(value), quote=False)


def number(value: float) -> str:
    """Returns a number to read: five significant digits, whole numbers in full.

    Example:
        >>> number(0.001234567), number(1024.0)
        ('0.0012346', '1024')
    """
    if isinstance(value, int) or (math.isfinite(value) and value == int(value) and abs(value) < 1e6):
        return str(int(value))
    return f"{value:.5g}"


def hover(trial: Trial) -> str:
    """Returns what a point says of its trial."""
    score = "" if trial.score is None else f", {number(trial.score)}"
    return text(f"trial {trial.trial_id}: {trial.status.lower()}{score}")


def finite(value: Any) -> Any:
    """Returns nested lists and dicts with None in place of numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def points(trials: Sequence[Trial], x: Sequence[Any], y: Sequence[Any], **trace: Any) -> dict[str, Any]:
    """Returns a trace of one point a trial, each of which can be marked."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(x),
        "y": list(y),
        "customdata": [trial.trial_id for trial in trials],
        "text": [hover(trial) for trial in trials],
        "hovertemplate": "%{text}<extra></extra>",
        **trace,
    }


def fast(trace: dict[str, Any], num_points: int) -> dict[str, Any]:
    """Returns a scatter trace drawn by WebGL where SVG would be slow."""
    return {**trace, "type": "scattergl"} if num_points > _MANY else trace


_MANY = 2000
