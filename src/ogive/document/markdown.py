"""Render a document as Markdown, with the content of the HTML page; drawings become files beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ogive.document.blocks import (
    Block,
    Card,
    Cards,
    Code,
    Document,
    Drawing,
    DrawingRow,
    Fold,
    Items,
    NamedValues,
    Table,
    Text,
)
from ogive.drawing.plot import STYLE

_SPECIAL = re.compile(r"[\\`*\[\]<>|#&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""Characters with a meaning in Markdown. An underscore within a word has none."""

SaveDrawing = Callable[[Drawing], str]
"""Saves a drawing and returns the link to it."""


def render_markdown(page: Document, save_drawing: SaveDrawing) -> str:
    """Return the document as CommonMark with tables."""
    lines = [f"# {_escape(page.title)}", _escape(page.lead)]
    lines += [f"**{_escape(question)}** {_escape(answer)}" for question, answer in page.summary]
    if page.tiles:
        lines.append(_table(["", ""], [(name, value) for value, name in page.tiles]))
    linked = [section for section in page.sections if section.only_text is None]
    lines.append("\n".join(f"- [{_escape(section.title)}](#{_anchor(section.title)})" for section in linked))
    for section in page.sections:
        if section.only_text is not None:
            lines.append(f"**{_escape(section.title)}:** {_escape(section.only_text)}")
            continue
        lines.append(f"## {_escape(section.title)}")
        lines += _render_blocks(section.blocks, save_drawing, 3)
    return "\n\n".join(line for line in lines if line) + f"\n\n{page.footer}\n"


def make_standalone(svg: str, style: str = "") -> str:
    """Return a drawing for a file of its own: with the style sheet of a page, and with `style`."""
    style = f"<style>:root {{ color-scheme: light dark; }}{STYLE}{style}</style>"
    return re.sub(r"(<svg[^>]*>)", lambda tag: tag.group(1) + style, svg, count=1) + "\n"


def _render_blocks(blocks: Sequence[Block], save_drawing: SaveDrawing, level: int) -> Iterator[str]:
    """Yield the paragraphs of blocks. `level`: the level of their headings, 3 below a section."""
    for block in blocks:
        yield from _render_block(block, save_drawing, level)


def _render_block(block: Block, save_drawing: SaveDrawing, level: int) -> Iterator[str]:
    render_inner = partial(_render_blocks, save_drawing=save_drawing, level=level + 1)
    match block:
        case Text(text):
            yield _escape(text)
        case Items(lines):
            yield "\n".join(f"- {_escape(line)}" for line in lines)
        case NamedValues(rows):
            yield _table(["", ""], rows)
        case Table():
            yield from _render_title(block.title, level)
            yield markdown_table(block)
            yield _escape(block.note or "")
        case Code(text):
            # The fence must be longer than every run of backticks in the text.
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            yield f"{fence}text\n{text.rstrip()}\n{fence}"
        case Drawing():
            yield from _render_title(block.title, level)
            yield _image(block, save_drawing)
        case DrawingRow(drawings):
            yield "\n".join(_image(drawing, save_drawing) for drawing in drawings)
        case Fold(title, inner):
            yield f"{'#' * min(level, 6)} {_escape(title)}"
            yield from render_inner(inner)
        case Cards(cards):
            for card in cards:
                yield _card_heading(card, level)
                yield from render_inner(card.blocks)


def _card_heading(card: Card, level: int) -> str:
    numbers = ", ".join(f"{name} {value}" for name, value in card.numbers)
    about = "; ".join(part for part in (numbers, card.note) if part)
    return f"{'#' * min(level, 6)} {_escape(card.title)}" + (f"\n\n{_escape(about)}" if about else "")


def _image(drawing: Drawing, save_drawing: SaveDrawing) -> str:
    return f"![{_escape(drawing.about)}]({save_drawing(drawing)})"


def _render_title(title: str | None, level: int) -> Iterator[str]:
    if title is not None:
        yield f"{'#' * min(level, 6)} {_escape(title)}"


def markdown_table(table: Table) -> str:
    """Return a table as Markdown, without its title and note."""
    text_columns = {0, *table.text_columns}
    return _table(table.head, table.rows, ["---" if i in text_columns else "---:" for i in range(len(table.head))])


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], rules: Sequence[str] = ("---", "---")) -> str:
    lines = [map(_escape, head), rules, *([_escape(str(cell)) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escape(text: str) -> str:
    """Return the text on one line, escaped so that Markdown shows it unchanged; words in `backticks` stay code."""
    # `split` with a group returns the words in backticks at the odd indices.
    parts = re.split(r"(`[^`|]+`)", " ".join(text.split()))
    return "".join(part if i % 2 else _SPECIAL.sub(r"\\\g<0>", part) for i, part in enumerate(parts))


def _anchor(title: str) -> str:
    """Return the anchor that common renderers give to a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
