"""What kt_suite ships, by name: the subjects on which its own tests run the contracts."""

from __future__ import annotations

import importlib
import inspect
from typing import Any


def oracles() -> dict[str, Any]:
    """Returns the oracle classes of kt_suite that propose trials by an algorithm."""
    from kt_suite.oracles import Oracle

    return {name: kind for name, kind in _exported("kt_suite.oracles", Oracle).items() if kind is not Oracle}


def hypermodels() -> dict[str, Any]:
    """Returns the hypermodels that are ready to be used."""
    from kt_suite.hypermodel import HyperModel

    return _exported("kt_suite.models", HyperModel)


def executors() -> dict[str, Any]:
    """Returns the executor classes by the words that choose them."""
    from kt_suite.executors import Executor

    kinds = _exported("kt_suite.executors", Executor).values()
    return {kind.name: kind for kind in kinds if not inspect.isabstract(kind)}


def storages() -> dict[str, Any]:
    """Returns the classes that keep a search on disk."""
    from kt_suite.storage import Storage

    return _exported("kt_suite.storage", Storage)


def _exported(module_name: str, base: type) -> dict[str, Any]:
    """Returns the classes among a module's public names that derive from ``base``, and are kt_suite's own."""
    module = importlib.import_module(module_name)
    found = {name: getattr(module, name) for name in module.__all__}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, type) and issubclass(value, base) and value.__module__.startswith("kt_suite.")
    }
