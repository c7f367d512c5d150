"""`ogive reproduce`: repeat a trial and compare its metrics with the journal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ogive.cli.common import AsJson, RunPath, open_run, relative_path
from ogive.cli.terminal import print_json, print_table, print_text

if TYPE_CHECKING:
    from ogive.api.trial_reproduction import Reproduction

MAX_LISTED = 20
"""At most this many differences are listed."""


def reproduce(
    run: RunPath,
    trial: Annotated[int, typer.Option(min=0, help="Number of the trial.")],
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="Metric that is not compared, such as 'latency*'. May be repeated. Default: none."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder of the repetition. Default: reproduced/TRIAL in the run."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Repeat a trial and compare every metric with the journal.

    The trial is trained in a new process; the run itself is not changed. First,
    differences to the environment in which the trial ran are listed. Metrics of
    the clock (`seconds`, names that end in `_seconds`) are not compared.

    Example: ogive reproduce runs/digits --trial 12

    Exit codes: 0 - all values are equal, bit for bit. 1 - a value differs.
    2 - an error that you can correct.
    """
    opened = open_run(run, trust=True)
    result = opened.reproduce(
        trial, ignore=ignore or (), folder=output, say=lambda message: print_text(message, file=sys.stderr)
    )
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)
    if not result.same:
        raise typer.Exit(1)


def _print(result: Reproduction) -> None:
    """Print whether the trial was reproduced, and how its repetition differs."""
    from ogive.formatting import plural

    if not result.environment:
        print_text("the environment is the same as when the trial ran")
    ignored = f"; not compared: {', '.join(result.ignored)}" if result.ignored else ""
    compared = f"{plural(result.values, 'value')} at {plural(result.steps, 'step')}"
    if result.same and not result.values:
        print_text(f"trial {result.trial} reported nothing, and the repetition ended in the same way")
        return
    if result.same:
        print_text(f"trial {result.trial} was reproduced: {compared} are equal{ignored}")
        return
    different = len(result.differences)
    print_text(f"trial {result.trial} was not reproduced: {different} of {compared} differ{ignored}")
    if result.ended:
        print_text(f"the repetition ended differently: {result.ended}")
    _print_differences(result)
    print_text(f"output of the repetition: {relative_path(Path(result.folder))}")


def _print_differences(result: Reproduction) -> None:
    """Print the table of the first differences."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("step", "metric", "journal", "repetition", "difference"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for item in result.differences[:MAX_LISTED]:
        values = [repr(value) if value is not None else "not reported" for value in (item.journal, item.again)]
        difference = ""
        if item.journal is not None and item.again is not None:
            difference = f"{item.again - item.journal:.3g}"
        table.add_row(str(item.step), item.metric, *values, difference)
    if result.differences:
        print_table(table)
    if len(result.differences) > MAX_LISTED:
        print_text(f"and {len(result.differences) - MAX_LISTED} more (--json lists all)")
