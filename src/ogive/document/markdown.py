"""A report as Markdown, with the same content; drawings become files beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ogive.document.blocks import (
    Block,
    Card,
    Cards,
    Code,
    Drawing,
    Fold,
    Items,
    Keys,
    Markup,
    Page,
    Row,
    Table,
    Text,
)
from ogive.drawing.plot import STYLE

_SPECIAL = re.compile(r"[\\`*\[\]<>|#&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What has a meaning in Markdown; an underscore within a word has none."""

Place = Callable[[Drawing], str]
"""Puts a drawing somewhere, and returns the link to it."""


def render_markdown(page: Page, place: Place) -> str:
    """The page as CommonMark with tables."""
    lines = [f"# {_plain(page.title)}", _plain(page.lead)]
    lines += [f"**{_plain(question)}** {_plain(answer)}" for question, answer in page.summary]
    if page.tiles:
        lines.append(_table(["", ""], [(name, value) for value, name in page.tiles]))
    lines.append("\n".join(f"- [{_plain(section.title)}](#{_anchor(section.title)})" for section in page.sections))
    for section in page.sections:
        lines.append(f"## {_plain(section.title)}")
        lines += _blocks(section.blocks, place, 3)
    return "\n\n".join(line for line in lines if line) + f"\n\n{page.footer}\n"


def standalone(svg: str, style: str = "") -> str:
    """Return a drawing as a file of its own: with the style that a page gives it, and `style` beside it."""
    style = f"<style>:root {{ color-scheme: light dark; }}{STYLE}{style}</style>"
    return re.sub(r"(<svg[^>]*>)", lambda found: found.group(1) + style, svg, count=1) + "\n"


def _blocks(blocks: Sequence[Block], place: Place, level: int) -> Iterator[str]:
    for block in blocks:
        yield from _block(block, place, level)


def _block(block: Block, place: Place, level: int) -> Iterator[str]:
    below = partial(_blocks, place=place, level=level + 1)
    match block:
        case Text(text):
            yield _plain(text)
        case Items(lines):
            yield "\n".join(f"- {_plain(line)}" for line in lines)
        case Keys(rows):
            yield _table(["", ""], rows)
        case Table():
            yield from _titled(block.title, level)
            yield markdown_table(block)
            yield _plain(block.note or "")
        case Code(text):
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            yield f"{fence}text\n{text.rstrip()}\n{fence}"
        case Drawing():
            yield from _titled(block.title, level)
            yield _image(block, place)
        case Row(drawings):
            yield "\n".join(_image(drawing, place) for drawing in drawings)
        case Fold(title, inner):
            yield f"{'#' * min(level, 6)} {_plain(title)}"
            yield from below(inner)
        case Cards(cards):
            for card in cards:
                yield _head(card, level)
                yield from below(card.blocks)
        case Markup(_, text):
            yield text


def _head(card: Card, level: int) -> str:
    figures = ", ".join(f"{name} {value}" for name, value in card.figures)
    about = "; ".join(part for part in (figures, card.note) if part)
    return f"{'#' * min(level, 6)} {_plain(card.title)}" + (f"\n\n{_plain(about)}" if about else "")


def _image(drawing: Drawing, place: Place) -> str:
    return f"![{_plain(drawing.about)}]({place(drawing)})"


def _titled(title: str | None, level: int) -> Iterator[str]:
    if title is not None:
        yield f"{'#' * min(level, 6)} {_plain(title)}"


def markdown_table(table: Table) -> str:
    """Return a table without its title and note."""
    texts = {0, *table.texts}
    return _table(table.head, table.rows, ["---" if i in texts else "---:" for i in range(len(table.head))])


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], rules: Sequence[str] = ("---", "---")) -> str:
    lines = [map(_plain, head), rules, *([_plain(str(cell)) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, in one line; words in `backticks` stay code."""
    parts = re.split(r"(`[^`|]+`)", " ".join(text.split()))
    return "".join(part if i % 2 else _SPECIAL.sub(r"\\\g<0>", part) for i, part in enumerate(parts))


def _anchor(title: str) -> str:
    """The anchor that common renderers give to a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
