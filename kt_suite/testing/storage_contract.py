# ruff: noqa: S101 - these are tests
"""The contract of storages."""

from __future__ import annotations

import contextlib
import math
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kt_suite.errors import KTSuiteError, ProjectError, StorageError
from kt_suite.testing.contract import Contract
from kt_suite.testing.write_loop import WRITES_PER_TRIAL, writes
from kt_suite.trial import Report, RunRecord, TrialRecord, TrialStatus

ODD_VALUES: dict[str, Any] = {
    "none": None,
    "flags": (True, False),
    "nested": ((1, 2.5), (None, "x")),
    "empty": (),
    "one": 1,
    "one_as_float": 1.0,
    "huge": 2**70,
    "nan": math.nan,
    "infinite": -math.inf,
    "größe 🙂 \"'\\": "naïve\n\x00'); DROP TABLE trial; --",
}


class StorageContract(Contract):
    """What a storage must keep to, so that a search can be killed at any instant and looked at while it runs.

    A subclass supplies the fixture ``storage_class``: a class with the public methods of ``kt_suite.storage.Storage``,
    which a process can import by its module and name.

    Attributes:
        num_kills: How often the test kills a process that writes.
    """

    num_kills = 6

    def test_records_come_back_as_they_were(self, storage_class: Any, tmp_path: Path) -> None:
        """Tuples stay tuples, None stays None, NaN and infinities and any text survive."""
        full = TrialRecord(
            "0000", 0, TrialStatus.PRUNED, dict(ODD_VALUES), used=["one", "none"], score=0.5, score_std=0.1
        )
        full.best_epoch, full.metrics, full.seed = 3, {"loss": math.nan, "größe": 1.0}, 2**31 - 1
        full.budget, full.initial_epoch = 9, 3
        full.rung, full.bracket, full.parent, full.fidelity, full.slot, full.attempt = 2, 1, "0000", 1 / 3, "tuner0", 4
        full.message, full.started, full.ended, full.epochs = "Zeile 1\nπ = 3", 1.5, 2.5, 7
        full.runs = [RunRecord(0, 1, 0.25, 2, {"loss": math.inf}, 1, "a", 0, 0.5), RunRecord(1, 2)]
        bare = TrialRecord("0001", 1)
        storage = storage_class.create(tmp_path, {})
        for trial in (full, bare):
            storage.write_attempt("begin", trial, {})
        storage.write_attempt("end", full, {})
        storage.close()
        assert repr(storage_class.open(tmp_path).trials()) == repr([full, bare])

    def test_another_attempt_takes_the_place_of_the_last(self, storage_class: Any, tmp_path: Path) -> None:
        """A trial that starts again is one trial still; the curves of all its attempts are kept apart."""
        storage = storage_class.create(tmp_path, {})
        for attempt in (1, 2):
            trial = TrialRecord("0000", 0, attempt=attempt, runs=[RunRecord(run, run) for run in range(attempt)])
            storage.write_attempt("begin", trial, {})
            for run, epoch in ((1, 0), (0, 1), (0, 0)):
                storage.add_report(
                    "0000", Report(run, epoch, {"loss": attempt + epoch / 10, "nan": math.nan}, 7.5, attempt)
                )
        assert [(one.attempt, len(one.runs)) for one in storage.trials()] == [(2, 2)]
        curve = storage.reports("0000")
        assert [(one.attempt, one.run, one.epoch) for one in curve] == [(2, 0, 0), (2, 0, 1), (2, 1, 0)]
        assert [one.metrics["loss"] for one in storage.reports("0000", attempt=1)] == [1.0, 1.1, 1.0]
        assert curve[0].time == 7.5
        assert math.isnan(curve[0].metrics["nan"])

    def test_facts_are_replaced_and_events_only_added(self, storage_class: Any, tmp_path: Path) -> None:
        """A fact has its last value; the log of events has all of them, in order."""
        storage = storage_class.create(tmp_path, {"seed": 0, "name": "größe"})
        storage.update_facts({"seed": 1, "space": [{"a": [1, None]}]})
        assert storage.facts == {"seed": 1, "name": "größe", "space": [{"a": [1, None]}]}
        assert (storage.fact("seed"), storage.fact("nothing", 5), storage.space()) == (1, 5, [{"a": [1, None]}])
        for number in range(3):
            storage.add_event("noted", "0000", 1, number=number)
        events = storage.events()
        assert [(event["kind"], event["number"]) for event in events] == [("noted", 0), ("noted", 1), ("noted", 2)]
        assert [event["number"] for event in storage.events(after=events[0]["id"])] == [1, 2]

    @pytest.mark.parametrize("num_writes", [0, 2, 3, 5])
    def test_a_write_that_is_killed_half_way_leaves_nothing(
        self, storage_class: Any, tmp_path: Path, num_writes: int
    ) -> None:
        """A process killed inside a write leaves the search as it was after the write before."""
        with _writer(storage_class, tmp_path, str(num_writes)) as process:
            assert process.stdout.read().split() == [str(done) for done in range(1, num_writes + 1)]
            assert process.wait() == -signal.SIGKILL
        storage = storage_class.open(tmp_path)
        _check_state(storage, num_writes)
        # The second write of each trial is a report, which is no event.
        assert len(storage.events()) == sum(done % WRITES_PER_TRIAL != 2 for done in range(1, num_writes + 1))

    def test_a_search_killed_at_random_instants_goes_on(self, storage_class: Any, tmp_path: Path) -> None:
        """Whenever a process is killed, all that it has done is there, nothing is half there, and another can go on."""
        rng = random.Random(1)
        for _ in range(self.num_kills):
            with _writer(storage_class, tmp_path) as process:
                done = [process.stdout.readline() for _ in range(rng.randrange(1, 40))]
                process.kill()
                done += process.stdout.readlines()
            storage = storage_class.open(tmp_path)
            _check_state(storage, int(done[-1]))
            storage.close()

    def test_it_can_be_read_while_it_is_written(self, storage_class: Any, tmp_path: Path) -> None:
        """Readers see only whole trials, never fewer than before, and hold nothing up."""
        with _writer(storage_class, tmp_path) as process:
            process.stdout.readline()
            reader = storage_class.open(tmp_path, read_only=True)
            num_trials = num_writes = 0
            while num_trials < 100:
                trials, seen = reader.trials(), reader.fact("num_writes")
                assert [trial.number for trial in trials] == list(range(len(trials)))
                assert all(len(trial.runs) == trial.is_finished for trial in trials)
                assert len(trials) >= num_trials
                assert seen >= num_writes
                num_trials, num_writes = len(trials), seen

    def test_one_process_at_a_time_may_run_the_search(self, storage_class: Any, tmp_path: Path) -> None:
        """The right to run a search is one process's, until it gives it back or dies."""
        storage_class.create(tmp_path, {})
        with _holder(storage_class, tmp_path) as process:
            assert process.stdout.readline() == "held\n"
            other = storage_class.open(tmp_path)
            with pytest.raises(ProjectError, match="one process at a time"), other.lock():
                pass
            process.kill()
            process.wait()
        with other.lock():
            pass
        with other.lock():
            pass

    def test_threads_can_write_side_by_side(self, storage_class: Any, tmp_path: Path) -> None:
        """Nothing is lost when several threads write."""
        storage = storage_class.create(tmp_path, {})
        storage.write_attempt("begin", TrialRecord("0000", 0), {})

        def report(run: int) -> None:
            for epoch in range(25):
                storage.add_report("0000", Report(run, epoch, {"loss": 0.0}))
                storage.trials()

        threads = [threading.Thread(target=report, args=(run,)) for run in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        curve = [(one.run, one.epoch) for one in storage.reports("0000")]
        assert curve == [(run, epoch) for run in range(4) for epoch in range(25)]

    def test_a_torn_file_is_named(self, storage_class: Any, tmp_path: Path) -> None:
        """Where a file has lost its end, an error names it, and nothing is dropped in silence."""
        storage = storage_class.create(tmp_path, {})
        for done in writes(storage, 0):
            if done == 50 * WRITES_PER_TRIAL:
                break
        storage.close()
        whole = storage.path.read_bytes()
        for share in (0.0, 0.001, 0.1, 0.5, 0.9):
            storage.path.write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(StorageError, match=storage.path.name):
                storage_class.open(tmp_path).trials()

    def test_a_foreign_file_is_named(self, storage_class: Any, tmp_path: Path) -> None:
        """A file of another program is refused by name, and left as it is."""
        storage = storage_class.create(tmp_path, {})
        storage.close()
        storage.path.write_text("a shopping list, longer than any header: " + "eggs, " * 100, encoding="utf-8")
        with pytest.raises(StorageError, match=storage.path.name):
            storage_class.open(tmp_path)
        assert storage.path.read_text(encoding="utf-8").startswith("a shopping list")

    def test_a_search_is_never_made_over_another(self, storage_class: Any, tmp_path: Path) -> None:
        """Making a search where one is raises an error, and leaves the first as it was."""
        first = storage_class.create(tmp_path, {"seed": 1})
        first.write_attempt("begin", TrialRecord("0000", 0), {})
        with pytest.raises(KTSuiteError):
            storage_class.create(tmp_path, {"seed": 2})
        assert storage_class.open(tmp_path).fact("seed") == 1
        assert len(storage_class.open(tmp_path).trials()) == 1

    def test_a_directory_without_a_search_is_named(self, storage_class: Any, tmp_path: Path) -> None:
        """Opening what is not there names the directory, and makes nothing."""
        assert not storage_class.exists(tmp_path)
        with pytest.raises(ProjectError, match=tmp_path.name):
            storage_class.open(tmp_path)
        assert list(tmp_path.iterdir()) == []


def _check_state(storage: Any, done: int) -> None:
    """Checks that a storage holds a whole number of writes of ``write_loop``, at least the first ``done``."""
    trials = storage.trials()
    curves = [storage.reports(trial.trial_id, attempt=1) for trial in trials]
    num_finished = sum(trial.is_finished for trial in trials)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert [trial.is_finished for trial in trials] == [number < num_finished for number in range(len(trials))]
    assert [trial.score for trial in trials[:num_finished]] == [float(number) for number in range(num_finished)]
    assert [len(trial.runs) for trial in trials] == [int(trial.is_finished) for trial in trials]
    is_begun = len(trials) > num_finished
    assert storage.fact("num_writes", 0) == num_finished * WRITES_PER_TRIAL + is_begun
    assert all(curves[:num_finished])
    assert done <= num_finished * WRITES_PER_TRIAL + is_begun + (is_begun and bool(curves[-1]))


@contextlib.contextmanager
def _process(*arguments: str) -> Iterator[Any]:
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _name(storage_class: Any) -> str:
    return f"{storage_class.__module__}:{storage_class.__qualname__}"


def _writer(storage_class: Any, directory: Path, *arguments: str) -> Any:
    return _process("-m", "kt_suite.testing.write_loop", _name(storage_class), str(directory), *arguments)


def _holder(storage_class: Any, directory: Path) -> Any:
    code = (
        "import sys, time\nfrom kt_suite.testing.write_loop import load\n"
        "with load(sys.argv[1]).open(sys.argv[2]).lock():\n    print('held', flush=True)\n    time.sleep(600)"
    )
    return _process("-c", code, _name(storage_class), str(directory))
