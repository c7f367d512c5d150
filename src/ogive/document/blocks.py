"""The content of a document, before it is HTML or Markdown. Text is plain text; only drawings are markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """A paragraph. `soft` is an explanation that a quick reader skips."""

    text: str
    soft: bool = False


@dataclass(frozen=True)
class Items:
    """A list of lines."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Keys:
    """Names and values."""

    rows: Sequence[tuple[str, object]]


@dataclass(frozen=True)
class Table:
    """Rows under a head. The columns in `texts` are texts; all others but the first are numbers, aligned to the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    texts: frozenset[int] = frozenset()
    title: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Drawing:
    """An SVG. `name` is unique on the page; `about` is the text for readers who cannot see it."""

    name: str
    svg: str
    about: str
    title: str | None = None


@dataclass(frozen=True)
class Code:
    """Text as it stands: a traceback, lines of a file."""

    text: str


@dataclass(frozen=True)
class Fold:
    """Blocks behind a line that opens them."""

    title: str
    blocks: Sequence[Block]
    open: bool = False


@dataclass(frozen=True)
class Card:
    """Blocks in a frame, under a title, a few figures and a note."""

    title: str
    figures: Sequence[tuple[str, str]]
    note: str
    blocks: Sequence[Block]
    bad: bool = False


@dataclass(frozen=True)
class Cards:
    """Cards beside and below each other."""

    cards: Sequence[Card]


@dataclass(frozen=True)
class Row:
    """Drawings beside each other where there is room."""

    drawings: Sequence[Drawing]


@dataclass(frozen=True)
class Markup:
    """HTML of another room of the report, trusted as it is; Markdown shows it as its plain `text`."""

    html: str
    text: str


Block = Text | Items | Keys | Table | Drawing | Code | Fold | Cards | Row | Markup


@dataclass(frozen=True)
class Section:
    """A part of the page. `key` is its anchor."""

    key: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A whole document.

    Attributes:
        lead: what it is about, in a sentence or two.
        sections: its parts, in order.
        footer: the last line.
        summary: questions and answers for a quick reader.
        tiles: values and names.
        style: style sheet of its drawings, beside that of all drawings.
    """

    title: str
    lead: str
    sections: Sequence[Section]
    footer: str
    summary: Sequence[tuple[str, str]] = ()
    tiles: Sequence[tuple[str, str]] = ()
    style: str = ""
