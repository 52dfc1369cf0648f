"""Why a model cannot share a program with others."""

from __future__ import annotations

from typing import Any


class Unfusable(Exception):  # noqa: N818 - a verdict, not a fault
    """A model that cannot be fused.

    Args:
        reasons: One sentence each: what stands in the way, and what to change.
    """

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def describe(layer: Any) -> str:
    """Returns ``layer 'name' (Class)``."""
    return f"layer {layer.name!r} ({type(layer).__name__})"
