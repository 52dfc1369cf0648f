"""Executors by name."""

from __future__ import annotations

from typing import Any

from kt_suite.distribution.distribution import Distribution
from kt_suite.errors import InputError, near, rule
from kt_suite.executors.base import Executor
from kt_suite.executors.fused.executor import FusedExecutor
from kt_suite.executors.inline import InlineExecutor

NAMES = ("auto", "inline", "fused", "processes", "ray")


def make_executor(
    executor: Any,
    *,
    workers: int | None,
    trial_timeout: float | None,
    distribution: Distribution | None = None,
) -> Executor:
    """Returns the executor that a name stands for; an executor stays itself.

    Args:
        executor: A name, or an executor.
        workers: Number of workers, where there are several.
        trial_timeout: Seconds that an attempt may take, where it can be ended from outside.
        distribution: How each trial is spread; where it is, the trials of this process train one after the other.

    Raises:
        InputError: An unknown name, or an option that the executor does not have.
        MissingExtraError: Ray is not installed.
    """
    if executor not in NAMES and not isinstance(executor, Executor):
        raise InputError(rule("executor", f"be an Executor, or one of {list(NAMES)}", executor, near(executor, NAMES)))
    distribution = distribution or Distribution()
    if distribution.is_given and not (executor in ("auto", "inline") or isinstance(executor, InlineExecutor)):
        remedy = "A distribution takes all devices for one trial."
        raise InputError(rule("executor", 'be "inline" under a distribution', executor, remedy))
    if isinstance(executor, Executor):
        return executor
    if executor == "processes":
        from kt_suite.executors.processes import ProcessExecutor

        return ProcessExecutor(workers, trial_timeout=trial_timeout)
    if executor == "ray":
        from kt_suite.executors.ray import RayExecutor

        return RayExecutor(workers, trial_timeout=trial_timeout)
    for name, value in (("workers", workers), ("trial_timeout", trial_timeout)):
        if value is not None:
            raise InputError(
                rule(name, "be None where trials train in this process", value, 'Use executor="processes".')
            )
    if distribution.cluster is not None and distribution.cluster.is_chief:
        from kt_suite.executors.in_step import InStepExecutor

        return InStepExecutor(distribution)
    if executor == "inline" or distribution.is_given:
        return InlineExecutor()
    return FusedExecutor(only_if_it_pays=executor == "auto")
