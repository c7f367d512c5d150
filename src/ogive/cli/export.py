"""`ogive export`: write an architecture, or a trained model that runs without Ogive."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from ogive.cli.common import RunPath, open_run, relative_path
from ogive.cli.terminal import print_json, print_text
from ogive.run import signal_handlers

OUTPUT = (
    "json: a folder, or a file that ends in .json; default: standard output. torch: a folder; default: exports/TRIAL in the "
    "run."
)
INPUT = (
    "torch: shape of one example without the batch, [NAME=]SHAPE[:DTYPE], such as 1,28,28 or tokens=16:int64. Repeat it for "
    "each input. Default: example_input of the space."
)


class Form(StrEnum):
    """The forms of an export."""

    JSON = "json"
    TORCH = "torch"


def export(
    run: RunPath,
    trial: Annotated[
        str,
        typer.Option(
            help="Network: winner (of full training, else of the search), best (of the search), or a trial's number."
        ),
    ] = "winner",
    to: Annotated[
        Form, typer.Option(help="Form: json (the architecture) or torch (a model that runs without Ogive).")
    ] = Form.JSON,
    output: Annotated[Path | None, typer.Option("-o", "--output", help=OUTPUT)] = None,
    inputs: Annotated[list[str] | None, typer.Option("--input", metavar="SHAPE", help=INPUT)] = None,
) -> None:
    """Export an architecture as JSON, or a trained model for PyTorch.

    Metrics and weights are of the same training. A network that was trained in
    full has those of full training; `--trial best` exports the result of the
    search instead.

    Example: ogive export runs/digits --to torch -o model
    """
    from ogive import report

    opened = open_run(run, trust=to is Form.TORCH)
    delivery = opened.delivery(trial)
    for warning in opened.stages.warnings if trial == "winner" else ():
        print_text(f"warning: {warning}", file=sys.stderr)
    if to is Form.JSON and output is None:
        print_json(report.describe_delivery(delivery))
        return
    with _exit_on_sigterm():
        path = opened.export(
            trial,
            to=to.value,
            output=output,
            inputs=inputs or None,
            say=lambda message: print_text(message, file=sys.stderr),
        )
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        print(relative_path(file))
    if delivery.weights is not None and to is Form.TORCH:
        print_text(f"{delivery.title}; weights of {relative_path(delivery.weights)}", file=sys.stderr)


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Raise SystemExit at SIGTERM, so that incomplete files are deleted as after Ctrl-C."""

    def terminated(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)  # the exit code of shells after this signal

    signal_handlers.install(signal.SIGTERM, terminated)
    try:
        yield
    finally:
        signal_handlers.uninstall(signal.SIGTERM, terminated)
