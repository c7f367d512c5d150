"""Output of the commands: text wrapped to the terminal, tables, and JSON."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_LABEL = re.compile(r" *(?:[-*] |[\w?]+(?: \w+)*:? {2,}|[\w ]{1,18}: )?")
"""The part of a line before its text: an indentation, and the mark of a list or a label."""


def print_text(text: str = "", file: TextIO | None = None, indent: int | None = None) -> None:
    """Print text, wrapped between words if the stream is a terminal.

    Lines that hold a command to copy are printed by `print` instead, because a wrapped command cannot be copied.

    Args:
        text: one or more lines.
        file: the stream. Default: standard output.
        indent: the indentation of continuation lines, if a line is wrapped. Default: the width of the line's label.
    """
    stream = sys.stdout if file is None else file
    print(wrap(text, shutil.get_terminal_size().columns, indent) if stream.isatty() else text, file=stream, flush=True)


def wrap(text: str, width: int, indent: int | None = None) -> str:
    """Return a text whose lines are wrapped to at most `width` characters. Words are never broken.

    Continuation lines are indented by `indent`, or to the end of the line's label. A word that is longer than the width
    gives a longer line.
    """
    lines = []
    for line in text.split("\n"):
        label = _LABEL.match(line)
        # At most a third, so that a long label leaves enough space for the text.
        hanging = min(len(label[0]) if label else 0, width // 3) if indent is None else indent
        parts = textwrap.wrap(
            line, width, subsequent_indent=" " * hanging, break_long_words=False, break_on_hyphens=False
        )
        lines += parts or [""]
    return "\n".join(lines)


def console() -> Console:
    """Return standard output: as wide as the terminal, or 200 characters wide if it is not a terminal."""
    from rich.console import Console

    return Console(soft_wrap=True) if sys.stdout.isatty() else Console(width=200, soft_wrap=True)


def print_table(table: Table) -> None:
    """Print a table: folded to the width of the terminal, or unfolded if standard output is not a terminal."""
    console().print(table, markup=False, soft_wrap=not sys.stdout.isatty())


def print_rows(headings: Sequence[str], rows: Sequence[Sequence[str]], left_aligned: Sequence[str] = ()) -> None:
    """Print rows as a table, or as a paragraph for each row if the table is wider than the terminal.

    Args:
        headings: the heading of each column; the cells of a column without a heading speak for themselves.
        rows: the cells of each row, as many as headings.
        left_aligned: the headings of the columns of text; the other columns are aligned to the right.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left_aligned or not heading else "right")
    for row in rows:
        table.add_row(*row)
    if fits_terminal(table):
        print_table(table)
        return
    for row in rows:
        cells = zip(headings, row, strict=True)
        texts = [f"{heading}: {cell}" if heading else cell for heading, cell in cells if cell not in ("", "-")]
        print_text("; ".join(texts), indent=4)


def fits_terminal(table: Table) -> bool:
    """Return whether a table need not be folded."""
    from rich.measure import Measurement

    screen = console()
    unlimited = screen.options.update(max_width=10_000)
    return not sys.stdout.isatty() or Measurement.get(screen, unlimited, table).maximum <= screen.width


def print_json(value: Any) -> None:
    """Print `value` as JSON; numbers that JSON does not have (NaN, infinity) become texts."""
    print(json.dumps(_strict_json(value), indent=2))


def _strict_json(value: Any) -> Any:
    """Return a value with NaN and infinity as texts, tuples as lists, and keys as texts."""
    if isinstance(value, Mapping):
        return {str(key): _strict_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
