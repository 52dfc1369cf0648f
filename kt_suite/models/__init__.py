"""Ready hypermodels: ``MLP`` for rows, ``CNN`` for images; loaded when first asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if __name__ == "models":
    raise ImportError(
        "The hypermodels must be imported from kt_suite.models, but got the top-level name 'models'. "
        "Write `from kt_suite.models import ...`: two copies of a class break saving and loading."
    )

if TYPE_CHECKING:
    from kt_suite.models.cnn import CNN
    from kt_suite.models.mlp import MLP

__all__ = ["CNN", "MLP"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.{name.lower()}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
