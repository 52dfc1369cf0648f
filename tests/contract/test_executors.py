"""Every executor of kt_suite keeps the contract."""

from __future__ import annotations

from typing import Any

import pytest

from kt_suite.executors.choose import NAMES, make_executor
from kt_suite.testing import ExecutorContract

QUICK = {"inline"}  # the others start processes, each of which loads TensorFlow


class TestExecutors(ExecutorContract):
    @pytest.fixture(
        params=[
            pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in NAMES if name != "auto"
        ],
    )
    def make_executor(self, request: Any) -> Any:
        workers = None if request.param == "inline" else 2
        return lambda: make_executor(request.param, workers=workers, trial_timeout=None)
