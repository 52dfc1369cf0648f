"""Every executor of kt_suite keeps the contract."""

from __future__ import annotations

from typing import Any

import pytest

from kt_suite.executors.choose import NAMES, make_executor
from kt_suite.executors.fused.executor import FusedExecutor
from kt_suite.testing import ExecutorContract

# All but the first start processes, each of which loads TensorFlow.
MARKS: dict[str, tuple[pytest.MarkDecorator, ...]] = {
    "inline": (),
    "processes": (pytest.mark.slow,),
    "ray": (pytest.mark.slow, pytest.mark.ray),
}


class TestExecutors(ExecutorContract):
    @pytest.fixture(
        params=[
            pytest.param(name, marks=MARKS.get(name, (pytest.mark.slow,)))
            for name in NAMES
            if name not in ("auto", "fused")
        ],
    )
    def make_executor(self, request: Any) -> Any:
        if request.param == "ray":
            pytest.importorskip("ray", reason="needs the extra `ray`")
        workers = None if request.param == "inline" else 2
        return lambda: make_executor(request.param, workers=workers, trial_timeout=None)


class TestFusedExecutor(ExecutorContract):
    shuffles = False  # all runs of a program share one order

    @pytest.fixture
    def make_executor(self) -> Any:
        return FusedExecutor
