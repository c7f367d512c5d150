"""`ogive log`: write the metrics of a run to files or to another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ogive.cli.common import RunPath, open_run, relative_path
from ogive.errors import JobError


def log(
    run: RunPath,
    to: Annotated[str, typer.Option(help="The format: jsonl, csv, tensorboard, mlflow or wandb.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File or folder. Default: in sinks/ of the run.")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", help="An option of the sink, NAME=VALUE. May be repeated. Default: none."),
    ] = None,
) -> None:
    """Write a run's metrics to CSV, TensorBoard, MLflow or others.

    Writes trials, metrics per step, decisions and the best so far. A file that
    has a part of the run already is completed. With `sinks: csv` in the job, a
    search does the same while it runs.

    Example: ogive log runs/digits --to tensorboard
    """
    sink_options = dict(_parse_option(text) for text in options or ())
    if output is not None:
        sink_options["path"] = str(output.absolute())
    target = open_run(run).log(to, **sink_options)
    path = Path(target)
    print(relative_path(path) if path.exists() else target)


def _parse_option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise JobError(f"--set: found {text!r}; allowed: NAME=VALUE, such as experiment=digits")
    return name, value
