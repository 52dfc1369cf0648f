"""What runs in a worker on another machine: reached by calls, and sending home what its attempts write."""

from __future__ import annotations

import dataclasses
import os
import queue
import shutil
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cloudpickle

from kt_suite.executors.worker import leave_with, serve

# Content by file name, relative to the directory of an attempt; ``None`` for a file that is gone.
Files = dict[str, "bytes | None"]

_COLLECT_SECONDS = 10.0


class Mailbox:
    """Works like the worker's end of a pipe, whose other end is read and written by calls."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()

    def send(self, message: tuple[Any, ...]) -> None:
        """Leaves a message to be collected."""
        self._outbox.put(message)

    def recv(self) -> tuple[Any, ...]:
        """Returns the next message that was posted, waiting for it."""
        return self._inbox.get()

    def poll(self) -> bool:
        """Whether a message waits."""
        return not self._inbox.empty()

    def post(self, message: tuple[Any, ...]) -> None:
        """Sends a message from the driver to the worker."""
        self._inbox.put(message)

    def collect(self, timeout: float) -> tuple[Any, ...] | None:
        """Returns the next message of the worker, or ``None`` if there is none within ``timeout`` seconds."""
        try:
            return self._outbox.get(timeout=timeout)
        except queue.Empty:
            return None


class Courier:
    """A line to the driver for a worker that does not see the project directory.

    Attempts write into a directory of this machine. With every report and at the end, what is new in it goes to the
    driver; what an attempt goes on from comes with it.

    Args:
        line: The line, with ``send``, ``recv`` and ``poll``.
    """

    def __init__(self, line: Any) -> None:
        self._line = line
        self._home: Path | None = None
        self._seen: dict[str, tuple[int, int]] = {}

    def poll(self) -> bool:
        """Whether a message waits."""
        return bool(self._line.poll())

    def recv(self) -> tuple[Any, ...]:
        """Returns the next message; an attempt has been given directories of this machine."""
        kind, *rest = self._line.recv()
        if kind != "run":
            return (kind, *rest)
        content, own, parents = rest
        self._home = Path(tempfile.mkdtemp(prefix="kt-suite-"))
        spec = cloudpickle.loads(content)  # written by our own driver
        write_files(self._home / "own", own)
        spec = dataclasses.replace(spec, directory=str(self._home / "own"))
        if spec.parent_directory is not None:
            write_files(self._home / "parent", parents)
            spec = dataclasses.replace(spec, parent_directory=str(self._home / "parent"))
        self._seen = _stamps(self._home / "own")
        return ("run", cloudpickle.dumps(spec))

    def send(self, message: tuple[Any, ...]) -> None:
        """Sends a message, with what is new in the directory of the attempt."""
        if self._home is None:
            self._line.send(message)
            return
        self._line.send((*message, self._news(self._home / "own")))
        if message[0] == "event":
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def _news(self, directory: Path) -> Files:
        before, self._seen = self._seen, _stamps(directory)
        news: Files = dict.fromkeys(before.keys() - self._seen.keys())
        for name, stamp in self._seen.items():
            if before.get(name) != stamp:
                news[name] = (directory / name).read_bytes()
        return news


class RemoteWorker:
    """Trains attempts in a thread of its own, while a driver posts messages to it and collects those that it sends.

    Args:
        load: Returns the shipped tuner; called once ``search_path`` can be imported from.
        place: Name of the machine, for the driver.
        search_path: Where the driver imports modules from; what this process lacks is added.
        folder: Where the driver runs; also this process, if it exists here.
        threads: Threads that TensorFlow may use.
        token: A file in the project directory and its content, by which a worker that sees that directory is known.
    """

    def __init__(
        self,
        load: Callable[[], Any],
        *,
        place: str,
        search_path: list[str],
        folder: str | None,
        threads: int,
        token: tuple[str, str],
    ) -> None:
        leave_with(os.getppid())  # Ray leaves workers alone whose own part of it has died
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(threads)
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # others may share the GPU
        sys.path.extend(path for path in search_path if path not in sys.path)
        if folder is not None and os.path.isdir(folder):
            os.chdir(folder)
        self._mailbox = Mailbox()
        is_shared = sees(*token)
        self._mailbox.send(("place", place, is_shared))
        line = self._mailbox if is_shared else Courier(self._mailbox)
        threading.Thread(target=self._serve, args=(line, load()), daemon=True).start()

    def _serve(self, line: Any, runner: Any) -> None:
        try:
            serve(line, runner)
        except BaseException:  # SystemExit in a user's code, say: the worker is lost, and nobody waits for it
            traceback.print_exc()
        os._exit(1)

    def post(self, *message: Any) -> None:
        """Takes a message from the driver."""
        self._mailbox.post(message)

    def collect(self) -> tuple[Any, ...] | None:
        """Returns the next message to the driver; ``None`` if there is none for a while."""
        return self._mailbox.collect(_COLLECT_SECONDS)


def sees(path: str, content: str) -> bool:
    """Whether a file is here and has a certain content."""
    try:
        return Path(path).read_text(encoding="utf-8") == content
    except OSError:
        return False


def read_files(directory: str | None) -> Files:
    """Returns the files of an attempt, to be sent away."""
    return {} if directory is None else {path.name: path.read_bytes() for path in _files(Path(directory))}


def write_files(directory: Path, files: Mapping[str, bytes | None]) -> None:
    """Writes files that were sent, each in one step, those that name others last."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: (name.endswith(".json"), name)):
        path, content = directory / Path(name).name, files[name]
        if content is None:
            path.unlink(missing_ok=True)
            continue
        draft = path.with_name(f"{path.name}.new")
        draft.write_bytes(content)
        os.replace(draft, path)


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in sorted(directory.iterdir()) if path.is_file())


def _stamps(directory: Path) -> dict[str, tuple[int, int]]:
    found = ((path.name, path.stat()) for path in _files(directory))
    return {name: (stat.st_mtime_ns, stat.st_size) for name, stat in found}
