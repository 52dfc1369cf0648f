"""A compiled epoch: the loop over training batches, the one over validation batches, and what they sum up."""

from __future__ import annotations

import concurrent.futures
import functools
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kt_suite.executors.fused import backend as backends
from kt_suite.executors.fused.context import Signal
from kt_suite.executors.fused.forward import Forward
from kt_suite.executors.fused.group import Group
from kt_suite.executors.fused.losses import Term
from kt_suite.executors.fused.metrics import Measure, initial, result, updated
from kt_suite.executors.fused.updates import chosen, optimise, scaled

Batches = dict[str, Any]
"""Arrays ``"x"``, ``"y"`` (lists of ``(n, ...)``), ``"w"`` (list or ``None``), and ``"order"``, ``(steps, [members,]
batch)`` row numbers, ``"mask"`` of the same shape or ``None``, and in training ``"rates"``, ``(steps, members)``.
Chunks of a stream also have ``"steps"``, the number of their batches, as they are filled up to one shape."""


class Program:
    """Trains and evaluates all members of a group in one compiled call an epoch.

    Args:
        group: The layout.
        terms: The losses of its first member.
        measures: Its metrics.
        is_ragged: Whether members may have no rows in some steps, which then leave them as they are.
        xla: Whether XLA compiles it.

    Attributes:
        is_warm: Whether it has run, and so is compiled.
    """

    def __init__(
        self, group: Group, terms: list[Term], measures: list[Measure], *, is_ragged: bool = False, xla: bool = False
    ) -> None:
        self.group, self.terms, self.measures = group, terms, measures
        self.is_ragged, self.xla = is_ragged, xla
        self.is_warm = False
        self._warming: concurrent.futures.Future[Any] | None = None
        self.forward = Forward(group, terms)
        self.backend = backends.current()
        self.run = self.backend.compile(self._run, xla)
        self.predict = self.backend.compile(self._predict, xla)

    def warm_up(self, arguments: Sequence[Any]) -> None:
        """Has another thread compile the program, for ``run`` with arguments of these shapes; what that gives is lost.

        Tracing is Keras' and stays in this thread, for what else this one does to Keras in the meantime.
        """
        self.backend.trace(self.run, arguments)
        self._warming = _compiler().submit(self.run, *arguments)

    @property
    def can_warm_up(self) -> bool:
        """Whether it is still to be compiled, by another thread if asked to."""
        return self.backend.traces_apart and not self.is_warm and self._warming is None

    def wait(self) -> None:
        """Waits for a thread that compiles the program. What has failed there fails again, and is seen, when run."""
        if self._warming is not None:
            self.is_warm = self._warming.exception() is None
            self._warming = None

    def empty_sums(self) -> dict[str, Any]:
        """Returns what an epoch adds up, before its first batch."""
        members, dtype = self.group.num_places, keras.config.floatx()
        parts = len(self.terms) if len(self.terms) > 1 else 0
        return {
            "rows": np.zeros(members, dtype),
            "losses": [np.zeros(members, dtype) for _ in range(1 + parts)],
            "measures": [initial(measure, members) for measure in self.measures],
        }

    def logs(self, sums: dict[str, Any]) -> dict[str, list[Any]]:
        """Returns each log of all members, of sums as arrays."""
        names = ["loss", *(term.name for term in self.terms)]
        found: dict[str, list[Any]] = {}
        with np.errstate(invalid="ignore", divide="ignore"):
            for name, total in zip(names, sums["losses"], strict=False):
                found[name] = [float(value) for value in total / np.maximum(sums["rows"], 1)]
        for measure, state in zip(self.measures, sums["measures"], strict=True):
            found[measure.name] = result(measure, state)
        return found

    def _run(
        self,
        constants: Any,
        state: dict[str, Any],
        training: Batches | None,
        sums: Any,
        validation: Batches | None,
        validation_sums: Any,
    ) -> tuple[Any, Any, Any]:
        """Returns the state and the sums after the batches of both."""
        if training is not None:
            state, sums = self.backend.loop(
                _num_steps(training),
                lambda step, carry: self._train_step(constants, training, step, carry),
                (state, sums),
            )
        if validation is not None:
            weights = state["weights"]
            validation_sums = self.backend.loop(
                _num_steps(validation),
                lambda step, carry: self._test_step(constants, weights, validation, step, carry),
                validation_sums,
            )
        return state, sums, validation_sums

    def _train_step(self, constants: Any, training: Batches, step: Any, carry: Any) -> Any:
        state, sums = carry
        batch = pick(training, step)
        view = self.group.view

        def total(trainable: list[Any]) -> tuple[Any, Any]:
            weights = list(state["weights"])
            for number, weight in zip(view.trainable, trainable, strict=True):
                weights[number] = weight
            outputs, context = self.forward.run(constants, weights, batch["x"], batch["mask"], steps=state["steps"])
            losses, parts = self.forward.losses(constants, weights, outputs, batch, context.penalties)
            made = [(signal.value, signal.logits, signal.times) for signal in outputs]
            return ops.sum(scaled(losses, state)), (losses, parts, made, context.updates)

        trainable = [state["weights"][number] for number in view.trainable]
        gradients, (losses, parts, made, updates) = self.backend.gradient(total, trainable)
        sums = self._add(sums, batch, losses, parts, [Signal(value, None, *rest) for value, *rest in made])
        new = optimise(self.forward, constants, state, gradients, training["rates"][step])
        for number, value in updates.items():
            new["weights"][number] = value
        if self.is_ragged:
            new = chosen(ops.sum(batch["mask"], 1) > 0, new, state)
        return new, sums

    def _test_step(self, constants: Any, weights: list[Any], batches: Batches, step: Any, sums: Any) -> Any:
        batch = pick(batches, step)
        outputs, context = self.forward.run(constants, weights, batch["x"], batch["mask"])
        losses, parts = self.forward.losses(constants, weights, outputs, batch, context.penalties)
        return self._add(sums, batch, losses, parts, outputs)

    def _add(self, sums: Any, batch: Batches, losses: Any, parts: list[Any], outputs: list[Signal]) -> Any:
        """Returns the sums with those of one batch added."""
        dtype = sums["rows"].dtype
        if batch["mask"] is None:
            count = ops.cast(batch["x"][0].shape[1], dtype)
        else:
            count = ops.sum(ops.cast(batch["mask"], dtype), 1)
            losses = ops.where(count > 0, losses, ops.zeros_like(losses))
        totals = [losses, *parts] if len(parts) > 1 else [losses]
        return {
            "rows": sums["rows"] + count,
            "losses": [old + ops.cast(new, dtype) * count for old, new in zip(sums["losses"], totals, strict=True)],
            "measures": [
                updated(
                    measure,
                    old,
                    batch["y"][measure.output],
                    outputs[measure.output],
                    None if batch["w"] is None else batch["w"][measure.output],
                    batch["mask"],
                    self.backend,
                )
                for measure, old in zip(self.measures, sums["measures"], strict=True)
            ],
        }

    def _predict(self, constants: Any, weights: list[Any], inputs: list[Any]) -> list[Any]:
        """Returns the outputs for inputs of shape ``(1 or members, batch, ...)``."""
        outputs, _ = self.forward.run(constants, weights, inputs, None)
        return [signal.value for signal in outputs]


def _num_steps(batches: Batches) -> Any:
    return batches["steps"] if "steps" in batches else batches["order"].shape[0]


def pick(batches: Batches, step: Any) -> Batches:
    """Returns one batch: arrays of shape ``(members or 1, batch, ...)``."""
    order = batches["order"][step]
    is_shared = len(order.shape) == 1

    def rows(array: Any) -> Any:
        taken = ops.take(array, order, axis=0)
        return taken[None] if is_shared else taken

    def weights(array: Any) -> Any:
        """Returns sample weights, ``(members, n)`` where each member has its own."""
        if array["members"] is None:
            return rows(array["shared"])
        own = array["members"]
        return ops.take(own, order, axis=1) if is_shared else ops.take_along_axis(own, order, axis=1)

    mask = batches["mask"]
    if mask is not None:
        mask = mask[step][None] if is_shared else mask[step]
    return {
        "x": [rows(array) for array in batches["x"]],
        "y": [rows(array) for array in batches["y"]],
        "w": None if batches["w"] is None else [weights(array) for array in batches["w"]],
        "mask": mask,
    }


@functools.cache
def _compiler() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="compiler")  # XLA has threads of its own


_programs: OrderedDict[Any, Program] = OrderedDict()
_MAX_PROGRAMS = 24


def program_for(
    key: Any, group: Group, terms: list[Term], measures: list[Measure], *, is_ragged: bool, xla: bool
) -> Program:
    """Returns a program, one compiled before where there is one of the same key."""
    full_key = (keras.backend.backend(), keras.config.floatx(), group.view.key, group.signature, key, is_ragged, xla)
    program = _programs.pop(full_key, None) or Program(group, terms, measures, is_ragged=is_ragged, xla=xla)
    _programs[full_key] = program
    while len(_programs) > _MAX_PROGRAMS:
        _programs.popitem(last=False)
    return program
