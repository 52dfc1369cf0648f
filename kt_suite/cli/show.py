"""``kt-suite show``: the results of a stored search, at once and without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import click

from kt_suite import leaderboard
from kt_suite.cli.outcome import Outcome, shown
from kt_suite.errors import ProjectError, rule
from kt_suite.storage import Storage


def find_search(directory: str) -> Path:
    """Returns the project directory.

    Raises:
        ProjectError: It holds no search; names those below it.
    """
    project = Path(directory)
    if Storage.exists(project):
        return project
    below = sorted(path.parent for path in project.glob("*/search.db"))
    remedy = f"There are: {', '.join(map(shown, below))}." if below else ""
    raise ProjectError(rule("DIR", "be the directory of a search", directory, remedy))


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--all", "is_all", is_flag=True, help="Show all trials, not only the best ten.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the trials as rows.")
def show(directory: str, is_all: bool, as_json: bool) -> None:
    """Show the results of a search, also while it runs.

    DIR is its project directory.
    """
    outcome = Outcome.of(find_search(directory))
    num_trials = None if is_all else 10
    if as_json:
        rows = leaderboard.rows(outcome.records, outcome.direction)
        click.echo(outcome.to_json(rows=rows[:num_trials]))
        return
    outcome.show(num_trials)
    if outcome.tensorboard is not None:
        click.echo(f"tensorboard --logdir {shown(outcome.tensorboard)}")
