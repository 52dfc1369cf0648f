"""``kt-suite tensorboard``: TensorBoard at the tab of a search."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import click

from kt_suite.cli.outcome import shown
from kt_suite.cli.show import find_search
from kt_suite.errors import InputError, rule
from kt_suite.storage import Storage


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; the next free one from 6006 on without it.")
@click.option("--rebuild", is_flag=True, help="Write the log again from what is stored, first.")
def tensorboard(directory: str, port: int | None, rebuild: bool) -> None:
    """Look at a search in TensorBoard, on this machine only.

    DIR is the project directory, or a log directory of one or more searches.
    """
    logdir = _log_directory(directory, rebuild)
    server, address = _start(logdir, port)
    click.echo(f"{address}#kt_suite")
    click.echo("Press Ctrl-C to end it.")
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    del server


def _log_directory(directory: str, is_rebuilt: bool) -> Path:
    if not Storage.exists(directory):
        if is_rebuilt or not any(Path(directory).glob("*/_search")):
            find_search(directory)  # says what there is
        return Path(directory)
    storage = Storage.open(directory, read_only=True)
    with contextlib.closing(storage):
        known = storage.fact("tensorboard")
        logdir = Path(directory) / "tensorboard" if known is None else Path(str(known))
        if is_rebuilt:
            _rebuild(storage, logdir)
    # Without a log the tab still shows the project directory.
    return logdir if logdir.is_dir() else Path(directory)


def _rebuild(storage: Storage, logdir: Path) -> None:
    from kt_suite.loggers.base import SearchInfo
    from kt_suite.loggers.tensorboard import rebuild

    facts = storage.facts
    info = SearchInfo(
        name=facts["name"],
        search_id=facts["search_id"],
        directory=str(storage.path.parent.resolve()),
        objective=facts["objective"],
        direction=facts["direction"],
        max_trials=facts.get("max_trials"),
        runs_per_trial=facts.get("runs_per_trial", 1),
        space=facts.get("space", []),
        facts={name: value for name, value in facts.items() if name not in ("space", "oracle_state", "user")},
        tensorboard=str(logdir),
        trials=storage.trials(),
    )
    with storage.lock():  # not while it runs
        click.echo(shown(rebuild(info, storage.reports, logdir)))


def _start(logdir: Path, port: int | None) -> tuple[Any, str]:
    from tensorboard import default, program

    from kt_suite_tensorboard.loader import TuningLoader

    plugins = default.get_plugins()
    if TuningLoader not in plugins:  # a checkout that is not installed has no entry points
        plugins.append(TuningLoader)
    server = program.TensorBoard(plugins)
    arguments = ["tensorboard", "--logdir", str(logdir), "--host", "127.0.0.1"]
    server.configure(argv=arguments if port is None else [*arguments, "--port", str(port)])
    try:
        return server, server.launch()
    except program.TensorBoardServerException as error:
        raise InputError(rule("The port of TensorBoard", "be free", port, str(error))) from error
