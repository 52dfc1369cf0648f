from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from kt_suite.executors import TrialSpec
from kt_suite.executors.remote import Courier, Mailbox, read_files, sees, write_files


class FakeTrial:
    trial_id = "0007"


def spec_of(**fields: Any) -> TrialSpec:
    return TrialSpec(FakeTrial(), 1, "elsewhere", **fields)


def courier_at_work(own: Any, parents: Any, **fields: Any) -> tuple[Courier, Mailbox, TrialSpec]:
    """Returns a courier that has taken an attempt, its line, and the attempt as the worker sees it."""
    mailbox = Mailbox()
    mailbox.post(("run", cloudpickle.dumps(spec_of(**fields)), own, parents))
    courier = Courier(mailbox)
    kind, content = courier.recv()
    assert kind == "run"
    return courier, mailbox, cloudpickle.loads(content)


def test_a_mailbox_keeps_order_in_both_directions_and_waits_no_longer_than_told() -> None:
    mailbox = Mailbox()
    assert not mailbox.poll()
    assert mailbox.collect(0.0) is None
    for number in range(3):
        mailbox.post(("to the worker", number))
        mailbox.send(("to the driver", number))
    assert mailbox.poll()
    assert [mailbox.recv()[1] for _ in range(3)] == [0, 1, 2]
    assert [mailbox.collect(0.0) for _ in range(3)] == [("to the driver", number) for number in range(3)]


def test_an_attempt_finds_what_it_goes_on_from() -> None:
    _, _, spec = courier_at_work({"progress_0.json": b"own"}, {"state": b"parent's"}, parent_directory="there")
    assert Path(spec.directory, "progress_0.json").read_bytes() == b"own"
    assert spec.parent_directory is not None
    assert Path(spec.parent_directory, "state").read_bytes() == b"parent's"


def test_what_an_attempt_writes_travels_once_and_what_it_deletes_goes() -> None:
    courier, mailbox, spec = courier_at_work({"old": b"1"}, {})
    directory = Path(spec.directory)
    (directory / "new").write_bytes(b"2")
    (directory / "old").unlink()
    courier.send(("report", "0007", "metrics"))
    assert mailbox.collect(0.0) == ("report", "0007", "metrics", {"new": b"2", "old": None})
    courier.send(("report", "0007", "metrics"))
    assert mailbox.collect(0.0) == ("report", "0007", "metrics", {})
    (directory / "new").write_bytes(b"33")
    courier.send(("event", "end", 0))
    assert mailbox.collect(0.0) == ("event", "end", 0, {"new": b"33"})
    assert not directory.exists()


def test_other_messages_pass_as_they_are() -> None:
    mailbox = Mailbox()
    courier = Courier(mailbox)
    mailbox.post(("stop",))
    assert courier.poll()
    assert courier.recv() == ("stop",)
    courier.send(("ready",))
    assert mailbox.collect(0.0) == ("ready",)


def test_files_are_written_in_one_step_each_and_those_that_name_others_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr("os.replace", lambda source, target: (order.append(Path(target).name), None)[1])
    write_files(tmp_path, {"progress_0.json": b"", "zz.npz": b"", "aa.h5": b""})
    assert order == ["aa.h5", "zz.npz", "progress_0.json"]


def test_files_never_leave_their_directory(tmp_path: Path) -> None:
    write_files(tmp_path / "inside", {"../outside": b"x"})
    assert not (tmp_path / "outside").exists()
    assert read_files(str(tmp_path / "inside")) == {"outside": b"x"}
    assert read_files(None) == {}


def test_a_directory_is_seen_by_the_content_of_its_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    assert not sees(str(token), "a")
    token.write_text("a")
    assert sees(str(token), "a")
    assert not sees(str(token), "b")


def test_the_attempt_keeps_all_but_its_directories() -> None:
    _, _, spec = courier_at_work({}, {}, keeps_state=True)
    assert dataclasses.replace(spec, trial=None, directory="") == TrialSpec(None, 1, "", keeps_state=True)
