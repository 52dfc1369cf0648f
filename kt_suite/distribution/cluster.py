"""What ``TF_CONFIG`` says of the cluster that this process belongs to."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kt_suite.errors import InputError, rule

_TASKS = ("chief", "worker", "ps", "evaluator")
CHANNEL = "KT_SUITE_CHANNEL"
TOKEN = "KT_SUITE_TOKEN"  # noqa: S105 - the name of a variable


@dataclass(frozen=True)
class Cluster:
    """The processes of a cluster, and the place of this one among them.

    Attributes:
        addresses: Name of a kind of task to the addresses of its tasks.
        kind: Kind of this process: ``"chief"``, ``"worker"`` or ``"ps"``.
        index: Index of this process among its kind.
    """

    addresses: Mapping[str, tuple[str, ...]]
    kind: str
    index: int

    @classmethod
    def of_environment(cls) -> Cluster | None:
        """Returns the cluster of ``TF_CONFIG``; ``None`` where it names none.

        Raises:
            InputError: ``TF_CONFIG`` cannot be understood.
        """
        text = os.environ.get("TF_CONFIG")
        if not text:
            return None
        try:
            config = json.loads(text)
            addresses = {str(kind): tuple(map(str, tasks)) for kind, tasks in (config.get("cluster") or {}).items()}
            task = config.get("task") or {}
            found = cls(addresses, str(task.get("type", "")), int(task.get("index", 0)))
        except (ValueError, AttributeError, TypeError) as error:
            raise InputError(rule("TF_CONFIG", "be JSON with a cluster and a task", text)) from error
        if not addresses:
            return None
        if found.kind not in _TASKS or found.index not in range(len(addresses.get(found.kind, ()))):
            raise InputError(rule("The task in TF_CONFIG", f"be one of the cluster {addresses}", task))
        return found

    @property
    def chief(self) -> tuple[str, int]:
        """Kind and index of the task that proposes, stores and logs."""
        return ("chief", 0) if "chief" in self.addresses else ("worker", 0)

    @property
    def is_chief(self) -> bool:
        """Whether this process proposes, stores and logs."""
        return (self.kind, self.index) == self.chief

    @property
    def name(self) -> str:
        """Name of this process."""
        return f"{self.kind} {self.index}"

    @property
    def others(self) -> list[str]:
        """Names of all processes but the chief."""
        names = [f"{kind} {index}" for kind, tasks in self.addresses.items() for index in range(len(tasks))]
        return [name for name in names if name != "{} {}".format(*self.chief)]

    @property
    def channel(self) -> tuple[str, int]:
        """Host and port where the chief listens for the others.

        Raises:
            InputError: ``KT_SUITE_CHANNEL`` is not an address.
        """
        address = os.environ.get(CHANNEL)
        kind, index = self.chief
        host, _, port = (address or self.addresses[kind][index]).rpartition(":")
        if not port.isdigit() or not host:
            raise InputError(rule(CHANNEL if address else "An address in TF_CONFIG", "be host:port", address or port))
        return host, int(port) if address else int(port) + 1

    @property
    def token(self) -> str:
        """What the processes of one cluster know each other by."""
        secret = os.environ.get(TOKEN, "")
        known: dict[str, Any] = {"cluster": self.addresses, "secret": secret}
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
