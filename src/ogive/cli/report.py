"""`ogive report`: write the report of a run."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ogive.cli.common import RunPath, open_run, relative_path
from ogive.cli.terminal import print_text


class Format(StrEnum):
    """The formats of a report."""

    html = "html"
    md = "md"


def report(
    run: RunPath,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", "--output", help="File that ends in .html or .md. Default: report.html in the run."
        ),
    ] = None,
    to: Annotated[
        Format | None, typer.Option(help="Format of report.html or report.md in the run. Default: html.")
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Load the code of the run, to draw layers. Default: only if RUN is a job's file."),
    ] = False,
) -> None:
    """Write the report of a run as HTML or Markdown.

    Prints the path of the report. HTML is a single file; the drawings of
    Markdown are written to a folder beside it. Code in a run's folder is not
    loaded, so networks are shown as lists of decisions; with --trust, or if RUN
    is a job's file, it is loaded and their layers are drawn. If the report
    suggests a narrower space and the run was started with a job, a job that
    searches it is written to suggested.yaml in the run's folder.

    Example: ogive report runs/digits --to md
    """
    from ogive.errors import JobError
    from ogive.job.next_job import write_suggested
    from ogive.report.subject import Subject

    if output is not None and to is not None and output.suffix != f".{to.value}":
        raise JobError(
            f"--out {output} and --to {to.value} disagree; give one of the two, or a name that ends in .{to.value}"
        )
    opened = open_run(run, trust=trust or run.is_file())
    target = output if output is not None else opened.folder / f"report.{to.value if to else 'html'}"
    print(relative_path(opened.report(target)))
    subject = Subject(opened.state, opened.folder, opened.folder.name)
    restriction = subject.narrower_space
    suggested = write_suggested(opened.folder, restriction, subject.best_trials) if restriction else None
    if suggested is not None:
        print_text(f"a job for a narrower space: {relative_path(suggested)}", file=sys.stderr)
