"""The content of a document, before it is written as HTML or Markdown.

Texts are plain text, except that words in `backticks` are shown as code. Drawings are SVG.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: the text.
        soft: whether the paragraph is an explanation that a quick reader may skip.
    """

    text: str
    soft: bool = False


@dataclass(frozen=True)
class Items:
    """A list of lines."""

    lines: Sequence[str]


@dataclass(frozen=True)
class NamedValues:
    """A table of names and values."""

    rows: Sequence[tuple[str, object]]


@dataclass(frozen=True)
class Table:
    """A table with a heading for each column.

    Attributes:
        head: the headings of the columns.
        rows: the rows, each with a cell for every column.
        text_columns: the indices of columns that hold text, besides the first column. The other columns hold numbers, which
            are aligned to the right.
        title: the title above the table; None for no title.
        note: an explanation below the table; None for no explanation.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    text_columns: frozenset[int] = frozenset()
    title: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Drawing:
    """An SVG drawing.

    Attributes:
        name: a name that is unique in the document; the stem of the drawing's file name.
        svg: the SVG document.
        about: a description for readers who cannot see the drawing.
        title: the title above the drawing; None for no title.
    """

    name: str
    svg: str
    about: str
    title: str | None = None


@dataclass(frozen=True)
class Code:
    """Text in a fixed-width font, such as a traceback or lines of a file."""

    text: str


@dataclass(frozen=True)
class Fold:
    """Blocks that are hidden until the reader opens them by their title; `open` shows them from the start."""

    title: str
    blocks: Sequence[Block]
    open: bool = False


@dataclass(frozen=True)
class Card:
    """Blocks in a frame.

    Attributes:
        title: the title of the card.
        numbers: numbers beside the title, as (name, value).
        note: a short text beside these numbers.
        blocks: the content.
        is_error: whether the card shows an error.
    """

    title: str
    numbers: Sequence[tuple[str, str]]
    note: str
    blocks: Sequence[Block]
    is_error: bool = False


@dataclass(frozen=True)
class Cards:
    """Cards side by side, in as many rows as they need."""

    cards: Sequence[Card]


@dataclass(frozen=True)
class DrawingRow:
    """Drawings side by side, where the page is wide enough."""

    drawings: Sequence[Drawing]


Block = Text | Items | NamedValues | Table | Drawing | Code | Fold | Cards | DrawingRow


@dataclass(frozen=True)
class Section:
    """A part of the document. `key` is its anchor in HTML; in Markdown the anchor follows from the title."""

    key: str
    title: str
    blocks: Sequence[Block]

    @property
    def only_text(self) -> str | None:
        """The text of a section that consists of one paragraph, None for other sections.

        Such a section is shown on one line with its title.
        """
        if len(self.blocks) == 1 and isinstance(self.blocks[0], Text):
            return self.blocks[0].text
        return None


@dataclass(frozen=True)
class Document:
    """A whole document.

    Attributes:
        title: the title of the document.
        lead: one or two sentences below the title that say what the document is about.
        sections: the sections, in order.
        footer: the last line.
        summary: questions and answers for a quick reader.
        tiles: the main numbers, as (value, name).
        style: a style sheet for the drawings, in addition to the style sheet that all drawings have.
    """

    title: str
    lead: str
    sections: Sequence[Section]
    footer: str
    summary: Sequence[tuple[str, str]] = ()
    tiles: Sequence[tuple[str, str]] = ()
    style: str = ""
