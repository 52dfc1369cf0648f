"""Keeping TensorFlow's chatter off a terminal."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator

from kt_suite.collector import settling

_LEVEL, _SILENT = "TF_CPP_MIN_LOG_LEVEL", "3"


def import_tensorflow() -> None:
    """Imports TensorFlow, Keras and KerasTuner without their lines on standard error.

    A user who has set a log level to see more sees everything.
    """
    is_silent = os.environ.setdefault(_LEVEL, _SILENT) == _SILENT
    with settling(), _standard_error_held_back() if is_silent else contextlib.nullcontext():
        importlib.import_module("keras_tuner")


@contextlib.contextmanager
def _standard_error_held_back() -> Iterator[None]:
    """Shows what is written to standard error only if there is an exception.

    TensorFlow 2.21 writes some lines before it looks at its own log level, and not by way of ``sys.stderr``.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
