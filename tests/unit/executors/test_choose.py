from __future__ import annotations

import sys
from typing import Any

import pytest

from kt_suite.distribution.distribution import Distribution
from kt_suite.errors import InputError, MissingExtraError
from kt_suite.executors import FusedExecutor, InlineExecutor
from kt_suite.executors.choose import make_executor


def made(name: Any, workers: int | None = None, trial_timeout: float | None = None) -> Any:
    return make_executor(name, workers=workers, trial_timeout=trial_timeout)


def test_without_ray_an_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'kt-suite\[ray\]'"):
        made("ray")


def test_options_of_workers_are_refused_where_there_are_none() -> None:
    with pytest.raises(InputError, match="workers must be None"):
        made("inline", workers=2)
    assert isinstance(made("inline"), InlineExecutor)


def test_an_unknown_name_is_refused_with_what_it_may_have_meant() -> None:
    with pytest.raises(InputError, match="Did you mean 'processes'"):
        made("process")


def test_trials_are_fused_unless_their_devices_are_given() -> None:
    assert isinstance(made("auto"), FusedExecutor)
    given = Distribution("one_device:/cpu:0")
    assert isinstance(make_executor("auto", workers=None, trial_timeout=None, distribution=given), InlineExecutor)
