"""Logs as TensorBoard serves them, with its data server and its Python loader, while searches write them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kt_suite.loggers.layout import search_directory
from kt_suite.loggers.tensorboard import TensorBoardLogger
from kt_suite.trial import TrialRecord, TrialStatus
from tests.unit.loggers.fake_search import SPACE, entry, make_info, make_reports, make_trial, play, play_trial

_STATUSES = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
_TIMEOUT = 90.0  # seconds until a busy machine has started a server

_ODD_NAME = "a/b \"c\" 'd' <script>alert(1)</script> ñ 大"
_ODD_SPACE = [
    entry("Choice", _ODD_NAME, values=[None, 1.0, 'x "y" <b>é</b>']),
    entry("Choice", "mixed", values=[True, 2, "three"]),
    entry("Choice", "flag", values=[True, False]),
    entry("Choice", "large", values=[2**60 + 1, 2**60 + 3]),
    entry("Choice", "learning_rate", values=[1e-5, 0.1]),
    entry("Choice", "unit sizes", values=[(3, 3), (5, 5)]),
    entry("Choice", "units", values=["few", "many"]),  # numbers in the other search
]
_ODD_VALUES: list[dict[str, Any]] = [
    {
        _ODD_NAME: odd,
        "mixed": mixed,
        "flag": flag,
        "large": 2**60 + 1,
        "learning_rate": 1e-5,
        "unit sizes": sizes,
        "units": "few",
    }
    for odd, mixed, flag, sizes in (
        (None, True, True, (3, 3)),
        (1.0, 2, False, (5, 5)),
        ('x "y" <b>é</b>', "three", True, (3, 3)),
    )
]

FIRST = make_info()
ODD = make_info("odd/../<script>näme", space=_ODD_SPACE)
_ODD_UNITS = f"units ({search_directory(ODD, '').name})"
_ODD_SHOWN = [
    {
        _ODD_NAME: odd,
        "mixed": mixed,
        "flag": flag,
        "large": "1152921504606846977",
        "learning_rate": 1e-5,
        "unit sizes": sizes,
        _ODD_UNITS: "few",
    }
    for odd, mixed, flag, sizes in (
        ("None", "True", True, "[3, 3]"),
        ("1.0", "2", False, "[5, 5]"),
        ('x "y" <b>é</b>', "three", True, "[3, 3]"),
    )
]
FIRST_TRIALS = [
    make_trial(0),
    make_trial(1),
    make_trial(2, status=TrialStatus.FAILED, score=None, message="ValueError: no"),
    make_trial(3, status=TrialStatus.PRUNED, score=None),
    make_trial(4, values={**make_trial(4).values, "late": 3}),
]
FIRST_NAMES = {item["config"]["name"] for item in SPACE}
ODD_NAMES = set(_ODD_SHOWN[0])
ODD_TRIALS = [make_trial(number, values=values) for number, values in enumerate(_ODD_VALUES)]


class Server:
    """A TensorBoard on a free port of this machine."""

    def __init__(self, logdir: Path, load_fast: str, output: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "tensorboard.main",
            "--logdir",
            str(logdir),
            "--load_fast",
            load_fast,
        ]
        command += ["--host", "127.0.0.1", "--port", "0", "--reload_interval", "1"]
        self._output = output
        with output.open("w") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file)
        self._address = ""

    def get(self, path: str) -> Any:
        return self._ask(urllib.request.Request(self._find_address() + path))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        address = f"{self._find_address()}data/plugin/hparams/{path}"
        return self._ask(urllib.request.Request(address, data=json.dumps(body).encode(), headers=headers))

    def columns(self) -> list[dict[str, Any]]:
        experiment: dict[str, Any] = self.post("experiment", {})
        return list(experiment.get("hparamInfos", []))

    def groups(self, **order: str) -> list[dict[str, Any]]:
        request = {
            "startIndex": 0,
            "sliceSize": 100,
            "allowedStatuses": _STATUSES,
            "colParams": [order] if order else [],
        }
        return list(self.post("session_groups", request).get("sessionGroups", []))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)

    def _ask(self, request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def _find_address(self) -> str:
        def read() -> str:
            text = self._output.read_text()
            if self._process.poll() is not None:
                raise RuntimeError(f"TensorBoard ended: {text}")
            found = re.search(r"http://127\.0\.0\.1:\d+/", text)
            return found.group() if found else ""

        self._address = self._address or eventually(read, bool)
        return self._address


def eventually(fetch: Callable[[], Any], is_ready: Callable[[Any], bool]) -> Any:
    """Returns what ``fetch`` gives once it is ready, or in the end."""
    end = time.monotonic() + _TIMEOUT
    while not is_ready(value := fetch()) and time.monotonic() < end:
        time.sleep(0.2)
    return value


def names(columns: list[dict[str, Any]]) -> set[str]:
    return {column["name"] for column in columns}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("true", id="data server"),
        pytest.param("false", id="python loader", marks=pytest.mark.slow),
    ],
)
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, list[set[str]]]]:
    """A server that has watched two searches grow, and the columns it showed at each stage."""
    logdir, output = tmp_path_factory.mktemp("logs"), tmp_path_factory.mktemp("output") / "log"
    server = Server(logdir, request.param, output)
    stages = []

    def watch(expected: set[str]) -> None:
        stages.append(names(eventually(server.columns, lambda columns: names(columns) == expected)))

    try:
        logger = TensorBoardLogger(logdir)
        logger.on_search_begin(FIRST)
        for trial in FIRST_TRIALS[:4]:
            play_trial(logger, trial, make_reports(trial))
        watch(FIRST_NAMES)
        logger.on_space([*SPACE, entry("Int", "late", min_value=1, max_value=9)])
        play_trial(logger, FIRST_TRIALS[4], make_reports(FIRST_TRIALS[4]))
        logger.on_search_end("done")
        watch(FIRST_NAMES | {"late"})
        play(TensorBoardLogger(logdir), ODD, ODD_TRIALS)
        watch(FIRST_NAMES | {"late"} | ODD_NAMES)
        num_finished = len(FIRST_TRIALS) - 2 + len(ODD_TRIALS)
        eventually(
            server.groups,
            lambda groups: sum("objective" in metrics(group) for group in groups) == num_finished,
        )
        yield server, stages
    finally:
        server.close()


@pytest.fixture
def server(live: tuple[Server, list[set[str]]]) -> Server:
    return live[0]


def group_of(server: Server, info: Any, trial: TrialRecord) -> dict[str, Any]:
    run = f"{search_directory(info, '').name}/trial_{trial.trial_id}"
    (group,) = [group for group in server.groups() if group["sessions"][0]["name"] == run]
    return group


def metrics(group: dict[str, Any]) -> dict[str, float]:
    return {metric["name"]["tag"]: metric["value"] for metric in group["metricValues"]}


def test_columns_follow_the_searches_while_tensorboard_runs(live: tuple[Server, list[set[str]]]) -> None:
    first, grown, both = live[1]
    assert first == FIRST_NAMES
    assert grown == FIRST_NAMES | {"late"}
    assert both == FIRST_NAMES | {"late"} | ODD_NAMES


def test_every_trial_of_every_search_is_a_row(server: Server) -> None:
    groups = server.groups()
    assert len(groups) == len(FIRST_TRIALS) + len(ODD_TRIALS)
    assert len({group["name"] for group in groups}) == len(groups)
    assert all(len(group["sessions"]) == 1 for group in groups)


@pytest.mark.parametrize("trial", FIRST_TRIALS, ids=lambda trial: trial.trial_id)
def test_values_are_those_of_the_trial(server: Server, trial: TrialRecord) -> None:
    assert group_of(server, FIRST, trial)["hparams"] == trial.values


@pytest.mark.parametrize(("trial", "shown"), list(zip(ODD_TRIALS, _ODD_SHOWN, strict=True)), ids=["0", "1", "2"])
def test_odd_names_and_values_are_text(server: Server, trial: TrialRecord, shown: dict[str, Any]) -> None:
    group = group_of(server, ODD, trial)
    assert group["hparams"] == shown
    assert ODD.name in group["name"]


def test_the_objective_is_the_stored_score_and_stands_first(server: Server) -> None:
    first = server.post("experiment", {})["metricInfos"][0]
    assert first["name"] == {"tag": "objective", "group": ""}
    assert first["displayName"] == "objective (max val_accuracy)"
    for trial in FIRST_TRIALS:
        values = metrics(group_of(server, FIRST, trial))
        if trial.score is None:
            assert not {"objective", "epochs", "seconds"} & set(values)
        else:
            assert values["objective"] == pytest.approx(trial.score, abs=1e-6)
            assert (values["epochs"], values["seconds"]) == (3, 10)


def test_failed_trials_are_marked(server: Server) -> None:
    statuses = [group_of(server, FIRST, trial)["sessions"][0]["status"] for trial in FIRST_TRIALS]
    success, failure, unknown = "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_UNKNOWN"
    assert statuses == [success, success, failure, unknown, success]


@pytest.mark.parametrize(
    "hparam", ["learning_rate", "momentum", _ODD_NAME, "mixed", "large", "late", "units", _ODD_UNITS]
)
def test_every_column_can_be_sorted(server: Server, hparam: str) -> None:
    assert len(server.groups(hparam=hparam, order="ORDER_ASC")) == len(FIRST_TRIALS) + len(ODD_TRIALS)


def test_columns_have_their_true_domains(server: Server) -> None:
    columns = {column["name"]: column for column in server.columns()}
    assert columns["units"]["domainInterval"] == {"minValue": 8.0, "maxValue": 64.0}
    assert columns["optimizer"]["domainDiscrete"] == ["adam", "sgd"]
    assert columns["flag"]["domainDiscrete"] == [True, False]
    assert columns["mixed"]["domainDiscrete"] == ["True", "2", "three"]
    assert [column["name"] for column in server.columns() if column["differs"]] == ["learning_rate"]


def test_curves_and_history_are_served(server: Server) -> None:
    directory = search_directory(FIRST, "").name

    def scalars(run: str, tag: str) -> list[tuple[int, float]]:
        points = server.get(f"data/plugin/scalars/scalars?run={quote(f'{directory}/{run}')}&tag={quote(tag)}")
        return [(step, value) for _, step, value in points]

    expected = [report.metrics["val_accuracy"] for report in make_reports(FIRST_TRIALS[1])]
    assert scalars("trial_0001", "accuracy/validation") == [
        (epoch, pytest.approx(value, abs=1e-6)) for epoch, value in enumerate(expected)
    ]
    assert scalars("_search", "search/objective") == [
        (number, pytest.approx(FIRST_TRIALS[number].score, abs=1e-6)) for number in (0, 1, 4)
    ]


def test_texts_are_served_without_markup_of_names(server: Server) -> None:
    run = quote(f"{search_directory(ODD, '').name}/_search")
    (event,) = server.get(f"data/plugin/text/text?run={run}&tag={quote('search/summary')}")
    assert "&lt;script&gt;" in event["text"]
    assert "<script" not in event["text"]
