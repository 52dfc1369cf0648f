"""The state of one member in its own shapes: read from a model, written to it, laid out on places, cut back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kt_suite.executors.fused.axis import cut, embed
from kt_suite.executors.fused.backend import to_numpy
from kt_suite.executors.fused.group import Group
from kt_suite.executors.fused.optimizers import inner_of
from kt_suite.executors.fused.view import View


@dataclass
class Snapshot:
    """Weights and optimizer state of a member.

    Attributes:
        weights: In the order of ``model.get_weights()``.
        slots: For each trainable variable, its optimizer variables by attribute.
        scalars: The optimizer's other variables by attribute.
        steps: Training steps taken.
        rate: The learning rate; ``None`` where the optimizer has a schedule.
    """

    weights: list[np.ndarray]
    slots: list[dict[str, np.ndarray]]
    scalars: dict[str, float]
    steps: int
    rate: float | None = None

    @classmethod
    def of(cls, view: View) -> Snapshot:
        """Reads a model and its optimizer."""
        optimizer, inner = view.model.optimizer, inner_of(view.model.optimizer)
        weights = [to_numpy(variable) for variable in view.weights]
        slots, scalars = view.optimizer.slots(optimizer), dict(view.optimizer.scalars(optimizer))
        if not optimizer.built:
            shapes = [(weights[number].shape, weights[number].dtype) for number in view.trainable]
            filled = [{name: np.full(shape, value, dtype) for name, value in slots.items()} for shape, dtype in shapes]
            return cls(weights, filled, scalars, 0)
        found = [
            {name: to_numpy(getattr(inner, name)[index]) for name in slots} for index in range(len(view.trainable))
        ]
        scalars = {name: float(to_numpy(_scalar(optimizer, name))) for name in scalars}
        return cls(weights, found, scalars, int(to_numpy(inner._iterations)))

    @classmethod
    def blank(cls, view: View) -> Snapshot:
        """Returns the state of a model whose weights are all zero."""
        weights = [np.zeros(variable.shape, variable.dtype) for variable in view.weights]
        slots = [
            {name: np.zeros_like(weights[number]) for name in view.optimizer.slots(view.model.optimizer)}
            for number in view.trainable
        ]
        return cls(weights, slots, dict.fromkeys(view.optimizer.scalars(view.model.optimizer), 0.0), 0)

    @classmethod
    def read(cls, path: Path, view: View) -> Snapshot:
        """Reads what :meth:`save` wrote of a model like this one."""
        optimizer, count = view.model.optimizer, range(len(view.trainable))
        with np.load(path, allow_pickle=False) as file:

            def array(name: str, variable: Any) -> np.ndarray:
                value = file[name]
                # NumPy's file format does not know bfloat16.
                return np.asarray(value.view(variable.dtype) if value.dtype.kind == "V" else value)

            return cls(
                [array(f"weight {number}", variable) for number, variable in enumerate(view.weights)],
                [
                    {
                        name: array(f"{name} {index}", view.weights[view.trainable[index]])
                        for name in view.optimizer.slots(optimizer)
                    }
                    for index in count
                ],
                {name: float(file[name]) for name in view.optimizer.scalars(optimizer)},
                int(file["steps"]),
                float(file["rate"]) if "rate" in file else None,
            )

    def save(self, path: Path) -> None:
        """Writes it as a file."""
        arrays: dict[str, Any] = {f"weight {number}": value for number, value in enumerate(self.weights)}
        arrays |= {f"{name} {index}": value for index, slots in enumerate(self.slots) for name, value in slots.items()}
        arrays |= {**self.scalars, "steps": self.steps} | ({} if self.rate is None else {"rate": self.rate})
        np.savez(path, **arrays)

    def write(self, view: View) -> None:
        """Sets a model and its optimizer."""
        optimizer, inner = view.model.optimizer, inner_of(view.model.optimizer)
        for variable, value in zip(view.weights, self.weights, strict=True):
            variable.assign(value)
        for step in view.steps:
            if isinstance(step.layer, keras.layers.Normalization):
                step.layer.finalize_state()
        if not optimizer.built:
            optimizer.build(view.model.trainable_variables)
        inner._iterations.assign(self.steps)
        for index, slots in enumerate(self.slots):
            for name, value in slots.items():
                getattr(inner, name)[index].assign(value)
        for name, number in self.scalars.items():
            _scalar(optimizer, name).assign(number)
        if self.rate is not None:
            optimizer.learning_rate = self.rate


def _scalar(optimizer: Any, name: str) -> Any:
    """Returns a variable of an optimizer, or of the one inside."""
    return getattr(optimizer if hasattr(optimizer, name) else inner_of(optimizer), name)


def gather(group: Group, snapshots: Sequence[Snapshot]) -> dict[str, Any]:
    """Returns the state of a program, padded and stacked, as arrays."""
    view = group.view

    def stacked(values: Sequence[np.ndarray], number: int) -> np.ndarray:
        own = [embed(value, axes[number]) for value, axes in zip(values, group.variables, strict=True)]
        return np.stack(group.fill(own))

    weights = [stacked([shot.weights[number] for shot in snapshots], number) for number in range(len(view.weights))]
    slots = [
        {name: stacked([shot.slots[index][name] for shot in snapshots], number) for name in snapshots[0].slots[index]}
        for index, number in enumerate(view.trainable)
    ]
    dtype = weights[view.trainable[0]].dtype
    scalars = {
        name: np.array(group.fill([shot.scalars[name] for shot in snapshots]), dtype) for name in snapshots[0].scalars
    }
    steps = np.array(group.fill([shot.steps for shot in snapshots]), "int32")
    return {"weights": weights, "slots": slots, "scalars": scalars, "steps": steps}


def scatter(group: Group, state: dict[str, Any], places: Sequence[int]) -> list[Snapshot]:
    """Returns the snapshots of members at these places, cut back to their own shapes."""
    return [snapshot_of(group, state, place, place) for place in places]


def weights_of(state: dict[str, Any]) -> dict[str, Any]:
    """Returns a state without what only the optimizer knows."""
    return {**state, "slots": [{} for _ in state["slots"]], "scalars": {}}


def snapshot_of(group: Group, state: dict[str, Any], place: int, member: int, rate: float | None = None) -> Snapshot:
    """Returns the snapshot of a member of the group, whose state is at a place of these arrays."""
    axes = group.variables[member]

    def own(value: Any, number: int) -> np.ndarray:
        return cut(to_numpy(value[place]), axes[number])

    return Snapshot(
        [own(value, number) for number, value in enumerate(state["weights"])],
        [
            {name: own(value, number) for name, value in slots.items()}
            for slots, number in zip(state["slots"], group.view.trainable, strict=True)
        ],
        {name: float(to_numpy(value[place])) for name, value in state["scalars"].items()},
        int(to_numpy(state["steps"][place])),
        rate,
    )
