"""The command line: ``kt-suite tune | resume | show | report | tensorboard | init``.

Exit codes: 0 done, 1 the search failed, 2 the call was wrong, 130 interrupted (and resumable). An error
of ours is one line on standard error. TensorFlow is imported by the commands that train, and by no others.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from kt_suite._version import __version__
from kt_suite.cli.init import init
from kt_suite.cli.report import report
from kt_suite.cli.show import show
from kt_suite.cli.tensorboard import tensorboard
from kt_suite.cli.tune import resume, tune
from kt_suite.errors import InputError, KTSuiteError, MissingExtraError, StorageError

__all__ = ["main"]

INTERRUPTED = 130


class _Commands(click.Group):
    """The group of commands; turns errors into one line and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        is_standalone = kwargs.get("standalone_mode", True)
        kwargs["standalone_mode"] = False
        if not is_standalone:
            return super().main(*args, **kwargs)
        try:
            code = super().main(*args, **kwargs)
        except click.ClickException as error:
            _fail(error.format_message(), error.exit_code)
        except click.Abort:
            sys.exit(INTERRUPTED)
        except KTSuiteError as error:
            _fail(str(error), 2 if isinstance(error, (InputError, MissingExtraError, StorageError)) else 1)
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kt-suite")
@click.pass_context
def main(context: click.Context) -> None:
    """Tune Keras models.

    For example: kt-suite tune cnn --data digits
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _command in (tune, resume, show, report, tensorboard, init):
    main.add_command(_command)
