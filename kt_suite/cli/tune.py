"""``kt-suite tune`` and ``kt-suite resume``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click

from kt_suite.cli import session
from kt_suite.cli.call import Call, digest
from kt_suite.cli.reference import ModelReference
from kt_suite.cli.show import find_search
from kt_suite.data.load import BUILT_IN, TASKS
from kt_suite.data.messages import did_you_mean
from kt_suite.distribution.strategies import check_name
from kt_suite.errors import InputError, ProjectError, rule
from kt_suite.storage import Storage

DIRECTORY = "searches"


def _one_of(*known: str) -> dict[str, Any]:
    """Returns settings of an option that takes one of several names and answers others with the near."""

    def check(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        if value is not None and value not in known:
            what, must = parameter.opts[0], f"be one of {', '.join(known)}"
            raise InputError(rule(what, must, value, did_you_mean(value, known)))
        return value

    return {"metavar": "|".join(known), "callback": check}


def _fixed(context: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any]:
    fixed = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not (name and sign):
            raise InputError(rule("--fix", "have the form name=value", pair, "Such as --fix dropout=0."))
        try:
            fixed[name] = json.loads(text)
        except ValueError:
            fixed[name] = text
    return fixed


@click.command()
@click.argument("model")
@click.option(
    "--data",
    required=True,
    metavar="NAME|FILE",
    help=f"{', '.join(BUILT_IN)}; or a .npz file with arrays x, y (and, if wanted, x_val, y_val, x_test, "
    "y_test); or a .csv file with a header. Columns of text are one-hot encoded; a category that the "
    "training part lacks becomes zeros.",
)
@click.option("--target", metavar="COLUMN", help="Column of the .csv file to predict.")
@click.option(
    "--task",
    **_one_of(*TASKS),
    help="Overrules the values of the target, of which text, zeros and ones, integers (.npz) and at most 20 "
    "different whole numbers (.csv) are classes.",
)
@click.option("--tuner", **_one_of(*session.TUNERS), default="random", show_default=True)
@click.option(
    "--max-trials",
    type=click.IntRange(1),
    help="Trials at most.  [default: 12; for grid: all; hyperband decides itself]",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help=f"Epochs of a run at most; it ends after {session.PATIENCE} without a better objective.",
)
@click.option("--executor", default="auto", show_default=True, help="Where and how trials train.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Workers of the executors processes and ray.  [default: one for each GPU, else for each core]",
)
@click.option(
    "--distribution",
    metavar="NAME",
    help="How each trial is spread over devices and machines: mirrored, multi_worker_mirrored, parameter_server, "
    "central_storage, one_device:/gpu:0, tpu, or auto. In a cluster, make the call in each process, with TF_CONFIG.",
)
@click.option(
    "--virtual-devices",
    type=click.IntRange(1),
    metavar="N",
    help="Divide the CPU into N devices, to try a distribution without GPUs.",
)
@click.option(
    "--objective",
    metavar="METRIC",
    help="Metric that ranks the trials.  [default: the model's own (ready ones: val_accuracy for classes), "
    "else val_loss]",
)
@click.option("--direction", **_one_of("min", "max"), help="For a metric of your own.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the splits and of the search.")
@click.option(
    "--executions-per-trial",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Trainings of each trial, whose mean counts.",
)
@click.option(
    "--cross-validation",
    type=click.IntRange(2),
    metavar="N",
    help="Folds of each trial, whose mean counts; they share the rows that would be trained on and ranked by.",
)
@click.option("--directory", metavar="DIR", default=DIRECTORY, show_default=True, help="Where searches are kept.")
@click.option("--project-name", metavar="NAME", help="Name of the search.  [default: MODEL-DATA-TUNER]")
@click.option("--overwrite", is_flag=True, help="Start anew where a search of that name exists.")
@click.option(
    "--tensorboard",
    metavar="DIR|none",
    default="tensorboard_logs",
    show_default=True,
    help="Where logs for TensorBoard go.",
)
@click.option(
    "--keep-checkpoints",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Best trials whose weights stay on disk.",
)
@click.option("--save", metavar="FILE.keras", help="Write the best model to this file; plain Keras can load it.")
@click.option(
    "--fix",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_fixed,
    help="Fix a hyperparameter of a ready model. May be repeated.",
)
@click.option(
    "--verbose",
    type=click.IntRange(0, 1),
    default=1,
    show_default=True,
    help="0: print the outcome only; 1: and progress.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object; progress goes to stderr.")
def tune(
    directory: str, project_name: str | None, overwrite: bool, verbose: int, as_json: bool, **arguments: Any
) -> None:
    """Search for the hyperparameters with which MODEL trains best.

    MODEL is a ready one (cnn, mlp), package.module:Class or path/to/file.py:Class, where Class is a
    HyperModel or a function build(hp). A seed splits the data: 70 % to train on, 15 % to rank the trials,
    15 % to test the best one.

    A search of the same name is carried on if the same call began it, with more trials if --max-trials has
    grown.
    """
    call, label = _call(**arguments)
    project = Path(directory) / (_name(project_name) if project_name is not None else label)
    if Storage.exists(project) and not overwrite and not session.is_follower(call):
        call.check_continues(project)
    session.run(call, project, overwrite=overwrite, verbose=verbose, as_json=as_json)


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--verbose", type=click.IntRange(0, 1), default=1, show_default=True, help="As for tune.")
@click.option("--json", "as_json", is_flag=True, help="As for tune.")
def resume(directory: str, verbose: int, as_json: bool) -> None:
    """Go on with a search that kt-suite tune began.

    DIR is its project directory. The model and the data are loaded from where they were.
    """
    project = find_search(directory)
    call = Call.of(project)
    if call is None:
        raise ProjectError(rule("DIR", "hold a search begun by kt-suite tune", directory, "Run its script again."))
    if call.digest is not None and Path(call.data).is_file() and digest(Path(call.data)) != call.digest:
        must = "be as it was when the search began"
        raise ProjectError(rule(f"The data in {call.data}", must, "another content", "Restore it, or tune anew."))
    session.run(call, project, overwrite=False, verbose=verbose, as_json=as_json)


def _call(
    model: str,
    data: str,
    tuner: str,
    max_trials: int | None,
    tensorboard: str,
    save: str | None,
    **others: Any,
) -> tuple[Call, str]:
    """Returns the call, and the default name of its project."""
    check_name(others["distribution"])
    reference = ModelReference.parse(model)
    is_file = data not in BUILT_IN and Path(data).is_file()
    if max_trials is not None and session.is_scheduled(tuner):
        raise InputError(rule("--max-trials", "be left out with --tuner hyperband", max_trials, "--epochs decides."))
    if max_trials is None and tuner != "grid" and not session.is_scheduled(tuner):
        max_trials = 12
    call = Call(
        model=reference.text,
        data=str(Path(data).resolve()) if is_file else data,
        tuner=tuner,
        max_trials=max_trials,
        tensorboard=None if tensorboard == "none" else str(Path(tensorboard).resolve()),
        save=None if save is None else _writable(save),
        digest=digest(Path(data)) if is_file else None,
        folder=str(Path.cwd()),
        **others,
    )
    return call, re.sub(r"[^\w.-]+", "_", f"{reference.label}-{Path(data).stem}-{tuner}")


def _name(project_name: str) -> str:
    if not re.fullmatch(r"[\w][\w.-]*", project_name):
        remedy = "Use letters, digits, '.', '_' and '-'; --directory says where it lies."
        raise InputError(rule("--project-name", "be a plain name", project_name, remedy))
    return project_name


def _writable(save: str) -> str:
    path = Path(save)
    if path.suffix != ".keras":
        raise InputError(rule("--save", "end in .keras", save))
    if not path.parent.is_dir():
        raise InputError(rule("--save", "lie in a folder that exists", save))
    return str(path.resolve())
