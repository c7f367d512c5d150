"""Render a document as one HTML page without scripts, external fonts or network access."""

from __future__ import annotations

import re

import jinja2
from markupsafe import Markup as Safe
from markupsafe import escape

from ogive.document.blocks import Document
from ogive.drawing.plot import STYLE


def render_html(page: Document) -> str:
    """Return the document as HTML. All text is escaped; drawings are inserted unchanged."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ogive.document"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: (
        type(block).__name__
    )  # the template selects a macro by the class of a block
    environment.filters["safe_markup"] = Safe
    environment.filters["prose"] = _mark_code
    return environment.get_template("page.html").render(page=page, drawing_style=Safe(STYLE + page.style))


def _mark_code(text: str) -> Safe:
    """Return the text as HTML, with the words in `backticks` as code."""
    return Safe(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))
