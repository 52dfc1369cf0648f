"""``kt-suite report``: a stored search as one file to look at, or as pictures."""

from __future__ import annotations

from pathlib import Path

import click

from kt_suite.cli.outcome import shown
from kt_suite.cli.show import find_search


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File; with --format png, folder.")
@click.option("--format", "kind", type=click.Choice(["html", "png"]), default="html", show_default=True)
def report(directory: str, output: Path | None, kind: str) -> None:
    """Write all views of a search into one HTML file, or as pictures.

    The file opens offline. DIR is the project directory.
    """
    from kt_suite.report import write_pictures, write_report

    project = find_search(directory)
    if kind == "html":
        paths = [write_report(project, output or Path("report.html"))]
    else:
        paths = write_pictures(project, output or Path("report"))
    for path in paths:
        click.echo(shown(path))
