"""Building Keras models without making the variables that a stack makes anyway."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras

_HOOK = "_initialize_with_initializer"


@contextlib.contextmanager
def variables_later() -> Iterator[list[Any]]:
    """Has models be built with variables that hold nothing yet: they compute their initial value when asked for it.

    A model of a search costs as much to build as to train in a stack, and most of that goes into variables that only
    the best trials ever need. Setting one, as ``load_weights`` does, makes it.

    Yields:
        The variables that were put off.
    """
    kind = keras.Variable
    put_off: list[Any] = []
    if not hasattr(kind, _HOOK):  # another Keras: build as ever
        yield put_off
        return

    def remember(variable: Any, initializer: Callable[..., Any]) -> None:
        def make_and_assign(value: Any) -> Any:
            make_variables([variable])
            return variable._direct_assign(value)

        variable._initializer, variable._value = initializer, None
        vars(variable)["_direct_assign"] = make_and_assign
        put_off.append(variable)

    original = kind.__dict__.get(_HOOK)
    setattr(kind, _HOOK, remember)
    try:
        yield put_off
    finally:
        if original is None:
            delattr(kind, _HOOK)
        else:
            setattr(kind, _HOOK, original)


def make_variables(put_off: list[Any]) -> None:
    """Makes the variables that :func:`variables_later` has put off, with their initial values."""
    while put_off:
        variable = put_off.pop()
        vars(variable).pop("_direct_assign", None)
        if variable._value is None:
            variable._deferred_initialize()
