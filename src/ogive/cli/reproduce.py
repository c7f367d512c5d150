"""`ogive reproduce`: one trial again, value by value."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ogive.cli.common import AsJson, RunPath, open_run, print_json, print_table, shown

if TYPE_CHECKING:
    from ogive.api.reproduce import Reproduction

MOST = 20
"""Differences that are listed."""


def reproduce(
    run: RunPath,
    trial: Annotated[int, typer.Option(min=0, help="The trial's number.")],
    ignore: Annotated[
        list[str] | None, typer.Option(help="A metric that is not compared, such as 'latency*'; may be given again.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where to; reproduced/TRIAL in the run where left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Repeat a trial in a fresh process and compare every metric at every step. The run itself is not changed.

    Says first what is different from when the trial ran. Metrics of the clock (`seconds`, names that end in `_seconds`)
    are not compared. Exit code 0 when every value is equal, bit for bit, 1 when one is not, 2 for an error that you can
    mend.
    """
    opened = open_run(run, trust=True)
    found = opened.reproduce(
        trial, ignore=ignore or (), folder=output, say=lambda message: print(message, file=sys.stderr)
    )
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)
    if not found.same:
        raise typer.Exit(1)


def _print(found: Reproduction) -> None:
    from ogive.formatting import plural

    if not found.environment:
        print("the environment is as it was when the trial ran")
    ignored = f"; not compared: {', '.join(found.ignored)}" if found.ignored else ""
    compared = f"{plural(found.values, 'value')} at {plural(found.steps, 'step')}"
    if found.same and not found.values:
        print(f"trial {found.trial} reported nothing, and ended in the same way again")
        return
    if found.same:
        print(f"trial {found.trial} is the same again: {compared} are equal{ignored}")
        return
    different = len(found.differences)
    print(f"trial {found.trial} is not the same again: {different} of {compared} differ{ignored}")
    if found.ended:
        print(f"it ended differently: {found.ended}")
    _print_differences(found)
    print(f"its output: {shown(Path(found.folder))}")


def _print_differences(found: Reproduction) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("step", "metric", "journal", "again", "difference"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for item in found.differences[:MOST]:
        values = [repr(value) if value is not None else "not reported" for value in (item.journal, item.again)]
        both = item.journal is not None and item.again is not None
        gap = f"{item.again - item.journal:.3g}" if both else ""  # type: ignore[operator]
        table.add_row(str(item.step), item.metric, *values, gap)
    if found.differences:
        print_table(table)
    if len(found.differences) > MOST:
        print(f"and {len(found.differences) - MOST} more (--json lists all)")
