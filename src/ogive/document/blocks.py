"""What a report says, before it is HTML or Markdown: sections of blocks. Text is plain text; only figures are markup."""

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
    """Rows under a head. The columns in `texts` are texts; all others but the first are set as numbers, to the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    texts: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Drawing:
    """An SVG. `name` is unique on the page; `about` tells what can be seen to who cannot see it."""

    name: str
    svg: str
    about: str


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
    """The whole report.

    Attributes:
        lead: what was searched, in a sentence.
        summary: what a reader needs to decide: question and answer.
        tiles: value and name.
    """

    title: str
    lead: str
    summary: Sequence[tuple[str, str]]
    tiles: Sequence[tuple[str, str]]
    sections: Sequence[Section]
