"""Running the search that a call asks for, and telling what came of it."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from kt_suite.cli.call import Call
from kt_suite.cli.outcome import Outcome, shown
from kt_suite.cli.quiet import import_tensorflow
from kt_suite.cli.reference import ModelReference, layout_of
from kt_suite.data import DataSet
from kt_suite.data.load import read_table
from kt_suite.distribution.cluster import Cluster
from kt_suite.distribution.strategies import VIRTUAL_DEVICES
from kt_suite.errors import InputError, SearchFailedError, rule
from kt_suite.leaderboard import number
from kt_suite.trial import TrialRecord

PATIENCE = 5
"""Epochs without a better objective after which a run ends."""

TUNERS = {
    "random": "RandomSearch",
    "grid": "GridSearch",
    "bayesian": "BayesianOptimization",
    "hyperband": "Hyperband",
    "quasirandom": "QuasiRandomSearch",
    "tpe": "TPESearch",
}


def run(call: Call, project: Path, *, overwrite: bool, verbose: int, as_json: bool) -> None:
    """Runs a search and prints its outcome.

    Args:
        call: What was asked for.
        project: The project directory; a search in it is carried on.
        overwrite: Whether a search in it is removed first.
        verbose: 0 for the outcome only, 1 for progress too.
        as_json: Whether standard output gets one JSON object, and everything else goes to standard error.

    Raises:
        KTSuiteError: The call cannot be carried out, or the search failed.
    """
    if call.virtual_devices is not None:
        os.environ[VIRTUAL_DEVICES] = str(call.virtual_devices)
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        table = read_table(call.data, call.target, call.task)
        import_tensorflow()
        model = ModelReference.parse(call.model).load(call.fix, table.task, call.folder)
        data = table.split(call.seed, layout=layout_of(model))
        tuner = _tuner(call, project, model, data, overwrite)
        if verbose:
            click.echo(_headline(data, call))
        _search(tuner, call, data, verbose)
        outcome = Outcome.of(project)
        if outcome.best is None:
            raise _without_result(outcome)
        best_model = tuner.get_best_models(1)[0]
        test = best_model.evaluate(data.x_test, data.y_test, verbose=0, return_dict=True)
        if call.save is not None:
            # Unbuilt, as it is after weights are loaded, the optimizer would make every load warn.
            best_model.optimizer.build(best_model.trainable_variables)
            best_model.save(call.save)
    if as_json:
        click.echo(outcome.to_json(test=test))
    else:
        outcome.show(num_trials=10)
        weights = "weights of that epoch, as they are" if call.cross_validation is None else "retrained on all folds"
        tested = f"{len(data.y_test)} rows that no trial saw ({weights})"
        click.echo(_verdict(outcome, outcome.best, test, tested, call.save))


def is_follower(call: Call) -> bool:
    """Whether this process only trains what the chief of its cluster says; the project is the chief's."""
    cluster = Cluster.of_environment() if call.distribution is not None else None
    return cluster is not None and not cluster.is_chief


def is_scheduled(tuner: str) -> bool:
    """Whether a tuner decides by itself how many trials there are, and for how long each trains."""
    return tuner == "hyperband"


def _tuner(call: Call, project: Path, model: Any, data: DataSet, overwrite: bool) -> Any:
    import kt_suite

    if hasattr(model, "bind"):
        fit = _fit_arguments(call, data)
        model.bind(fit["x"], fit["y"], fit.get("validation_data"))
    name = call.objective or str(getattr(model, "objective", "val_loss"))
    return getattr(kt_suite, TUNERS[call.tuner])(
        model,
        objective=_objective(name, call.direction),
        **({"max_epochs": call.epochs} if is_scheduled(call.tuner) else {"max_trials": call.max_trials}),
        seed=call.seed,
        executor=call.executor,
        workers=call.workers,
        distribution=call.distribution,
        executions_per_trial=call.executions_per_trial,
        cross_validation=call.cross_validation,
        directory=str(project.parent),
        project_name=project.name,
        overwrite=overwrite,
        tensorboard=call.tensorboard,
        keep_checkpoints=call.keep_checkpoints,
        facts=call.facts(),
    )


def _objective(name: str, direction: str | None) -> Any:
    from kt_suite.objective import Objective, create_objective

    if direction is not None:
        return Objective(name, direction)
    try:
        return create_objective(name)
    except InputError as error:
        must, remedy = "be a metric whose direction is known", "Give --direction min or max too."
        raise InputError(rule("--objective", must, name, remedy)) from error


def _search(tuner: Any, call: Call, data: DataSet, verbose: int) -> None:
    import keras

    objective = tuner.oracle.objective
    stopping = keras.callbacks.EarlyStopping(monitor=objective.name, mode=objective.direction, patience=PATIENCE)
    # A schedule of budgets says itself when a run ends, and goes on with it later.
    callbacks = [] if is_scheduled(call.tuner) else [stopping]
    with _told_how_to_resume(Path(tuner.project_dir)), warnings.catch_warnings():
        # A metric that does not exist is an error of ours, in one line.
        warnings.filterwarnings("ignore", message="Early stopping conditioned on metric")
        tuner.search(
            **_fit_arguments(call, data),
            epochs=call.epochs,
            callbacks=callbacks,
            verbose=verbose,
        )


def _fit_arguments(call: Call, data: DataSet) -> dict[str, Any]:
    if call.cross_validation is None:
        return {"x": data.x_train, "y": data.y_train, "validation_data": (data.x_val, data.y_val)}
    return {"x": np.concatenate([data.x_train, data.x_val]), "y": np.concatenate([data.y_train, data.y_val])}


@contextlib.contextmanager
def _told_how_to_resume(project: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"Interrupted. To go on: kt-suite resume {shown(project)}", err=True)
        raise


def _headline(data: DataSet, call: Call) -> str:
    sizes = f"{len(data.y_train)} rows to train on, {len(data.y_val)} to validate, {len(data.y_test)} to test"
    if call.cross_validation is not None:
        num_rows = len(data.y_train) + len(data.y_val)
        sizes = f"{num_rows} rows in {call.cross_validation} folds, {len(data.y_test)} to test"
    classes = f" of {len(data.class_names)} classes" if data.class_names else ""
    lines = [f"Data         {data.name}: {sizes}; {data.task}{classes}"]
    return "\n".join([*lines, *_tensorboard_line(call.tensorboard)])


def _tensorboard_line(folder: str | None) -> list[str]:
    return [] if folder is None else [f"TensorBoard  tensorboard --logdir {shown(folder)}"]


def _without_result(outcome: Outcome) -> SearchFailedError:
    messages = [record.message for record in outcome.records if record.message]
    reason = f"The first one says: {messages[0].strip().splitlines()[-1]}" if messages else ""
    got = f"{outcome.num_failed} failed of {len(outcome.records)}"
    return SearchFailedError(rule("A search", "have a trial that ends with a score", got, reason))


def _verdict(outcome: Outcome, best: TrialRecord, test: dict[str, float], tested: str, save: str | None) -> str:
    scores = ", ".join(f"{name} {number(value)}" for name, value in test.items())
    epoch = "" if best.best_epoch is None else f" in epoch {best.best_epoch + 1}"
    lines = [
        f"Best         trial {best.trial_id}: {outcome.objective} {number(best.score or 0.0)}{epoch}",
        f"Test         {scores} on {tested}",
    ]
    if save is not None:
        lines.append(f"Saved        {shown(save)}, for keras.models.load_model")
    return "\n".join([*lines, *_tensorboard_line(outcome.tensorboard)])
