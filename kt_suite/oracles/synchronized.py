"""KerasTuner's decorator for methods of oracles, with a lock that is given back whatever happens."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def synchronized(method: Callable[..., Any]) -> Callable[..., Any]:
    """Has a method of an oracle exclude the others so decorated; overriding a decorated method is fine.

    Args:
        method: ``create_trial``, ``update_trial``, ``end_trial`` or the like.
    """

    @functools.wraps(method)
    def locked(oracle: Any, *args: Any, **kwargs: Any) -> Any:
        with oracle._lock:
            return method(oracle, *args, **kwargs)

    return locked
