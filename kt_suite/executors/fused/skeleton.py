"""What must be equal for runs to share a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kt_suite.executors.fused.unfusable import Unfusable
from kt_suite.executors.fused.view import view_of


@dataclass(frozen=True)
class Skeleton:
    """Hashable; equal for two models exactly if they can share a program.

    Attributes:
        key: What must be equal: layers, connections, exact shapes, loss, metrics, optimizer class, precision.
        widths: The sizes that padding makes equal, in the order of the layers: not part of the comparison.
    """

    key: Any
    widths: tuple[int, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Skeleton) and bool(self.key == other.key)

    def __hash__(self) -> int:
        return hash(self.key)


def skeleton(model: Any) -> Skeleton:
    """Returns the skeleton of a built and compiled model.

    Raises:
        Unfusable: There is no rule for some part of it; its ``reasons`` say what to change.
    """
    view = view_of(model)
    return Skeleton(view.key, tuple(width for width in view.widths if width is not None))


__all__ = ["Skeleton", "Unfusable", "skeleton"]
