"""How the steps of an epoch are carried out: in step on all replicas, or handed to workers by a coordinator."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kt_suite.distribution.feed import Feed
from kt_suite.distribution.processes import check_together
from kt_suite.distribution.steps import ReplicaSteps

Begin = Callable[[int], None]
End = Callable[[int, dict[str, Any]], bool]


class SynchronousRun:
    """Runs steps on all replicas at once, in every process that takes part.

    Args:
        model: A compiled and built model.
        strategy: The distribution it was built in.
        training: Whether to train, or to test.
    """

    def __init__(self, model: Any, strategy: Any, *, training: bool) -> None:
        self.steps = ReplicaSteps(model, strategy)
        self._strategy = strategy
        self._step = self.steps.train if training else self.steps.test
        self._compiled = _as_is if model.run_eagerly else _graph
        self._functions: dict[tuple[bool, bool], Any] = {}
        self._results = self._compiled(self.steps.results)

    def epoch(self, feed: Feed, size: int, begin: Begin, end: End) -> dict[str, Any]:
        """Runs an epoch; returns its metrics.

        Args:
            feed: The batches.
            size: Steps at one go.
            begin: Called with the first step before each go.
            end: Called with the last step and the metrics so far after each go; truth ends the epoch.
        """
        sums, logs = self.steps.zeros(), {}
        iterator = feed.begin_epoch()
        for step, number in feed.executions(size):
            begin(step)
            done, added = self._execute(feed.is_endless, number)(iterator, tf.constant(number))
            done = int(done)
            if done:
                sums = [one + more for one, more in zip(sums, added, strict=True)]
                logs = self._results(sums)
                if end(step + done - 1, logs):
                    break
            if done < number:
                feed.run_out(number - done)
                break
        self._keep(sums)
        return logs

    def _keep(self, sums: Sequence[Any]) -> None:
        for variable, value in zip(self.steps.metric_variables, sums, strict=True):
            variable.assign(value)

    def _execute(self, is_endless: bool, number: int) -> Any:
        key = (is_endless, number == 1)
        if key not in self._functions:
            step = self._sure if is_endless else self._unsure
            self._functions[key] = self._compiled(step if number == 1 else _repeated(step, self.steps.zeros))
        return self._functions[key]

    def _sure(self, iterator: Any, number: Any) -> tuple[Any, list[Any]]:
        return tf.constant(1), self._on_all(iterator.get_next())

    def _unsure(self, iterator: Any, number: Any) -> tuple[Any, list[Any]]:
        batch = iterator.get_next_as_optional()
        added = tf.cond(batch.has_value(), lambda: self._on_all(batch.get_value()), self.steps.zeros)
        return tf.cast(batch.has_value(), tf.int32), added

    def _on_all(self, batch: Any) -> list[Any]:
        added = self._strategy.run(self._step, args=(batch,))
        # Every replica returns the sum over all of them.
        return [self._strategy.experimental_local_results(one)[0] for one in added]


class CoordinatedRun:
    """Hands batches to workers, which train on parameters that they share: asynchronous, as parameter servers are.

    The coordinator cuts the batches and hands them out one by one, so that every sample is trained on once an epoch,
    whichever workers there are, and adds up the metrics itself.

    Args:
        model: A compiled and built model.
        strategy: A ``tf.distribute.ParameterServerStrategy``.
        training: Whether to train, or to test.
    """

    def __init__(self, model: Any, strategy: Any, *, training: bool) -> None:
        self.steps = ReplicaSteps(model, strategy)
        self._strategy = strategy
        self._step = self.steps.train if training else self.steps.test
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        self._num_ahead = 2 * max(1, int(strategy._num_workers))
        self._remote = _graph(self._on_worker)
        self._results = _graph(self.steps.results)

    def epoch(self, feed: Feed, size: int, begin: Begin, end: End) -> dict[str, Any]:
        """Runs an epoch; see :meth:`SynchronousRun.epoch`."""
        sums, logs = self.steps.zeros(), {}
        iterator = feed.begin_epoch()
        ahead: deque[tuple[int, list[Any]]] = deque()
        is_over = False
        executions = feed.executions(size)
        while not is_over:
            step, number = next(executions, (0, 0))
            if number:
                begin(step)
                batches = [batch for batch in (next(iterator, None) for _ in range(number)) if batch is not None]
                if len(batches) < number:
                    feed.run_out(number - len(batches))
                    number = 0
                if batches:
                    added = [self._coordinator.schedule(self._remote, args=(batch,)) for batch in batches]
                    ahead.append((step + len(batches) - 1, added))
            is_over = not number
            while ahead and (is_over or len(ahead) >= self._num_ahead):
                last, waited_for = ahead.popleft()
                for one in waited_for:
                    sums = [total + more for total, more in zip(sums, self._fetched(one), strict=True)]
                logs = self._results(sums)
                is_over |= end(last, logs)
        self._coordinator.join()
        for variable, value in zip(self.steps.metric_variables, sums, strict=True):
            variable.assign(value)
        return logs

    def _fetched(self, remote: Any) -> Any:
        # In a thread that may be left behind, so that waiting can end where a process is lost for good.
        found: queue.Queue[tuple[Any, Exception | None]] = queue.Queue()

        def fetch() -> None:
            try:
                found.put((remote.fetch(), None))
            except Exception as error:
                found.put((None, error))

        threading.Thread(target=fetch, daemon=True).start()
        while True:
            try:
                value, error = found.get(timeout=1.0)
            except queue.Empty:
                check_together()
                continue
            if error is not None:
                raise error
            return value

    def _on_worker(self, batch: Any) -> list[Any]:
        added = self._strategy.run(self._step, args=(batch,))
        return [self._strategy.experimental_local_results(one)[0] for one in added]


def _repeated(step: Any, zeros: Any) -> Any:
    """Returns a function that does ``number`` steps, or as many as there are batches."""

    def run(iterator: Any, number: Any) -> tuple[Any, list[Any]]:
        def is_left(done: Any, is_over: Any, sums: Any) -> Any:
            return tf.logical_and(done < number, tf.logical_not(is_over))

        def body(done: Any, is_over: Any, sums: Any) -> Any:
            more, added = step(iterator, number)
            return done + more, more < 1, [one + two for one, two in zip(sums, added, strict=True)]

        done, _, sums = tf.while_loop(is_left, body, (tf.constant(0), tf.constant(False), zeros()))
        return done, sums

    return run


def _as_is(function: Any) -> Any:
    return function


def _graph(function: Any) -> Any:
    # A function object of its own: TensorFlow warns where one is traced for many models.
    return tf.function(lambda *args: function(*args), autograph=False, reduce_retracing=True)
