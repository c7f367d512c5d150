"""`ogive log`: a run as files, or in another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ogive.cli.common import RunPath, open_run, shown
from ogive.errors import JobError


def log(
    run: RunPath,
    to: Annotated[str, typer.Option(help="jsonl, csv, tensorboard, mlflow or wandb.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file or folder; in sinks/ of the run where left out.")
    ] = None,
    options: Annotated[
        list[str] | None, typer.Option("--set", help="An option of the sink, as name=value; may be given again.")
    ] = None,
) -> None:
    """Write a run's journal for other tools: trials, metrics per step, hyperparameters, the best so far.

    What is there already is added to. A search does the same while it runs, with `sinks: csv` in the job.
    """
    given = dict(_option(text) for text in options or ())
    if output is not None:
        given["path"] = str(output.absolute())
    place = open_run(run).log(to, **given)
    path = Path(place)
    print(shown(path) if path.exists() else place)


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise JobError(f"--set: found {text!r}; give name=value, such as experiment=digits")
    return name, value
