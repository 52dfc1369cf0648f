"""Keeping TensorFlow's chatter off a terminal."""

from __future__ import annotations

import os
import sys
import tempfile

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_tensorflow() -> None:
    """Imports TensorFlow, Keras and KerasTuner without their lines on standard error.

    TensorFlow 2.21 writes some lines before it looks at its own log level, so standard error is kept aside
    while it is imported, and shown if that fails. With a level that the user has set, nothing is hidden.
    """
    if _LEVEL in os.environ:
        import keras_tuner

        return
    os.environ[_LEVEL] = "3"
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            import keras_tuner  # noqa: F401
        except BaseException:
            os.dup2(kept, 2)
            aside.seek(0)
            os.write(2, aside.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
