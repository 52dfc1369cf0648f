"""The trial that oracles, tuners and users hold: KerasTuner's, backed by a record."""

from __future__ import annotations

from typing import Any

import keras_tuner

from kt_suite.hyperparameters import HyperParameters
from kt_suite.trial import RunRecord, TrialRecord, TrialStatus


def _of_record(name: str) -> Any:
    def read(self: Any) -> Any:
        return getattr(self.record, name)

    def write(self: Any, value: Any) -> None:
        setattr(self.record, name, value)

    return property(read, write, doc=f"``{name}`` of the record.")


class Trial(keras_tuner.engine.trial.Trial):  # type: ignore[misc]
    """One set of hyperparameter values, and what became of it.

    Budget, rung, bracket and parent are fields of the trial: none of them is among the user's values.

    Args:
        hyperparameters: The space, with the trial's values.
        trial_id: Unique in the search.
        status: One of ``TrialStatus``.
        message: Why the trial failed.
        record: The record to stand on; a new one if ``None``.

    Attributes:
        record: All that is stored of the trial.
        metrics: KerasTuner's tracker of the reported metrics.
    """

    def __init__(
        self,
        hyperparameters: Any,
        trial_id: str | None = None,
        status: str = TrialStatus.RUNNING,
        message: str | None = None,
        *,
        record: TrialRecord | None = None,
    ) -> None:
        known_id = trial_id if record is None else record.trial_id
        made = keras_tuner.engine.trial.Trial(hyperparameters, known_id, status, message)
        self.record = record or TrialRecord(made.trial_id, 0, status, message=message)
        self.metrics = made.metrics
        # None only while KerasTuner's from_state makes an empty trial to fill.
        self.hyperparameters: Any = None if hyperparameters is None else HyperParameters.of(hyperparameters)

    trial_id = _of_record("trial_id")
    status = _of_record("status")
    message = _of_record("message")
    score = _of_record("score")
    best_step = _of_record("best_epoch")
    number = _of_record("number")
    seed = _of_record("seed")
    budget = _of_record("budget")
    initial_epoch = _of_record("initial_epoch")
    rung = _of_record("rung")
    bracket = _of_record("bracket")
    parent = _of_record("parent")
    data_share = _of_record("data_share")
    fidelity = _of_record("fidelity")
    attempt = _of_record("attempt")

    @property
    def runs(self) -> list[RunRecord]:
        """The runs of the last attempt."""
        return self.record.runs

    @property
    def values(self) -> dict[str, Any]:
        """Hyperparameter name to value."""
        return self.record.values

    def snapshot(self) -> TrialRecord:
        """Brings the record up to date with the hyperparameters, and returns it."""
        self.record.values = dict(self.hyperparameters.values)
        return self.record

    @classmethod
    def of_record(cls, record: TrialRecord, space: HyperParameters) -> Trial:
        """Returns the trial that a stored record tells of, with its values over ``space``."""
        hyperparameters = space.copy()
        hyperparameters.values = dict(record.values)
        trial = cls(hyperparameters, record=record)
        for name, value in record.metrics.items():
            trial.metrics.update(name, value, step=record.best_epoch or 0)
        return trial

    @classmethod
    def of(cls, trial: Any) -> Trial:
        """Returns ``trial`` itself if it is of this class, else one that shares what KerasTuner's trial holds."""
        if isinstance(trial, cls):
            return trial
        adopted = cls(trial.hyperparameters, trial.trial_id, trial.status, trial.message)
        adopted.metrics = trial.metrics
        return adopted

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores what :meth:`get_state` returned."""
        self.record = TrialRecord(state["trial_id"], 0)
        self.hyperparameters = HyperParameters.from_config(state["hyperparameters"])
        self.metrics = type(self.metrics).from_config(state["metrics"])
        for name in ("score", "best_step", "status", "message"):
            setattr(self, name, state[name])
        for name, value in state.get("record", {}).items():
            setattr(self.record, name, value)
        self.snapshot()

    def get_state(self) -> dict[str, Any]:
        """Returns all that a plain KerasTuner tuner must write down to go on later."""
        extra = (
            "number",
            "seed",
            "budget",
            "initial_epoch",
            "rung",
            "bracket",
            "parent",
            "data_share",
            "fidelity",
            "attempt",
            "used",
        )
        return {**super().get_state(), "record": {name: getattr(self.record, name) for name in extra}}
