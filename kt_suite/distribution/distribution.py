"""How a tuner's trials are spread over devices and machines."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import functools
import os
from collections.abc import Iterator
from typing import Any

from kt_suite.distribution.cluster import Cluster
from kt_suite.distribution.strategies import check_name, make_strategy
from kt_suite.errors import InputError, rule

PATIENCE = 20.0
"""Seconds after which a process ends for good, once another is lost and TensorFlow does not let go."""


class Distribution:
    """The distribution of a tuner, and the part of this process in it.

    Args:
        distribution: A name, a ``tf.distribute.Strategy``, or ``None``.

    Attributes:
        strategy: The strategy; ``None`` for none, and in the servers of a cluster with parameter servers.
        cluster: The cluster, where several processes train a trial together; else ``None``.

    Raises:
        InputError: A name that cannot be used here.
    """

    def __init__(self, distribution: Any = None) -> None:
        check_name(distribution)
        self.strategy: Any = None
        self.cluster: Cluster | None = None
        self._in_trial = False
        cluster = Cluster.of_environment() if distribution is not None else None
        if cluster is not None and distribution == "parameter_server" and not cluster.is_chief:
            self.cluster = cluster
            _serve(cluster)
            return
        self.strategy = make_strategy(distribution)
        if cluster is not None and cluster.others and (self.is_in_step or self.is_coordinated):
            self.cluster = cluster

    def __getstate__(self) -> dict[str, Any]:
        return {"strategy": None, "cluster": None, "_in_trial": False}  # a worker process has devices of its own

    @property
    def is_given(self) -> bool:
        """Whether there is anything to distribute over."""
        return self.strategy is not None or self.cluster is not None

    @property
    def is_in_step(self) -> bool:
        """Whether several processes run the same program in step."""
        if self.strategy is None:
            return False
        from kt_suite.distribution.processes import is_over_processes

        return is_over_processes(self.strategy)

    @property
    def is_coordinated(self) -> bool:
        """Whether this process hands out work to servers."""
        if self.strategy is None:
            return False
        from kt_suite.distribution.processes import is_coordinated

        return is_coordinated(self.strategy)

    @property
    def is_follower(self) -> bool:
        """Whether this process trains or serves what the chief of its cluster says, and nothing else."""
        return self.cluster is not None and not self.cluster.is_chief

    @property
    def current(self) -> Any:
        """The strategy to build models in now.

        That of a cluster is for trials only: outside of them no other process takes part, and a model of one's own
        is what is wanted.
        """
        return self.strategy if self.cluster is None or self._in_trial else None

    @contextlib.contextmanager
    def trial(self) -> Iterator[None]:
        """Within it a trial is trained, in which all processes of a cluster take part."""
        self._in_trial = True
        try:
            yield
        finally:
            self._in_trial = False

    def prepare(self, model: Any) -> None:
        """Has ``fit`` and ``evaluate`` of a model be ours, where Keras's fail or report wrong numbers."""
        strategy = self.current
        if strategy is None:
            return
        from kt_suite.distribution import loop

        if loop.surpasses_keras(model, strategy):
            model.fit = functools.partial(loop.fit, model)
            model.evaluate = functools.partial(loop.evaluate, model)

    def let_go(self, why: str) -> None:
        """Ends what this process waits for, because another one is lost; and the process, if that does not help."""
        faulthandler.dump_traceback_later(PATIENCE, exit=True, file=open(os.devnull, "w"))  # noqa: SIM115
        atexit.register(faulthandler.dump_traceback_later, PATIENCE, exit=True, file=open(os.devnull, "w"))  # noqa: SIM115
        if self.is_in_step:
            import tensorflow as tf
            from tensorflow.python.eager import context

            with contextlib.suppress(Exception):
                context.context().abort_collective_ops(tf.errors.UNAVAILABLE, why)

    def explain(self) -> str:
        """Returns in a few words over what a trial is spread."""
        if self.strategy is None:
            return ""
        name = type(self.strategy).__name__.removesuffix("V1").removesuffix("V2")
        return f"each spread by {name} over {self.strategy.num_replicas_in_sync} replica(s)"


def one_of(distribution: Any, distribution_strategy: Any) -> Any:
    """Returns the one that is given of two names for the same.

    Raises:
        InputError: Both are given.
    """
    if distribution is not None and distribution_strategy is not None:
        must = "be left out where distribution is given"
        raise InputError(rule("distribution_strategy", must, distribution_strategy, "They are the same thing."))
    return distribution if distribution is not None else distribution_strategy


_servers: list[Any] = []


def _serve(cluster: Cluster) -> None:
    """Starts this process's part in a cluster with parameter servers, once."""
    import tensorflow as tf

    if not _servers:
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        _servers.append(
            tf.distribute.Server(
                resolver.cluster_spec(), job_name=cluster.kind, task_index=cluster.index, protocol="grpc", start=True
            )
        )
