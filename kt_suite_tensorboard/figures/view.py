"""What all views share: their form, their colours, and names as text."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from kt_suite_tensorboard.search import COMPLETED, FAILED, PRUNED, RUNNING, Trial

STATUS_COLORS = {COMPLETED: "#3a86d1", RUNNING: "#2a9d70", PRUNED: "#e0922f", FAILED: "#d5484f"}
OTHER_COLOR = "#8b9099"
INCUMBENT_COLOR = "#d1478c"
# Like Viridis, without the ends that vanish on a dark or a bright page.
COLOR_SCALE = ((0.0, "#6a51b8"), (0.33, "#3585c0"), (0.66, "#2aa876"), (1.0, "#e3b11f"))


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

    A trace whose ``customdata`` holds the ids of trials can mark them.

    Attributes:
        data, layout: Plotly's.
        choices: What the reader may choose.
        note: What the figure leaves out, or why it is empty.
        hint: What can be done in it, on a page.
        is_sample: Whether it leaves out trials, which the option ``marked`` can bring in.
        height: Of the figure, in pixels.
        min_width: Below which the figure is scrolled, in pixels.
    """

    data: list[dict[str, Any]] = field(default_factory=list)
    layout: dict[str, Any] = field(default_factory=dict)
    choices: list[Choice] = field(default_factory=list)
    note: str = ""
    hint: str = ""
    is_sample: bool = False
    height: int = 360
    min_width: int = 0

    def to_json(self) -> dict[str, Any]:
        """Returns the view as values that JSON can hold: numbers that are not finite become null."""
        fields_of = {field.name: getattr(self, field.name) for field in fields(self)}
        return dict(finite({**fields_of, "choices": [asdict(choice) for choice in self.choices]}))


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
    if trial.standard_error is not None:
        score += f" ± {trial.standard_error:.2g}"
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
    """Returns a scatter trace, drawn by WebGL where SVG would be slow: with fewer points SVG is as fast everywhere."""
    return {**trace, "type": "scattergl"} if num_points > _MANY else trace


def point(num_points: int) -> dict[str, float]:
    """Returns the looks of a point among many: smaller and fainter the more there are."""
    return {
        "size": 7 if num_points <= 500 else 5 if num_points <= 2000 else 4,
        "opacity": 0.75 if num_points <= 500 else 0.5,
    }


def shade(goodness: float) -> str:
    """Returns a colour of the scale.

    Args:
        goodness: From 0 (worst) to 1 (best).

    Example:
        >>> shade(0.0), shade(1.0)
        ('#6a51b8', '#e3b11f')
    """
    pairs = itertools.pairwise(COLOR_SCALE)
    (low, dark), (high, bright) = next(pair for pair in pairs if goodness <= pair[1][0])
    part = (goodness - low) / (high - low)
    ends = [[int(color[start : start + 2], 16) for start in (1, 3, 5)] for color in (dark, bright)]
    return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in zip(*ends, strict=True))


_MANY = 10_000
