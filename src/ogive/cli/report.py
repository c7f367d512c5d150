"""`ogive report`: one HTML page about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ogive.cli.common import RunPath, open_run, shown


def report(
    run: RunPath,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where to; report.html in the run.")] = None,
) -> None:
    """Write one self-contained HTML page about a run, and print its path."""
    from ogive.job import add_code_of

    opened = open_run(run)
    add_code_of(opened.folder)
    print(shown(opened.report(output)))
