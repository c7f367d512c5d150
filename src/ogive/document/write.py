"""Write a document to a file: HTML, or Markdown with its drawings in a folder beside it."""

from __future__ import annotations

from pathlib import Path

from ogive.document.blocks import Document, Drawing
from ogive.document.html import render_html
from ogive.document.markdown import make_standalone, render_markdown
from ogive.files import replace_text

SUFFIXES = {"html": ".html", "md": ".md"}
"""The suffix of each format of a document."""


def write_page(page: Document, target: Path, figures: Path | None = None) -> None:
    """Write `page` to `target`: as Markdown if its name ends in `.md`, else as HTML.

    Args:
        page: the document.
        target: the file; it is replaced if it exists, and its folder is created.
        figures: the folder for the drawings of a Markdown document. Default: `<stem>-figures` beside `target`.

    Raises:
        OSError: a file cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix != SUFFIXES["md"]:
        replace_text(target, render_html(page))
        return
    folder = figures or target.with_name(f"{target.stem}-figures")
    folder.mkdir(exist_ok=True)

    def save_drawing(drawing: Drawing) -> str:
        path = folder / f"{drawing.name}.svg"
        replace_text(path, make_standalone(drawing.svg, page.style))
        return f"{folder.name}/{path.name}"

    replace_text(target, render_markdown(page, save_drawing))
