"""The line between the chief of a cluster and its other processes: what to do next, and who is alive.

Messages are JSON with a length before it, and may carry files. A process that falls silent, or whose connection
breaks, is lost: nobody can go on without it.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import json
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kt_suite.distribution.cluster import CHANNEL, Cluster
from kt_suite.errors import WorkerError, rule

BEAT = 5.0
"""Seconds between signs of life."""
SILENCE = 30.0
"""Seconds without a sign of life after which a process is lost."""
WAIT = 300.0
"""Seconds that processes of one cluster wait for each other at the start."""

_LENGTH = struct.Struct(">II")
_MAX_TEXT = 1 << 26

Files = dict[str, bytes]


class Connection:
    """One end of a connection.

    Args:
        sock: A connected socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._lock = threading.Lock()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(SILENCE)

    def send(self, message: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> None:
        """Sends a message, with files if any. Any thread may."""
        files = files or {}
        text = json.dumps({**message, "files": [[name, len(content)] for name, content in files.items()]}).encode()
        with self._lock:
            self._socket.sendall(_LENGTH.pack(len(text), 0) + text)
            for content in files.values():
                self._socket.sendall(content)

    def receive(self) -> tuple[dict[str, Any], Files]:
        """Returns the next message and its files.

        Raises:
            OSError: The other end is gone, silent, or speaks something else.
        """
        length, version = _LENGTH.unpack(self._read(_LENGTH.size))
        if version != 0 or length > _MAX_TEXT:
            raise ConnectionError("not a message of kt_suite")
        try:
            message = dict(json.loads(self._read(length)))
            return message, {str(name): self._read(int(size)) for name, size in message.pop("files")}
        except (ValueError, TypeError, KeyError) as error:
            raise ConnectionError("not a message of kt_suite") from error

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            part = self._socket.recv(min(size, 1 << 20))
            if not part:
                raise ConnectionError("the connection was closed")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Closes the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Channel:
    """What chief and others have in common: threads that read and that show signs of life.

    Args:
        on_lost: Called once, in a thread of the channel, with why nobody can go on.
    """

    def __init__(self, on_lost: Callable[[str], None]) -> None:
        self.lost: str | None = None
        self._on_lost = on_lost
        self._connections: dict[str, Connection] = {}
        self._inbox: queue.Queue[tuple[str, dict[str, Any], Files] | None] = queue.Queue()
        self._is_over = threading.Event()
        self._is_lost = threading.Event()
        self._lock = threading.Lock()
        self._at_work: tuple[str, int] | None = None

    def _start(self) -> None:
        for name, connection in self._connections.items():
            threading.Thread(target=self._listen, args=(name, connection), daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    def _listen(self, name: str, connection: Connection) -> None:
        try:
            while True:
                message, files = connection.receive()
                if message.get("kind") != "alive":
                    self._heed(name, message)
                    self._inbox.put((name, message, files))
        except OSError as error:
            why = "showed no sign of life" if isinstance(error, TimeoutError) else "is gone"
            self.fail(f"The process {name!r} of the cluster {why}.")

    def _heed(self, name: str, message: dict[str, Any]) -> None:
        """Looks at a message as soon as it comes, whatever the main thread is waiting for."""

    @contextlib.contextmanager
    def attempt(self, trial_id: str, attempt: int) -> Iterator[None]:
        """Notes that this process trains an attempt, and cannot go on alone."""
        self._at_work = (trial_id, attempt)
        try:
            yield
        finally:
            self._at_work = None

    def settle(self) -> None:
        """Waits a moment after a failure for the news that a lost process has caused it.

        Raises:
            WorkerError: So it was.
        """
        self._is_lost.wait(1.0)
        self.check()

    def _beat(self) -> None:
        while not self._is_over.wait(BEAT):
            for connection in self._connections.values():
                with contextlib.suppress(OSError):  # the reader notices
                    connection.send({"kind": "alive"})

    def fail(self, why: str) -> None:
        """Notes that nobody can go on, and why."""
        with self._lock:
            if self._is_over.is_set() or self.lost is not None:
                return
            self.lost = why
        self._is_lost.set()
        self._inbox.put(None)
        self._on_lost(why)

    def check(self) -> None:
        """Raises ``WorkerError`` if nobody can go on."""
        if self.lost is not None:
            raise WorkerError(f"{self.lost} The search must go on with all of them: start all again to resume it.")

    def receive(self, timeout: float | None = None) -> tuple[str, dict[str, Any], Files] | None:
        """Returns who sent the next message, the message and its files; ``None`` when time is up.

        Raises:
            WorkerError: Nobody can go on.
        """
        self.check()
        try:
            found = self._inbox.get(timeout=timeout)
        except queue.Empty:
            return None
        self.check()
        return found

    def send(self, message: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> None:
        """Sends a message to all at the other end.

        Raises:
            WorkerError: Nobody can go on.
        """
        self.check()
        for name, connection in self._connections.items():
            try:
                connection.send(message, files)
            except OSError:
                self.fail(f"The process {name!r} of the cluster is gone.")
                self.check()

    def close(self) -> None:
        """Closes all connections; nobody is lost by that."""
        self._is_over.set()
        for connection in self._connections.values():
            connection.close()


class ChiefChannel(Channel):
    """The chief's end: waits until all others have come.

    Args:
        cluster: The cluster.
        on_lost: Called once, in a thread of the channel, with why nobody can go on.
        grace: Seconds that processes may take longer than another to end the same attempt.

    Raises:
        WorkerError: The address cannot be listened at, or a process does not come.
    """

    def __init__(self, cluster: Cluster, on_lost: Callable[[str], None], *, grace: float) -> None:
        super().__init__(on_lost)
        self._grace = grace
        host, port = cluster.channel
        missing = set(cluster.others)
        deadline = time.monotonic() + WAIT
        with _listener(host, port) as listener:
            while missing:
                listener.settimeout(max(0.1, deadline - time.monotonic()))
                try:
                    sock, _ = listener.accept()
                except TimeoutError as error:
                    self.close()
                    must = "come to the search"
                    raise WorkerError(
                        rule("All processes of the cluster", must, f"none from {sorted(missing)}")
                    ) from error
                name = self._admit(sock, cluster.token, missing)
                missing.discard(name or "")
        self._start()
        self.send({"kind": "welcome"})

    def _admit(self, sock: socket.socket, token: str, missing: set[str]) -> str | None:
        connection = Connection(sock)
        try:
            message, _ = connection.receive()
        except OSError:
            message = {}
        name = str(message.get("name"))
        if name in missing and hmac.compare_digest(str(message.get("token")), token):
            self._connections[name] = connection
            return name
        connection.close()
        return None

    def _heed(self, name: str, message: dict[str, Any]) -> None:
        key = (message.get("trial_id"), message.get("attempt"))
        if message.get("kind") != "ended" or message.get("error") is None or key != self._at_work:
            return

        def give_up() -> None:
            if key == self._at_work:
                self.fail(f"The process {name!r} of the cluster failed alone: {message['error']}")

        # The same mistake may be about to come up here.
        timer = threading.Timer(self._grace, give_up)
        timer.daemon = True
        timer.start()

    def gather(self, trial_id: str, attempt: int, timeout: float | None = None) -> list[str]:
        """Waits until all have ended an attempt; returns the tracebacks of those in which it failed.

        Args:
            trial_id: The trial.
            attempt: The attempt.
            timeout: Seconds after which a process is held to be stuck, where this one has left it alone; ``None`` for
                none.

        Raises:
            WorkerError: A process is lost, or stuck.
        """
        missing, errors = set(self._connections), []
        deadline = None if timeout is None else time.monotonic() + timeout
        while missing:
            received = self.receive(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if received is None:
                self.fail(f"The processes {sorted(missing)} of the cluster are stuck in trial {trial_id}.")
                self.check()
                continue
            name, message, _ = received
            if message.get("kind") == "ended" and (message.get("trial_id"), message.get("attempt")) == (
                trial_id,
                attempt,
            ):
                missing.discard(name)
                errors += [f"In the process {name!r}:\n{message['error']}"] if message.get("error") else []
        return errors

    def end(self) -> None:
        """Tells all that the search is over; if a process is lost, leaves them to find this one gone."""
        self._is_over.set()
        for connection in self._connections.values() if self.lost is None else ():
            with contextlib.suppress(OSError):
                connection.send({"kind": "end"})
        self.close()


class OtherChannel(Channel):
    """The end of a process that is not the chief.

    Args:
        cluster: The cluster.
        on_lost: Called once, in a thread of the channel, with why nobody can go on.

    Raises:
        WorkerError: The chief is not there.
    """

    def __init__(self, cluster: Cluster, on_lost: Callable[[str], None]) -> None:
        super().__init__(on_lost)
        address = cluster.channel
        chief = "{} {}".format(*cluster.chief)
        deadline = time.monotonic() + WAIT
        while True:
            try:
                connection = Connection(socket.create_connection(address, timeout=5))
                connection.send({"kind": "hello", "name": cluster.name, "token": cluster.token})
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    where = "{}:{}".format(*address)
                    remedy = f"Its port is one above that of TF_CONFIG, or set {CHANNEL}=host:port in all processes."
                    raise WorkerError(
                        rule(f"{chief!r} of the cluster", f"listen at {where}", str(error), remedy)
                    ) from error
                time.sleep(0.5)
        self._connections[chief] = connection
        self._start()
        if (first := self.receive(WAIT)) is None or first[1].get("kind") != "welcome":
            self.close()
            raise WorkerError(rule(f"{chief!r} of the cluster", "welcome this process", first and first[1]))

    def _heed(self, name: str, message: dict[str, Any]) -> None:
        if message.get("kind") == "end":
            if self._at_work is not None:
                self.fail("The chief has ended the search in mid-trial.")
            self._is_over.set()


def _listener(host: str, port: int) -> socket.socket:
    for name in (host, ""):  # a cluster's name for a host may not be one that the host itself can listen at
        try:
            return socket.create_server((name, port))
        except OSError as error:
            refused = error
            if error.errno == errno.EADDRINUSE or name == "":
                break
    remedy = f"Set {CHANNEL}=host:port in all processes."
    raise WorkerError(rule("The chief", f"be able to listen at {host}:{port}", str(refused), remedy)) from refused
