"""A lane: runs of one skeleton on the same data, under way in one stack."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from kt_suite.executors.fused.attempt import Run
from kt_suite.executors.fused.member import Data, Options
from kt_suite.executors.fused.snapshot import Snapshot
from kt_suite.executors.fused.stack import Stack


class Lane:
    """Trains runs side by side, epoch by epoch.

    Args:
        key: What its runs have in common.
        runs: At least one.
        data: What they train on.
        options: How.

    Attributes:
        size: The most runs that have been in it.
        epochs_done: Epochs that it has trained.
    """

    def __init__(self, key: Any, runs: Sequence[Run], data: Data, options: Options) -> None:
        self.key = key
        self.runs = list(runs)
        self.options = options
        self.stack = Stack([run.member for run in self.runs], data, options)
        self.size = len(self.runs)
        self.epochs_done = 0
        self._on_host: dict[bool, Callable[[int], Snapshot]] = {}
        widths = [run.group[0][0].widths for run in self.runs]
        self.widths = tuple(map(max, zip(*widths, strict=True)))
        self._number()

    def fits(self, run: Run) -> bool:
        """Whether a run is no wider than the program."""
        return all(own <= most for own, most in zip(run.group[0][0].widths, self.widths, strict=True))

    def describe(self) -> str:
        """Returns what its runs have in common, in a line."""
        model = self.runs[0].model
        layers = "-".join(type(layer).__name__ for layer in model.layers)
        optimizer, batch_size = type(model.optimizer).__name__, self.stack.batch_size
        widths = f", widths up to {'-'.join(map(str, self.widths))}" if self.widths else ""
        return f"{layers}{widths}; {optimizer}, batches of {batch_size}"

    @property
    def num_free(self) -> int:
        """Places that ended runs have left; none where epochs go on in the data, as a new run begins with the first."""
        return 0 if self.options.steps_per_epoch is not None else self.size - len(self.runs)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return len(self.runs) * self.stack.nbytes

    def take_in(self, runs: list[Run]) -> Lane:
        """Takes in runs that fit; returns itself."""
        self._on_host = {}
        self.stack.add([run.member for run in runs])
        self.runs += runs
        self._number()
        return self

    def _number(self) -> None:
        for position, run in enumerate(self.runs):
            run.lane, run.position = self, position

    def remove(self, runs: Iterable[Run]) -> None:
        """Lets runs go."""
        gone = {id(run) for run in runs}
        positions = [position for position, run in enumerate(self.runs) if id(run) in gone]
        if not positions:
            return
        for position in positions:
            self.runs[position].lane = None
        self.runs = [run for run in self.runs if id(run) not in gone]
        self._on_host = {}
        if self.runs:
            self.stack.remove(positions)
        self._number()

    def weights(self, run: Run) -> list[np.ndarray]:
        """Returns the weights of a run, in memory of their own."""
        return [np.array(weight) for weight in self.snapshot(run, weights_only=True).weights]

    def snapshot(self, run: Run, *, weights_only: bool = False) -> Snapshot:
        """Returns the state of a run; those of all come off the device together, once an epoch."""
        if weights_only not in self._on_host:
            self._on_host[weights_only] = self.stack.on_host(weights_only=weights_only)
        return self._on_host[weights_only](run.position)

    def load(self, run: Run) -> None:
        """Has a run take weights and optimizer from its Keras model."""
        self._on_host = {}
        self.stack.load(run.position)

    @property
    def _is_validated(self) -> bool:
        return any(run.is_validated for run in self.runs)

    def warm_up(self) -> None:
        """Has a thread compile the program while others are traced and train."""
        with contextlib.suppress(Exception):  # it fails again, and is seen, when it trains
            self.stack.warm_up(validate=self._is_validated)

    def train_epoch(self, rates: Sequence[np.ndarray | None]) -> list[dict[str, Any]]:
        """Trains all runs for one epoch; returns their logs.

        Args:
            rates: Of each run, the learning rates that its callbacks set before each batch, if they do.
        """
        self._on_host = {}
        logs = self.stack.train_epoch(validate=self._is_validated, learning_rates=self._rates(rates))
        self.epochs_done += 1
        return logs

    def _rates(self, rates: Sequence[np.ndarray | None]) -> np.ndarray | None:
        if all(one is None for one in rates):
            return None
        steps = next(len(one) for one in rates if one is not None)
        own = [
            np.full(steps, run.get_rate()) if one is None else one for run, one in zip(self.runs, rates, strict=True)
        ]
        return np.stack(own)
