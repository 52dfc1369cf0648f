"""The part of a process that is not the chief of its cluster in a search."""

from __future__ import annotations

import faulthandler
import re
import tempfile
import traceback
from pathlib import Path
from typing import Any

from kt_suite.distribution.channel import OtherChannel
from kt_suite.distribution.distribution import Distribution
from kt_suite.errors import WorkerError
from kt_suite.executors.base import TrialSpec
from kt_suite.executors.in_step import end_watch, is_state
from kt_suite.hyperparameters import HyperParameters
from kt_suite.oracles.trial import Trial
from kt_suite.trial import Decision, Report, TrialRecord


def follow(runner: Any, distribution: Distribution) -> None:
    """Trains or serves what the chief of the cluster says, until the search is over. Writes nothing that stays.

    Args:
        runner: The tuner of this process.
        distribution: Its distribution.

    Raises:
        WorkerError: A process of the cluster is lost.
    """
    if distribution.cluster is None:
        raise WorkerError("A cluster must be there to follow its chief, but there is none.")
    channel = OtherChannel(distribution.cluster, distribution.let_go)
    try:
        while True:
            received = channel.receive()
            if received is None or received[1]["kind"] == "end":
                return
            _, message, files = received
            with tempfile.TemporaryDirectory(prefix="kt_suite_") as directory:
                error = _take_part(runner, channel, message, files, Path(directory))
            end_watch(channel)
            ended = {"trial_id": message["trial"]["trial_id"], "attempt": message["attempt"], "error": error}
            channel.send({"kind": "ended", **ended})
    except WorkerError:
        faulthandler.cancel_dump_traceback_later()
        raise
    finally:
        channel.close()


def _take_part(runner: Any, channel: OtherChannel, message: dict[str, Any], files: Any, directory: Path) -> str | None:
    """Trains an attempt in step with the chief; returns the traceback if that failed."""
    own, parent = directory / "attempt", directory / "parent"
    own.mkdir()
    parent.mkdir()
    for name, content in files.items():
        if re.fullmatch(r"[\w.]+", name) and is_state(name):
            (parent / name).write_bytes(content)
    trial = Trial(HyperParameters.from_config(message["hyperparameters"]), record=TrialRecord(**message["trial"]))
    spec = TrialSpec(
        trial,
        int(message["attempt"]),
        str(own),
        parent_directory=str(parent) if message["goes_on"] else None,
        keeps_state=bool(message["keeps_state"]),
    )

    def report(trial_id: str, one: Report) -> Decision:
        return Decision(_next(channel, "decision")["decision"])

    def should_stop() -> bool:
        return bool(_next(channel, "clock")["is_over"])

    runner.oracle.seed = message["seed"]
    runner._begin_attempts(report, should_stop if message["has_clock"] else None)
    try:
        with channel.attempt(spec.trial_id, spec.attempt):
            runner._run_attempt(spec)
    except Exception:
        channel.settle()
        return traceback.format_exc()
    return None


def _next(channel: OtherChannel, kind: str) -> dict[str, Any]:
    received = channel.receive()
    if received is None or received[1]["kind"] != kind:
        raise WorkerError(f"The chief must say {kind!r} now, but said {received and received[1]!r}.")
    return received[1]
