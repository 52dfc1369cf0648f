"""A stored search as one HTML file, as pictures, and as Plotly figures."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import Any

from kt_suite.errors import InputError, KTSuiteError, MissingExtraError, StorageError, near, rule
from kt_suite.storage import Storage
from kt_suite_tensorboard.bundle import bundle
from kt_suite_tensorboard.figures import VIEWS
from kt_suite_tensorboard.figures.view import View
from kt_suite_tensorboard.plotly_library import plotly_path
from kt_suite_tensorboard.search_file import SearchFile, SearchFileError

_EXTRA = "report"
_SIZE = {"width": 1000, "height": 560}


def write_report(directory: str | os.PathLike[str], output: str | os.PathLike[str]) -> Path:
    """Writes all views of a search into one HTML file that opens offline, and returns its path.

    Args:
        directory: The project directory.
        output: The file; its directory is made if need be.

    Raises:
        ProjectError: There is no search in ``directory``.
        StorageError: Its ``search.db`` is torn, foreign, or from a newer version.
        MissingExtraError: Plotly is not installed.
    """
    path = plotly_path()
    if path is None:
        raise MissingExtraError("Plotly", _EXTRA)
    file = _search_file(directory)
    try:
        content = bundle(file, path.read_text(encoding="utf-8"))
    except SearchFileError as error:
        raise StorageError(str(error)) from error
    target = Path(output)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content, encoding="utf-8")
    return target


def write_pictures(directory: str | os.PathLike[str], folder: str | os.PathLike[str]) -> list[Path]:
    """Writes each view that has something to show as a PNG file into a folder, and returns the files.

    Args:
        directory: The project directory.
        folder: The folder; it is made if need be.

    Raises:
        ProjectError: There is no search in ``directory``.
        StorageError: Its ``search.db`` is torn, foreign, or from a newer version.
        MissingExtraError: Plotly or Kaleido is not installed.
        KTSuiteError: Kaleido finds no browser to draw with.
    """
    views = {name: view_of(directory, name) for name in VIEWS}
    shown = {name: view for name, view in views.items() if view.data}
    figures = [_figure(view, VIEWS[name][0]) for name, view in shown.items()]
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths = [Path(folder) / f"{name}.png" for name in shown]
    try:
        from plotly.io import write_images  # draws all in one browser
    except ImportError as error:
        raise MissingExtraError("Plotly 6.1 or newer", _EXTRA) from error
    if importlib.util.find_spec("kaleido") is None:
        raise MissingExtraError("Kaleido", _EXTRA)
    heights = [max(_SIZE["height"], view.height) for view in shown.values()]
    try:
        write_images(figures, paths, width=_SIZE["width"], height=heights, scale=2)
    except (OSError, RuntimeError, ValueError) as error:
        remedy = f"Install one, or name it in the environment variable BROWSER_PATH. Kaleido says: {error}"
        raise KTSuiteError(rule("Pictures", "be drawn by Chrome or Chromium", "none that starts", remedy)) from error
    return paths


def plot(directory: str | os.PathLike[str], view: str, **options: str) -> Any:
    """Returns a view of a search as a ``plotly.graph_objects.Figure``.

    Args:
        directory: The project directory.
        view: Its name, such as ``"history"``.
        **options: What is to be shown, such as ``parameter="units"`` for ``"slice"``; see the functions in
            ``kt_suite_tensorboard.figures``.

    Raises:
        InputError: There is no such view, or no such option or value of it.
        ProjectError: There is no search in ``directory``.
        StorageError: Its ``search.db`` is torn, foreign, or from a newer version.
        MissingExtraError: Plotly is not installed.
    """
    return _figure(view_of(directory, view, **options), VIEWS[view][0])


def view_of(directory: str | os.PathLike[str], view: str, **options: str) -> View:
    """Returns a view as plain data; arguments and errors are those of :func:`plot`, which needs Plotly."""
    if view not in VIEWS:
        raise InputError(rule("A view", f"be one of {', '.join(VIEWS)}", view, near(view, VIEWS)))
    try:
        made = VIEWS[view][1]([_search_file(directory).read()], options)
    except SearchFileError as error:
        raise StorageError(str(error)) from error
    known = {choice.name: choice for choice in made.choices}
    for name, value in options.items():
        if name not in known:
            raise InputError(rule(f"An option of {view}", f"be one of {', '.join(known)}", name, near(name, known)))
        if value not in known[name].options:
            among = ", ".join(known[name].options)
            raise InputError(rule(f"{name} of {view}", f"be one of {among}", value, near(value, known[name].options)))
    return made


def _search_file(directory: str | os.PathLike[str]) -> SearchFile:
    with_errors = Storage.open(directory, read_only=True)  # says what is wrong as all other commands do
    with_errors.close()
    return SearchFile(with_errors.path)


def _figure(view: View, title: str) -> Any:
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise MissingExtraError("Plotly", _EXTRA) from error
    made = view.to_json()
    figure = go.Figure(data=made["data"], layout=made["layout"])
    figure.update_layout(title={"text": title}, template="plotly_white")
    figure.update_annotations(bgcolor="rgba(255,255,255,0.75)")  # tick labels among lines
    if re.search(r"\w", made["note"]):
        note = {"text": made["note"], "xref": "paper", "yref": "paper", "x": 0, "y": -0.2, "showarrow": False}
        figure.add_annotation(note)
    return figure
