"""Event files for TensorBoard, written by the calling thread and without TensorFlow."""

from __future__ import annotations

import itertools
import os
import re
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tensorboard.compat.proto import event_pb2, summary_pb2, types_pb2
from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util

SUFFIX = ".kt_suite"
"""Ends the name of every file written here: callbacks of the user may write into the same directory."""

_PREFIX = "events.out.tfevents."
_FORMAT = "brain.Event:2"
_file_numbers = itertools.count()


class EventWriter:
    """One event file of one run.

    The file appears at once. Whatever :meth:`scalars`, :meth:`text` or :meth:`value` has written is in the
    hands of the operating system when the call returns, so that a running TensorBoard sees it and a killed
    process loses nothing. A record is a TFRecord: length, masked CRC-32C of the length, an ``Event``
    protobuf, masked CRC-32C of that.

    Unlike ``tensorboard.summary.writer.EventFileWriter`` it starts no thread and does not import TensorFlow;
    local directories only.

    Args:
        directory: The run's directory; made if missing.

    Example:
        >>> import tempfile
        >>> with EventWriter(tempfile.mkdtemp()) as writer:
        ...     writer.scalars({"loss/train": 0.25}, step=0)
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        now = time.time()
        # TensorBoard reads files in the order of their names. Host and process keep those of several apart.
        host = re.sub(r"[^\w.-]", "_", socket.gethostname())
        name = f"{_PREFIX}{now:017.6f}.{host}.{os.getpid()}.{next(_file_numbers)}{SUFFIX}"
        self._file = open(self.directory / name, "xb")  # noqa: SIM115 - until close()
        self._records = RecordWriter(self._file)
        self._write(event_pb2.Event(wall_time=now, file_version=_FORMAT))

    def scalars(self, values: Mapping[str, float], *, step: int, wall_time: float | None = None) -> None:
        """Writes scalars of one step, by tag. ``wall_time`` is in seconds since 1970; ``None`` is now."""
        summary = summary_pb2.Summary()
        for tag, value in values.items():
            summary.value.add(tag=utf8(tag), simple_value=float(value))
        self._write(event_pb2.Event(wall_time=wall_time or time.time(), step=step, summary=summary))

    def text(self, tag: str, markdown: str, *, step: int = 0, wall_time: float | None = None) -> None:
        """Writes a text, which TensorBoard shows as Markdown."""
        tensor = tensor_util.make_tensor_proto(utf8(markdown), dtype=types_pb2.DT_STRING)
        metadata = text_metadata.create_summary_metadata(display_name="", description="")
        value = summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
        self.value(value, step=step, wall_time=wall_time)

    def value(self, value: Any, *, step: int = 0, wall_time: float | None = None) -> None:
        """Writes a ready ``Summary.Value``."""
        summary = summary_pb2.Summary(value=[value])
        self._write(event_pb2.Event(wall_time=wall_time or time.time(), step=step, summary=summary))

    def close(self) -> None:
        """Closes the file; again does no harm."""
        self._file.close()

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, event: event_pb2.Event) -> None:
        self._records.write(event.SerializeToString())
        self._records.flush()


def event_files(directory: Path) -> list[Path]:
    """Returns the files that :class:`EventWriter` has written in a directory, oldest first."""
    return sorted(directory.glob(f"{_PREFIX}*{SUFFIX}"))


def read_events(path: Path) -> Iterator[event_pb2.Event]:
    """Yields the events of a file written by :class:`EventWriter`, up to a record torn off by a crash."""
    with open(path, "rb") as file:
        while len(header := file.read(12)) == 12:
            (length,) = struct.unpack("<Q", header[:8])
            record = file.read(length + 4)
            if len(record) < length + 4:
                return
            yield event_pb2.Event.FromString(record[:length])


def utf8(value: object) -> str:
    """Returns a value as a text that protobuf takes: lone surrogates, as in odd file names, become "?"."""
    return str(value).encode("utf-8", "replace").decode("utf-8")
