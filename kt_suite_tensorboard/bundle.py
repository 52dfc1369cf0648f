"""The page and all its data as one HTML file, which opens without a server and without a network."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kt_suite_tensorboard.figures import VIEWS
from kt_suite_tensorboard.figures.view import View, finite
from kt_suite_tensorboard.leaderboard import leaderboard
from kt_suite_tensorboard.search import Search
from kt_suite_tensorboard.search_file import SearchFile

_STATIC = Path(__file__).parent / "static"
_MODULES = (
    "dom.js",
    "details.js",
    "table.js",
    "brush.js",
    "panel.js",
    "page.js",
    "report.js",
)  # each after those it imports
_MAX_TRIALS = 2000  # above, each view is stored in one form only
# What the file may do: run what it holds. It cannot reach the network.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)


def bundle(file: SearchFile, plotly: str) -> str:
    """Returns the page of a search as HTML.

    Args:
        file: The stored search.
        plotly: The source of Plotly's JavaScript library.

    Raises:
        SearchFileError: The search cannot be read.
    """
    search = file.read()
    title = html.escape(f"{search.name}: {search.objective}")
    scripts = "\n".join(_without_imports((_STATIC / name).read_text(encoding="utf-8")) for name in _MODULES)
    style = (_STATIC / "style.css").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
<script>{_inline(plotly)}</script>
<script type="application/json" id="stored">{_json(_stored(search, file))}</script>
</head>
<body>
<div id="page"></div>
<script type="module">{_inline(scripts)}</script>
</body>
</html>
"""


def _stored(search: Search, file: SearchFile) -> dict[str, Any]:
    """Returns the answers to all questions of the page."""
    return {
        "searches": {
            "searches": [{"key": search.name, "problem": None}],
            "views": [{"name": name, "title": title} for name, (title, _) in VIEWS.items()],
            "logdirs": [],
            "plotly": True,
        },
        "search": leaderboard(search),
        "trials": finite(file.details()),
        "figures": {name: _forms(search, name) for name in VIEWS},
    }


def _forms(search: Search, name: str) -> dict[str, Any]:
    """Returns a view by the value of its first choice; the default is named ``""``."""

    def draw(options: Mapping[str, str]) -> View:
        view = VIEWS[name][1]([search], options)
        view.choices = view.choices[:1] if len(search.trials) <= _MAX_TRIALS else []
        return view

    default = draw({})
    forms = {"": default.to_json()}
    for choice in default.choices:
        for value in choice.options:
            forms[value] = draw({choice.name: value}).to_json()
    return forms


def _without_imports(source: str) -> str:
    """Returns a module's source as a part of a larger one."""
    source = re.sub(r"^import .*;\n", "", source, flags=re.MULTILINE)
    return re.sub(r"^export (?=class|function|const)", "", source, flags=re.MULTILINE)


def _json(value: Any) -> str:
    """Returns JSON that cannot end the element it stands in."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _inline(script: str) -> str:
    return re.sub(r"</(?=script)", r"<\\/", script, flags=re.IGNORECASE)
