"""Training spread over devices and machines: names of ``tf.distribute`` strategies, and a training loop for those
that Keras's ``fit`` cannot serve.

    with tf.distribute.MultiWorkerMirroredStrategy().scope():
        model = build()
    kt_suite.distribution.fit(model, x, y, epochs=5)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kt_suite.distribution.distribution import Distribution
    from kt_suite.distribution.loop import evaluate, fit
    from kt_suite.distribution.strategies import make_strategy, make_virtual_devices

_HOMES = {
    "Distribution": "distribution",
    "evaluate": "loop",
    "fit": "loop",
    "make_strategy": "strategies",
    "make_virtual_devices": "strategies",
}

__all__ = ["Distribution", "evaluate", "fit", "make_strategy", "make_virtual_devices"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"kt_suite.distribution.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'kt_suite.distribution' has no attribute {name!r}")
