from __future__ import annotations

import json

import pytest

from kt_suite.distribution.cluster import CHANNEL, TOKEN, Cluster
from kt_suite.errors import InputError

WORKERS = {"worker": ["a:1", "b:2"]}
SERVERS = {"chief": ["c:1"], "worker": ["a:2"], "ps": ["b:3"]}


def cluster(monkeypatch: pytest.MonkeyPatch, addresses: object, kind: str, index: int) -> Cluster:
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": addresses, "task": {"type": kind, "index": index}}))
    found = Cluster.of_environment()
    assert found is not None
    return found


def test_the_first_worker_is_chief_where_none_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster(monkeypatch, WORKERS, "worker", 0).is_chief
    second = cluster(monkeypatch, WORKERS, "worker", 1)
    assert not second.is_chief
    assert second.others == ["worker 1"]


def test_a_chief_is_chief_and_all_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster(monkeypatch, SERVERS, "chief", 0).is_chief
    assert not cluster(monkeypatch, SERVERS, "worker", 0).is_chief
    assert cluster(monkeypatch, SERVERS, "chief", 0).others == ["worker 0", "ps 0"]


def test_the_chief_listens_one_port_above_its_own_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = cluster(monkeypatch, SERVERS, "ps", 0)
    assert found.channel == ("c", 2)
    monkeypatch.setenv(CHANNEL, "d:77")
    assert found.channel == ("d", 77)
    monkeypatch.setenv(CHANNEL, "77")
    with pytest.raises(InputError, match=CHANNEL):
        _ = found.channel


def test_the_processes_of_a_cluster_share_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    chief, server = cluster(monkeypatch, SERVERS, "chief", 0), cluster(monkeypatch, SERVERS, "ps", 0)
    token = chief.token
    assert server.token == token
    assert cluster(monkeypatch, WORKERS, "worker", 0).token != token
    monkeypatch.setenv(TOKEN, "secret")
    assert chief.token != token


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}']
)
def test_a_configuration_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG"):
        Cluster.of_environment()


@pytest.mark.parametrize("text", ["", "{}"])
def test_no_cluster_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    assert Cluster.of_environment() is None
