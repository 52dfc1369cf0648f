"""What the members of one program have in common, and the arrays by which they differ."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.losses import Term
from kt_suite.executors.fused.view import View

Column = tuple[Any, str]


class Group:
    """The layout of a program for some members.

    Args:
        views: The members, of one key.
        terms: Their losses, in the same order.
        before: A group of the same key whose programs are to serve this one too, and so what they allow for.

    Attributes:
        num_places: Places of the program, at least as many as members; those left over are filled with copies of the
            first one.
    """

    def __init__(self, views: Sequence[View], terms: Sequence[list[Term]], before: Group | None = None) -> None:
        self.view = views[0]
        self.num_places = len(views)
        widths = [view.widths for view in views] + ([before.capacities] if before else [])
        self.capacities: list[int | None] = [None if own[0] is None else max(own) for own in zip(*widths, strict=True)]
        layouts = [view.layout(self.capacities) for view in views]
        self.signals: list[dict[int, Axis]] = [signals for signals, _ in layouts]
        self.variables: list[list[list[Axis]]] = [variables for _, variables in layouts]
        self.masked: list[int] = sorted(
            number
            for number in self.signals[0]
            if (before and number in before.masked)
            or any(signals[number].positions is not None for signals in self.signals)
        )
        self._rows = [self._numbers(view, own) for view, own in zip(views, terms, strict=True)]
        self.columns = {name: column for column, name in enumerate(self._rows[0])}
        self.choice_names: dict[Any, tuple[str, ...]] = {
            place: tuple(
                sorted({*(view.choices[place] for view in views), *(before.choice_names[place] if before else ())})
            )
            for place in self.view.choices
        }
        self._choices = [
            [names.index(view.choices[place]) for place, names in self.choice_names.items()] for view in views
        ]
        self.used = frozenset(name for name in self.columns if any(row[name] for row in self._rows))
        self.used |= before.used if before else frozenset()

    def only(self, members: Sequence[int], num_places: int) -> Group:
        """Returns the group of some of the members, of the same programs."""
        group = copy.copy(self)
        for name in ("signals", "variables", "_rows", "_choices"):
            setattr(group, name, [getattr(self, name)[member] for member in members])
        return group.of_size(num_places)

    def of_size(self, num_places: int) -> Group:
        """Returns the group on another number of places."""
        group = copy.copy(self)
        group.num_places = num_places
        return group

    def _numbers(self, view: View, terms: list[Term]) -> dict[Column, float]:
        found: dict[Column, float] = dict(view.numbers)
        found.update(
            {("optimizer", name): value for name, value in view.optimizer.numbers(view.model.optimizer).items()}
        )
        for index, term in enumerate(terms):
            found.update({(("loss", index), name): value for name, value in term.numbers.items()})
        return found

    @property
    def signature(self) -> Any:
        """What a compiled program depends on, beside the skeleton and the data."""
        penalties = frozenset(
            name for name in self.used if name[1] in ("l1", "l2", "activity_l1", "activity_l2", "label_smoothing")
        )
        return (
            self.num_places,
            tuple(self.capacities),
            tuple(self.masked),
            tuple(self.choice_names.items()),
            penalties,
        )

    def fill(self, parts: Sequence[Any]) -> list[Any]:
        """Returns one part a place: those of the members, then copies of the first."""
        return [*parts, *([parts[0]] * (self.num_places - len(parts)))]

    def constants(self, seeds: Sequence[int]) -> dict[str, Any]:
        """Returns the arrays by which members differ, each with a leading axis of places."""
        numbers = np.array([list(row.values()) for row in self._rows])
        masks = {
            str(number): np.stack(self.fill([signals[number].mask for signals in self.signals])).astype(
                keras.config.floatx()
            )
            for number in self.masked
        }
        return {
            "numbers": np.stack(self.fill(list(numbers))).astype(keras.config.floatx()),
            "choices": np.stack(self.fill([np.array(row, "int32") for row in self._choices])),
            "masks": masks,
            "seeds": np.array(self.fill([seed & 0xFFFFFFFF for seed in seeds]), "uint32"),
        }
