"""Executors: where and how trials train."""

from kt_suite.executors.base import Event, Executor, TrialSpec
from kt_suite.executors.fused.executor import FusedExecutor
from kt_suite.executors.inline import InlineExecutor
from kt_suite.executors.processes import ProcessExecutor
from kt_suite.executors.ray import RayExecutor

__all__ = ["Event", "Executor", "FusedExecutor", "InlineExecutor", "ProcessExecutor", "RayExecutor", "TrialSpec"]
