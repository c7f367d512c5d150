"""`ogive report`: what a run has found, on one page."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ogive.cli.common import RunPath, open_run, shown


class Format(StrEnum):
    """The formats of a report."""

    html = "html"
    md = "md"


def report(
    run: RunPath,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--out", "--output", help="Where to; its suffix, .html or .md, says the format."),
    ] = None,
    to: Annotated[Format | None, typer.Option(help="HTML or Markdown, as report.html or report.md in the run.")] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Load the run's code, to draw layers; the name of a job's file means it, too."),
    ] = False,
) -> None:
    """Write the report of a run, and print its path.

    HTML is one page that needs nothing else; the drawings of Markdown go into a folder beside it. Where the evidence carries
    a narrower space and the run was started with a job, suggested.yaml in the run is a job that searches it. No code from a
    run's folder is run, so networks are shown as their decisions; with `--trust`, or where RUN is a job's file, their layers
    are drawn.
    """
    from ogive.errors import JobError
    from ogive.job.next_job import write_suggested
    from ogive.report.subject import Subject

    if output is not None and to is not None and output.suffix != f".{to.value}":
        raise JobError(f"--out {output} and --to {to.value}: give one of the two, or a name that ends in .{to.value}")
    opened = open_run(run, trust=trust or run.is_file())
    target = output if output is not None else opened.folder / f"report.{to.value if to else 'html'}"
    print(shown(opened.report(target)))
    subject = Subject(opened.state, opened.folder, opened.folder.name)
    restriction = subject.narrower_space
    suggested = write_suggested(opened.folder, restriction, subject.best_trials) if restriction else None
    if suggested is not None:
        print(f"a job for a narrower space: {shown(suggested)}", file=sys.stderr)
