from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from kt_suite.distribution import channel as module
from kt_suite.distribution.channel import ChiefChannel, Connection, OtherChannel
from kt_suite.distribution.cluster import CHANNEL, Cluster
from kt_suite.errors import WorkerError

ADDRESSES = {"worker": ("127.0.0.1:1", "127.0.0.1:2")}


@pytest.fixture
def clusters(monkeypatch: pytest.MonkeyPatch) -> tuple[Cluster, Cluster]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv(CHANNEL, f"127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setattr(module, "WAIT", 20.0)
    return Cluster(ADDRESSES, "worker", 0), Cluster(ADDRESSES, "worker", 1)


class Ends:
    """Both ends of a channel, and what they were told of losses."""

    def __init__(self, chief_of: Cluster, other_of: Cluster, grace: float = 5.0) -> None:
        self.losses: dict[str, threading.Event] = {"chief": threading.Event(), "other": threading.Event()}
        made: list[OtherChannel] = []
        joining = threading.Thread(
            target=lambda: made.append(OtherChannel(other_of, lambda why: self.losses["other"].set()))
        )
        joining.start()
        self.chief = ChiefChannel(chief_of, lambda why: self.losses["chief"].set(), grace=grace)
        joining.join()
        self.other = made[0]

    def close(self) -> None:
        self.chief.close()
        self.other.close()


@pytest.fixture
def ends(clusters: tuple[Cluster, Cluster]) -> Iterator[Ends]:
    both = Ends(*clusters)
    yield both
    both.close()


def test_messages_arrive_in_order_with_their_files(ends: Ends) -> None:
    ends.chief.send({"kind": "run", "number": 1}, {"a": b"x" * 3_000_000, "b": b""})
    ends.chief.send({"kind": "decision"})
    assert ends.other.receive(10) == ("worker 0", {"kind": "run", "number": 1}, {"a": b"x" * 3_000_000, "b": b""})
    assert ends.other.receive(10) == ("worker 0", {"kind": "decision"}, {})
    assert ends.other.receive(0.01) is None


def test_a_process_that_dies_is_noticed_by_the_chief(ends: Ends) -> None:
    ends.other._connections["worker 0"].close()
    assert ends.losses["chief"].wait(10)
    with pytest.raises(WorkerError, match=r"'worker 1' of the cluster is gone.*resume"):
        ends.chief.receive(10)


def test_a_chief_that_dies_is_noticed_by_the_others(ends: Ends) -> None:
    ends.chief._connections["worker 1"].close()
    assert ends.losses["other"].wait(10)
    with pytest.raises(WorkerError, match="'worker 0' of the cluster is gone"):
        ends.other.receive(10)


def test_the_end_of_a_search_is_no_loss(ends: Ends) -> None:
    ends.chief.end()
    received = ends.other.receive(10)
    assert received is not None
    assert received[1] == {"kind": "end"}
    assert not ends.losses["other"].wait(0.3)
    ends.other.check()


def test_a_search_that_lost_a_process_does_not_end_well_for_the_others(ends: Ends) -> None:
    ends.chief.fail("The process 'worker 2' of the cluster is gone.")
    ends.chief.end()
    assert ends.losses["other"].wait(10)
    with pytest.raises(WorkerError, match="'worker 0' of the cluster is gone"):
        ends.other.check()


def test_an_end_in_mid_trial_is_an_error(ends: Ends) -> None:
    with ends.other.attempt("0001", 1):
        ends.chief.end()
        assert ends.losses["other"].wait(10)
    with pytest.raises(WorkerError, match="mid-trial"):
        ends.other.check()


def test_what_others_say_of_an_attempt_is_gathered(ends: Ends) -> None:
    ends.other.send({"kind": "ended", "trial_id": "0001", "attempt": 1, "error": "old"})
    ends.other.send({"kind": "ended", "trial_id": "0001", "attempt": 2, "error": "Traceback"})
    assert ends.chief.gather("0001", 2) == ["In the process 'worker 1':\nTraceback"]


def test_a_process_that_is_stuck_is_an_error(ends: Ends) -> None:
    with pytest.raises(WorkerError, match="stuck in trial 0001"):
        ends.chief.gather("0001", 1, timeout=0.1)


def test_a_process_that_fails_alone_ends_the_attempt_of_the_chief(clusters: tuple[Cluster, Cluster]) -> None:
    ends = Ends(*clusters, grace=0.1)
    with ends.chief.attempt("0001", 1):
        ends.other.send({"kind": "ended", "trial_id": "0001", "attempt": 1, "error": "no memory"})
        assert ends.losses["chief"].wait(10)
    with pytest.raises(WorkerError, match="failed alone: no memory"):
        ends.chief.check()
    ends.close()


def test_strangers_are_sent_away(clusters: tuple[Cluster, Cluster]) -> None:
    chief_of, other_of = clusters
    address = chief_of.channel

    def intrude() -> None:
        for hello in ({"name": "worker 1", "token": "wrong"}, {"name": "worker 7", "token": chief_of.token}):
            while True:
                try:
                    stranger = Connection(socket.create_connection(address, timeout=5))
                    break
                except OSError:
                    continue
            stranger.send({"kind": "hello", **hello})
            with pytest.raises(OSError):
                stranger.receive()
            refused.append(hello)
            stranger.close()

    refused: list[object] = []
    made: list[ChiefChannel] = []
    listening = threading.Thread(target=lambda: made.append(ChiefChannel(chief_of, lambda why: None, grace=1)))
    listening.start()
    intrude()
    other = OtherChannel(other_of, lambda why: None)
    listening.join()
    assert len(refused) == 2
    made[0].close()
    other.close()


def test_what_is_no_message_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    connection = Connection(ours)
    theirs.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ConnectionError, match="not a message"):
        connection.receive()
    connection.close()
    theirs.close()
