"""A report as one HTML page that needs nothing else: no script, no font, no network."""

from __future__ import annotations

import re

import jinja2
from markupsafe import Markup as Safe
from markupsafe import escape

from ogive.document.blocks import Page
from ogive.drawing.plot import STYLE


def render_html(page: Page) -> str:
    """The page. All text is escaped; drawings go in as they are."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ogive.document"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["safe_markup"] = Safe
    environment.filters["prose"] = _prose
    return environment.get_template("page.html").render(page=page, figures=Safe(STYLE + page.style))


def _prose(text: str) -> Safe:
    """Text whose `words` in backticks are set as code."""
    return Safe(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))
