"""`ogive export`: an architecture, or a trained model that runs without Ogive."""

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

from ogive.cli.common import RunPath, open_run, print_json, shown
from ogive.run import signal_handlers

OUTPUT = (
    "Where to. json: a folder, or a file that ends in .json; printed where left out. "
    "torch: a folder; exports/TRIAL in the run where left out."
)
INPUT = (
    "torch: an input of the model, [NAME=]SHAPE[:DTYPE], the shape of one example without the batch: 1,28,28 or "
    "tokens=16:int64. Once for each input. Default: the space's example_input."
)


class Form(StrEnum):
    """What to write."""

    JSON = "json"
    TORCH = "torch"


def export(
    run: RunPath,
    trial: Annotated[
        str,
        typer.Option(help="winner: of full training, else of the search. best: of the search. Or a trial's number."),
    ] = "winner",
    to: Annotated[
        Form, typer.Option(help="json: the architecture. torch: a program that runs without Ogive.")
    ] = Form.JSON,
    output: Annotated[Path | None, typer.Option("-o", "--output", help=OUTPUT)] = None,
    inputs: Annotated[list[str] | None, typer.Option("--input", metavar="SHAPE", help=INPUT)] = None,
) -> None:
    """Export a network: its architecture as JSON, or its trained model as a PyTorch program.

    Metrics and weights are of the same training. A trial that was trained in full is delivered as full training left it;
    only `--trial best` takes what the search left.
    """
    from ogive import report

    opened = open_run(run, trust=to is Form.TORCH)
    delivery = opened.delivery(trial)
    for note in opened.stages.notes if trial == "winner" else ():
        print(f"warning: {note}", file=sys.stderr)
    if to is Form.JSON and output is None:
        print_json(report.export_json(delivery))
        return
    with _terminable():
        path = opened.export(
            trial,
            to=to.value,
            output=output,
            inputs=inputs or None,
            say=lambda message: print(message, file=sys.stderr),
        )
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        print(shown(file))
    if delivery.weights is not None and to is Form.TORCH:
        print(f"{delivery.title}; weights of {shown(delivery.weights)}", file=sys.stderr)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM leaves as Ctrl-C does: what is half written is removed."""

    def terminated(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal_handlers.install(signal.SIGTERM, terminated)
    try:
        yield
    finally:
        signal_handlers.uninstall(signal.SIGTERM, terminated)
