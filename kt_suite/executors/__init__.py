"""Executors: where and how trials train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kt_suite.executors.base import Event, Executor, TrialSpec
from kt_suite.executors.inline import InlineExecutor
from kt_suite.executors.processes import ProcessExecutor
from kt_suite.executors.ray import RayExecutor

if TYPE_CHECKING:
    from kt_suite.executors.fused.executor import FusedExecutor

__all__ = ["Event", "Executor", "FusedExecutor", "InlineExecutor", "ProcessExecutor", "RayExecutor", "TrialSpec"]


def __getattr__(name: str) -> Any:
    if name != "FusedExecutor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kt_suite.executors.fused.executor import FusedExecutor  # a quarter of a second that other searches save

    return FusedExecutor
