"""The command `ogive`."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import typer

from ogive.cli.bench import bench
from ogive.cli.check import check
from ogive.cli.export import export
from ogive.cli.finalize import finalize
from ogive.cli.front import front
from ogive.cli.init import init
from ogive.cli.log import log
from ogive.cli.plan import plan
from ogive.cli.replay import replay
from ogive.cli.report import report
from ogive.cli.reproduce import reproduce
from ogive.cli.search import search
from ogive.cli.space import space
from ogive.cli.status import status
from ogive.cli.terminal import print_text
from ogive.cli.top import top
from ogive.cli.watch import watch
from ogive.errors import OgiveError

EXIT_USER_ERROR = 2
"""The exit code of an error that the user can correct."""
HELP = "Neural architecture search: declare a space, search it, and continue after any interruption."

app = typer.Typer(
    name="ogive",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    init,
    check,
    plan,
    search,
    status,
    watch,
    top,
    front,
    finalize,
    replay,
    report,
    export,
    space,
    log,
    reproduce,
):
    app.command()(command)
app.add_typer(bench)


@app.callback(help=HELP)
def ogive() -> None:
    """Do nothing: the callback only makes `ogive` a group of commands."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit.

    An error that the user can correct is printed as one `error:` line on standard error, with exit code 2. Any other error
    keeps its traceback.

    Args:
        arguments: the arguments of the command; None for those of the process.
    """
    try:
        try:
            app(None if arguments is None else list(arguments), prog_name="ogive")
        finally:
            sys.stdout.flush()
    except OgiveError as error:
        for line in str(error).splitlines():
            print_text(line if line.startswith(" ") else f"error: {line}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except OSError as error:
        # A full disk, when standard output is redirected to a file, is an error that the user can correct.
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        print_text(f"error: standard output cannot be written: {error.strerror}", file=sys.stderr)
        # Redirect standard output, so that flushing the rest of the buffer at exit does not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(EXIT_USER_ERROR)
