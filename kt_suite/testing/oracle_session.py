# ruff: noqa: S101 - part of tests
"""An oracle led through trials as a search leads it, without training anything."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from kt_suite.hyperparameters import HyperParameters, describe
from kt_suite.oracles import Trial, books
from kt_suite.storage import Storage
from kt_suite.trial import TrialStatus


def toy_loss(hp: Any) -> float:
    """Declares a mixed conditional space, and returns a smooth loss of its values, at least 0."""
    kind = hp.Choice("kind", ["line", "wave"])
    with hp.conditional_scope("kind", ["line"]):
        slope = hp.Float("slope", 1e-3, 1.0, sampling="log")
    with hp.conditional_scope("kind", ["wave"]):
        order = hp.Int("order", 1, 32, sampling="log")
    width = hp.Int("width", 2, 10, step=2)
    shift = hp.Float("shift", -1.0, 1.0)
    bias = 0.5 if hp.Boolean("is_biased") else 0.0
    base = hp.Fixed("base", 3)
    own = abs(math.log10(slope) + 2) if kind == "line" else abs(order - 5) / 10
    return float(own + (width - 6) ** 2 / 16 + shift**2 + bias + base - 3)


def toy_is_legal(values: dict[str, Any]) -> bool:
    """Whether ``values`` are a point of the space of :func:`toy_loss`, no more and no less."""
    kind = values.get("kind")
    own = {"line": "slope", "wave": "order"}.get(str(kind))
    return (
        set(values) == {"kind", own, "width", "shift", "is_biased", "base"}
        and (1e-3 <= values["slope"] <= 1.0 if kind == "line" else values["order"] in range(1, 33))
        and values["width"] in (2, 4, 6, 8, 10)
        and -1.0 <= values["shift"] <= 1.0
        and isinstance(values["is_biased"], bool)
        and values["base"] == 3
    )


def four_points(hp: Any) -> float:
    """Declares a conditional space of four points, and returns a loss."""
    a = hp.Choice("a", [1, 2, 3])
    with hp.conditional_scope("a", [3]):
        b = hp.Boolean("b")
    return float(a + bool(b))


def space_of(build: Any) -> HyperParameters:
    """Returns the space that a build function declares."""
    hp = HyperParameters()
    build(hp)
    return hp


def values_of(trial: Any) -> dict[str, Any]:
    """Returns a trial's values without those that a schedule of KerasTuner puts among them."""
    return {name: value for name, value in trial.hyperparameters.values.items() if not name.startswith("tuner/")}


class OracleSession:
    """Runs the trials of an oracle, and stores them as a search does.

    Args:
        oracle: Any ``keras_tuner.Oracle``.
        build: From hyperparameters to the loss of their values.
        directory: Where the search is stored; a search that is there already is taken up.

    Attributes:
        trials: The trials that were proposed here, in order.
        status: What the oracle said last: one of ``TrialStatus``.
    """

    def __init__(self, oracle: Any, build: Any, directory: Path) -> None:
        self.oracle = oracle
        self.build = build
        self.trials: list[Trial] = []
        self.status = TrialStatus.RUNNING
        is_resumed = Storage.exists(directory)
        self._storage = Storage.open(directory) if is_resumed else Storage.create(directory, {})
        if is_resumed:
            space = HyperParameters.from_config({"space": self._storage.space(), "values": {}})
            books.restore(oracle, self._storage.trials(), self._storage.fact("oracle_state", {}), space)
        self._books = books.Books(oracle)

    def propose(self, slot: str = "slot0") -> Trial | None:
        """Returns the next trial for a slot, or ``None`` when the oracle is idle or has stopped."""
        proposed = self.oracle.create_trial(slot)
        self.status = proposed.status
        if self.status in (TrialStatus.IDLE, TrialStatus.STOPPED):
            return None
        trial = self._books.adopt(proposed)
        trial.status = TrialStatus.RUNNING
        self._storage.write_attempt("propose", trial.snapshot(), self._facts())
        self.trials.append(trial)
        return trial

    def proposed(self, slot: str = "slot0") -> Trial:
        """Returns the next trial for a slot, where there must be one."""
        trial = self.propose(slot)
        assert trial is not None, f"the oracle must propose a trial, but is {self.status}"
        return trial

    def end(self, trial: Trial, loss: float | None = None, status: str = TrialStatus.COMPLETED) -> Trial:
        """Ends a trial with a loss (that of its values if ``None``), or with a status of failure.

        Raises:
            SearchFailedError: Too many trials in a row have failed.
        """
        if status == TrialStatus.COMPLETED:
            found = self.build(trial.hyperparameters)
            self.oracle.update_trial(trial.trial_id, {"loss": found if loss is None else loss})
        else:
            trial.message = "failed on purpose"
        trial.status = status
        try:
            self._books.end(trial)
        finally:
            self._storage.write_attempt("end", trial.snapshot(), self._facts())
        return trial

    def run(self, num_trials: int) -> list[dict[str, Any]]:
        """Runs at most ``num_trials`` trials, one after the other; returns the values of all that ran here."""
        for _ in range(num_trials):
            trial = self.propose()
            if trial is None:
                assert self.status == TrialStatus.STOPPED, "an oracle must not be idle while nothing runs"
                break
            self.end(trial)
        return [values_of(trial) for trial in self.trials]

    def _facts(self) -> dict[str, Any]:
        space = [describe(hp) for hp in self.oracle.hyperparameters.space]
        return {"oracle_state": self._books.checkpoint(), "space": space}
