"""Keeping Python's garbage collector off what stays as long as the process.

TensorFlow and Keras bring a million objects. Each full collection looks through all of them, half a second amid a
search, and the interpreter does so again when it exits, for two seconds more.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

_is_settled = False


@contextlib.contextmanager
def settling() -> Iterator[None]:
    """Imports what the block imports without a collection, and then puts every object there is out of its sight, once.

    What is out of sight and then dropped in a cycle of references is never freed, but for ``gc.unfreeze()``. So nothing
    is put there while a layer of Keras is alive: the weights of models are what is worth freeing.
    """
    global _is_settled
    if _is_settled:
        yield
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
    if "keras" in sys.modules:
        _is_settled = True
        if not _any_layer_is_alive():
            gc.freeze()


def _any_layer_is_alive() -> bool:
    import keras

    return any(issubclass(type(one), keras.layers.Layer) for one in gc.get_objects())
