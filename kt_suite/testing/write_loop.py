"""Writes trials into a storage until it is killed: the victim of the contract of storages.

Run as ``python -m kt_suite.testing.write_loop MODULE:CLASS DIRECTORY [NUM_WRITES]``: the number of each write that is
done goes to standard output. With ``NUM_WRITES``, the process kills itself in the middle of the next one.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from kt_suite.trial import Report, RunRecord, TrialRecord, TrialStatus

WRITES_PER_TRIAL = 3


class _Deadly(dict[str, Any]):
    """Facts that kill the process when they are read, which is inside the transaction."""

    def items(self) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


def load(name: str) -> Any:
    """Returns the class that ``"module:Class"`` names."""
    module, _, kind = name.partition(":")
    return getattr(importlib.import_module(module), kind)


def writes(storage: Any, number: int, num_writes: int | None = None) -> Iterator[int]:
    """Writes one trial after the other, from ``number`` on; yields the number of each write once it is done."""
    done = number * WRITES_PER_TRIAL

    def facts() -> dict[str, Any]:
        return _Deadly() if done == num_writes else {"num_writes": done + 1}

    while True:
        trial = TrialRecord(f"{number:04d}", number, values={"number": number, "text": "x" * 500})
        storage.write_attempt("begin", trial, facts())
        yield (done := done + 1)
        storage.add_report(trial.trial_id, Report(0, 0, {"loss": float(number)}))
        yield (done := done + 1)
        trial.status, trial.score = TrialStatus.COMPLETED, float(number)
        trial.runs = [RunRecord(0, seed=number, score=float(number))]
        storage.write_attempt("end", trial, facts())
        yield (done := done + 1)
        number += 1


def main(kind: str, directory: str, num_writes: str | None = None) -> None:
    """Goes on with the search in ``directory`` until the process is killed."""
    storage_class = load(kind)
    is_there = storage_class.exists(directory)
    storage = storage_class.open(directory) if is_there else storage_class.create(directory, {})
    finished = [trial for trial in storage.trials() if trial.is_finished]
    for done in writes(storage, len(finished), None if num_writes is None else int(num_writes)):
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
