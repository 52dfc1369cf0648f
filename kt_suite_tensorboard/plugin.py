"""The routes of the tab."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from kt_suite_tensorboard.figures import VIEWS
from kt_suite_tensorboard.figures.view import finite
from kt_suite_tensorboard.leaderboard import leaderboard
from kt_suite_tensorboard.logs import LoggedSearch, find_searches, split_logdirs
from kt_suite_tensorboard.plotly_library import plotly_path
from kt_suite_tensorboard.search import Search
from kt_suite_tensorboard.search_file import SearchFile, SearchFileError

Application = Callable[[Any, Any], Iterable[bytes]]
"""What WSGI calls."""

_STATIC = Path(__file__).parent / "static"
_TYPES = {".js": "text/javascript", ".css": "text/css"}
_DAY = 86_400


class TuningPlugin(base_plugin.TBPlugin):  # type: ignore[misc]
    """The tab "Tuning": shows the searches under the log directory, live.

    It answers GET requests with JSON. A search that cannot be read is told as ``{"error": ...}``: the tab shows it, and
    nothing else of TensorBoard is touched.

    Args:
        context: TensorBoard's ``TBContext``.
    """

    plugin_name = "kt_suite"

    def __init__(self, context: Any) -> None:
        flags = getattr(context, "flags", None)
        self._logdirs = split_logdirs(context.logdir, getattr(flags, "logdir_spec", None))
        self._mutex = threading.Lock()
        self._files: dict[tuple[Path, str | None], SearchFile] = {}
        self._plotly: bytes | None = None

    def get_plugin_apps(self) -> dict[str, Application]:
        """Returns what answers each route. Every file of the page has an exact route: no path is ever taken apart."""
        apps = {f"/{path.name}": _static(path) for path in sorted(_STATIC.iterdir()) if path.suffix in _TYPES}
        answers = {"/searches": self._searches, "/search": self._search, "/trial": self._trial, "/figure": self._figure}
        return {**apps, "/plotly.min.js": self._serve_plotly, **{path: _json(of) for path, of in answers.items()}}

    def is_active(self) -> bool:
        """Returns False: TensorBoard then asks :meth:`data_plugin_names`, without a scan of ours."""
        return False

    def data_plugin_names(self) -> tuple[str, ...]:
        """Returns the plugins whose data make the tab an active one: every search writes HParams."""
        return ("hparams",)

    def frontend_metadata(self) -> Any:
        """Returns how TensorBoard shows the tab."""
        return base_plugin.FrontendMetadata(es_module_path="/index.js", tab_name="Tuning")

    def _searches(self, request: wrappers.Request) -> dict[str, Any]:
        """The searches there are, and the views."""
        searches = [{"key": search.key, "problem": self._problem(search)} for search in self._found().values()]
        return {
            "searches": searches,
            "views": [{"name": name, "title": title} for name, (title, _) in VIEWS.items()],
            "logdirs": self._logdirs,
            "plotly": plotly_path() is not None,
        }

    def _search(self, request: wrappers.Request) -> dict[str, Any]:
        """Facts of ``search``, and its trials that changed since the event ``after``."""
        return leaderboard(self._read(request.args.get("search", "")), request.args.get("after", -1, type=int))

    def _trial(self, request: wrappers.Request) -> dict[str, Any]:
        """All that is stored of the trial ``id`` of ``search``; empty where there is none."""
        trial_id = request.args.get("id", "")
        details = self._file(self._logged(request.args.get("search", ""))).details(trial_id)
        return dict(finite(details.get(trial_id, {})))

    def _figure(self, request: wrappers.Request) -> dict[str, Any]:
        """The view ``view`` of the searches ``search``, the first being the one to show."""
        _, view = VIEWS.get(request.args.get("view", ""), ("", None))
        if view is None:
            raise SearchFileError("There is no such view.")
        keys = request.args.getlist("search")
        searches = [self._read(key) for key in keys[:1]] + self._readable(keys[1:])
        return view(searches, request.args).to_json()

    def _readable(self, keys: list[str]) -> list[Search]:
        found = []
        for key in keys:
            try:
                found.append(self._read(key))
            except SearchFileError:
                continue  # the picker says why
        return found

    def _problem(self, search: LoggedSearch) -> str | None:
        try:
            self._file(search).read()
        except SearchFileError as error:
            return str(error)
        return None

    def _found(self) -> dict[str, LoggedSearch]:
        return find_searches(self._logdirs)

    def _logged(self, key: str) -> LoggedSearch:
        search = self._found().get(key)
        if search is None:
            raise SearchFileError(f"There is no search {key!r} under the log directory any more.")
        return search

    def _read(self, key: str) -> Search:
        return self._file(self._logged(key)).read()

    def _file(self, search: LoggedSearch) -> SearchFile:
        with self._mutex:
            return self._files.setdefault((search.path, search.search_id), SearchFile(search.path, search.search_id))

    def _serve_plotly(self, environ: Any, start_response: Any) -> Any:
        request = wrappers.Request(environ)
        path = plotly_path()
        if path is None:
            response = http_util.Respond(request, "Plotly is not installed.", "text/plain", code=404)
        else:
            with self._mutex:
                if self._plotly is None:
                    self._plotly = gzip.compress(path.read_bytes(), compresslevel=6, mtime=0)
            response = http_util.Respond(
                request, self._plotly, "text/javascript", expires=_DAY, content_encoding="gzip"
            )
        return response(environ, start_response)


def _static(path: Path) -> Application:
    def serve(request: wrappers.Request) -> Any:
        return http_util.Respond(request, path.read_text(encoding="utf-8"), _TYPES[path.suffix])

    return wrappers.Request.application(serve)  # type: ignore[no-any-return]


def _json(answer: Callable[[wrappers.Request], dict[str, Any]]) -> Application:
    def serve(request: wrappers.Request) -> Any:
        if request.method not in ("GET", "HEAD"):
            return http_util.Respond(request, {"error": "Only GET is answered."}, "application/json", code=405)
        try:
            content = answer(request)
        except SearchFileError as error:
            content = {"error": str(error)}
        # As a string: TensorBoard would look at each of many thousand numbers once more.
        return http_util.Respond(request, json.dumps(content, separators=(",", ":")), "application/json")

    return wrappers.Request.application(serve)  # type: ignore[no-any-return]
