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
from ogive.cli.top import top
from ogive.cli.watch import watch
from ogive.errors import OgiveError

WRONG = 2
"""The exit code of an error that its user can mend."""

app = typer.Typer(
    name="ogive",
    help="Neural architecture search: declare a space once, search it, and never lose work.",
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


@app.callback()
def ogive() -> None:
    """Neural architecture search: declare a space once, search it, and never lose work."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with `arguments` (those of the process where None), and exit.

    What a user can mend is one `error:` line on standard error and exit code 2; anything else keeps its traceback.
    """
    try:
        try:
            app(None if arguments is None else list(arguments), prog_name="ogive")
        finally:
            sys.stdout.flush()
    except OgiveError as error:
        for line in str(error).splitlines():
            print(line if line.startswith(" ") else f"error: {line}", file=sys.stderr)
        sys.exit(WRONG)
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        print(f"error: standard output cannot be written: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that the rest of the buffer can be flushed
        sys.exit(WRONG)
