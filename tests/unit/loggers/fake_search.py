"""Searches without models: records as the search loop makes them, and the calls that loggers get."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kt_suite.loggers import Logger, SearchInfo
from kt_suite.trial import Report, TrialRecord, TrialStatus

START = 1_700_000_000.0


def entry(
    class_name: str, name: str, *, conditions: dict[str, list[Any]] | None = None, **config: Any
) -> dict[str, Any]:
    """Returns a hyperparameter as a config dict."""
    parents = [
        {"class_name": "Parent", "config": {"name": parent, "values": values}}
        for parent, values in (conditions or {}).items()
    ]
    return {"class_name": class_name, "config": {"name": name, "conditions": parents, **config}}


SPACE = [
    entry("Float", "learning_rate", min_value=1e-4, max_value=0.1, step=None, sampling="log", default=1e-4),
    entry("Int", "units", min_value=8, max_value=64, step=8, sampling="linear", default=8),
    entry("Choice", "optimizer", values=["adam", "sgd"], ordered=False, default="adam"),
    entry("Float", "momentum", min_value=0.0, max_value=0.9, step=None, conditions={"optimizer": ["sgd"]}),
    entry("Boolean", "augment", default=False),
    entry("Fixed", "epsilon", value=1e-7),
]


def make_info(name: str = "digits", **changes: Any) -> SearchInfo:
    """Returns a search for the highest validation accuracy; its id follows from its name."""
    fields: dict[str, Any] = {
        "name": name,
        "search_id": name.encode().hex().rjust(32, "0")[-32:][::-1],
        "directory": f"projects/{name}",
        "objective": "val_accuracy",
        "direction": "max",
        "max_trials": 10,
        "epochs": 3,
        "space": SPACE,
        "facts": {"oracle": "RandomSearch", "seed": 0},
    }
    return SearchInfo(**{**fields, **changes})


def make_trial(number: int, **changes: Any) -> TrialRecord:
    """Returns a completed trial of ``SPACE`` with three epochs, which took ten seconds."""
    optimizer = ("adam", "sgd")[number % 2]
    values = {
        "learning_rate": 1e-4 * 2**number,
        "units": 8 * (number % 8 + 1),
        "optimizer": optimizer,
        **({"momentum": 0.9} if optimizer == "sgd" else {}),
        "augment": number % 3 == 0,
        "epsilon": 1e-7,
    }
    fields: dict[str, Any] = {
        "trial_id": f"{number:04d}",
        "number": number,
        "status": TrialStatus.COMPLETED,
        "values": values,
        "score": 0.9 + number / 1000,
        "slot": "slot-0",
        "started": START + 20 * number,
        "ended": START + 20 * number + 10,
        "epochs": 3,
    }
    return TrialRecord(**{**fields, **changes})


def make_reports(trial: TrialRecord, num_epochs: int = 3, runs: Sequence[int] = (0,)) -> list[Report]:
    """Returns curves that rise to the trial's score."""
    score = 0.5 if trial.score is None else trial.score
    return [
        Report(
            run=run,
            epoch=epoch,
            metrics={
                "loss": 1 / (epoch + 1),
                "accuracy": score - 0.01 * (num_epochs - 1 - epoch),
                "val_loss": 1.1 / (epoch + 1),
                "val_accuracy": score - 0.02 * (num_epochs - 1 - epoch),
            },
            time=(trial.started or START) + epoch + 1,
            attempt=trial.attempt,
        )
        for run in runs
        for epoch in range(num_epochs)
    ]


def play(
    logger: Logger,
    info: SearchInfo,
    trials: Iterable[TrialRecord],
    *,
    reports: Callable[[TrialRecord], list[Report]] = make_reports,
    reason: str = "all trials done",
) -> None:
    """Plays a whole search with one slot to a logger."""
    logger.on_search_begin(info)
    for trial in trials:
        play_trial(logger, trial, reports(trial))
    logger.on_search_end(reason)


def play_trial(logger: Logger, trial: TrialRecord, reports: Iterable[Report], *, will_retry: bool = False) -> None:
    """Plays one attempt of a trial to a logger."""
    logger.on_trial_begin(trial)
    for report in reports:
        logger.on_report(trial, report)
    logger.on_trial_end(trial, will_retry)
