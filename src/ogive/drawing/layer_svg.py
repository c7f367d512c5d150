"""Render layer boxes as SVG. Sizes are in pixels; text is monospaced, so that its width is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from ogive.drawing.layer_tree import LayerBox, Setting, list_node_inputs

FONT_SIZE = 11
CHARACTER_WIDTH = 6.7
"""The width of a character at size `FONT_SIZE`; a little more than most fonts need."""
LINE_HEIGHT = 16
"""The height of a line of text."""
PADDING = 8
"""The space between a frame and the contents of the box."""
TEXT_MARGIN = 2
"""The space above and below the characters within a text; paddings are reduced by it."""
STACK_SHIFT, MAX_STACKED = 3, 2
"""Each frame behind that of a repeated layer is shifted right and down by this much, and there are at most two of them."""
GAP = 16
"""The space above a layer, for the arrow."""
NAMED_GAP = 6
"""The space above a layer that is passed as a named argument: no arrow leads to such a layer."""
COLUMN_GAP = 30
COLUMN_HEIGHT = 520
"""A taller chain continues in another column."""
MAX_LINE_LENGTH = 44
"""A line of settings has at most this many characters, unless a single setting is longer."""
ACCENT = "#2f7de1"
"""The colour of chosen alternatives; readable on white and on black."""

Segment = tuple[str, str]
"""A text and its style: "title", "chosen" or "fixed"."""
_STYLES = {
    "title": 'font-weight="600"',
    "chosen": f'font-weight="600" fill="{ACCENT}"',
    "fixed": 'fill-opacity="0.65"',
}


@dataclass(frozen=True)
class LayerPicture:
    """A picture of a known size.

    Attributes:
        width, height: the size in pixels.
        draw: a function of (x, y) that yields the SVG elements of the picture with its upper left corner at (x, y).
    """

    width: float
    height: float
    draw: Callable[[float, float], Iterator[str]]


def render_svg(box: LayerBox) -> str:
    """Return a box as an SVG document."""
    inner = _box_picture(box)
    width, height = inner.width + 2, inner.height + 2  # a margin of 1 for the strokes of frames
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" style="max-width:100%;height:auto" '
        f'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="{FONT_SIZE}" fill="currentColor">'
    )
    return "\n".join([head, *inner.draw(1, 1), "</svg>"])


def _box_picture(box: LayerBox) -> LayerPicture:
    """Return the picture of a layer: a frame around its title, its settings, and the pictures of the layers inside."""
    lines = [*_header_lines(box), *(_node_line(row) for row in (list_node_inputs(box) if box.is_dense_cell else ()))]
    text = _text_picture(lines)
    body = _columns_picture(box.children) if box.children and not box.is_dense_cell else None
    width = max(text.width, body.width if body else 0) + 2 * PADDING
    height = text.height + 2 * (PADDING - TEXT_MARGIN) + (body.height + PADDING / 2 if body else 0)
    # A repeated layer is a stack of frames; a block with layers inside has one frame and a count.
    stacked_count = 0 if body else min(box.times - 1, MAX_STACKED)
    tooltip = escape("\n".join(_decision_lines(box)))

    def draw(x: float, y: float) -> Iterator[str]:
        yield f"<g><title>{tooltip}</title>" if tooltip else "<g>"
        # The frames behind come first.
        for index in range(stacked_count, -1, -1):
            shift = STACK_SHIFT * index
            yield _frame(x + shift, y + shift, width, height, chosen=bool(box.label), leaf=not box.children)
        yield from text.draw(x + PADDING, y + PADDING - TEXT_MARGIN)
        if body:
            yield from body.draw(x + (width - body.width) / 2, y + text.height + PADDING)
        yield "</g>"

    extra = STACK_SHIFT * stacked_count
    return LayerPicture(width + extra, height + extra, draw)


def _frame(x: float, y: float, width: float, height: float, *, chosen: bool, leaf: bool) -> str:
    if chosen:
        colours = f'fill="{ACCENT}" fill-opacity="0.1" stroke="{ACCENT}"'
    else:
        shade = 0.06 if leaf else 0.02
        colours = f'fill="currentColor" fill-opacity="{shade}" stroke="currentColor" stroke-opacity="0.4"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="5" {colours}/>'


def _header_lines(box: LayerBox) -> Iterator[list[Segment]]:
    """Yield the title, then the settings in lines of at most `MAX_LINE_LENGTH` characters, chosen ones first."""
    title: list[Segment] = [(f"{box.name}: ", "fixed")] if box.name else []
    if box.label:
        title.append((box.label, "chosen"))
        title += [(f" {box.title}", "title")] if box.label != box.title else []
    else:
        title.append((box.title, "title"))
    yield title + ([(f" x{box.times}", "title")] if box.times > 1 else [])
    yield from _wrap_settings([setting for setting in box.settings if setting.chosen])
    yield from _wrap_settings([setting for setting in box.settings if not setting.chosen])


def _wrap_settings(settings: Sequence[Setting]) -> Iterator[list[Segment]]:
    """Yield the settings in lines; a setting is never broken."""
    line: list[Segment] = []
    for setting in settings:
        name = f"{setting.name}=" if setting.name else ""
        length = sum(len(text) for text, _ in line)
        if line and length + len(name) + len(setting.text) + 2 > MAX_LINE_LENGTH:
            yield line
            line = []
        value = (setting.text, "chosen" if setting.chosen else "fixed")
        line += [("  " + name if line else name, "fixed"), value]
    if line:
        yield line


def _node_line(row: tuple[int, list[tuple[int, LayerBox]]]) -> list[Segment]:
    """Return a node of a dense cell, an item of `list_node_inputs`, as the sum of its inputs."""
    target, sources = row
    line: list[Segment] = [(f"node {target} = ", "fixed")]
    for position, (source, operation) in enumerate(sources):
        line += [(" + ", "fixed")] if position else []
        line += [
            (operation.label or operation.title, "chosen" if operation.label else "title"),
            (f"({source})", "fixed"),
        ]
    return line


def _text_picture(lines: Sequence[Sequence[Segment]]) -> LayerPicture:
    """Return the picture of lines of text."""
    width = max(sum(len(text) for text, _ in line) for line in lines) * CHARACTER_WIDTH

    def draw(x: float, y: float) -> Iterator[str]:
        for row, line in enumerate(lines):
            spans = "".join(f"<tspan {_STYLES[style]}>{escape(text)}</tspan>" for text, style in line if text)
            yield f'<text xml:space="preserve" x="{x:.1f}" y="{y + LINE_HEIGHT * row + FONT_SIZE + 1:.1f}">{spans}</text>'

    return LayerPicture(width, LINE_HEIGHT * len(lines), draw)


def _columns_picture(children: Sequence[LayerBox]) -> LayerPicture:
    """Return layers from top to bottom, in several columns if a single column would be too tall.

    Arrows join consecutive layers, except those that are passed as named arguments.
    """
    pictures = [_box_picture(child) for child in children]
    gaps = [NAMED_GAP if child.name else GAP for child in children]
    columns = _split_into_columns([p.height + gap for p, gap in zip(pictures, gaps, strict=True)])
    widths = [max(pictures[i].width for i in column) for column in columns]
    heights = [sum(pictures[i].height + gaps[i] for i in column) - gaps[column[0]] for column in columns]
    # The space above and below the columns, for the arrows from column to column.
    margin = 12 if len(columns) > 1 else 0

    def draw(x: float, y: float) -> Iterator[str]:
        left = x
        for index, (column, width) in enumerate(zip(columns, widths, strict=True)):
            middle, bottom = left + width / 2, y + margin
            for i in column:
                top = bottom if i == column[0] else bottom + gaps[i]
                if i > column[0] and not children[i].name:
                    yield _arrow([(middle, bottom + 1), (middle, top)])
                yield from pictures[i].draw(middle - pictures[i].width / 2, top)
                bottom = top + pictures[i].height
            if index + 1 < len(columns) and not children[columns[index + 1][0]].name:
                # From the foot of this column, up between the two columns, to the top of the next column.
                between = left + width + COLUMN_GAP / 2
                next_middle = left + width + COLUMN_GAP + widths[index + 1] / 2
                points = [(middle, bottom), (middle, bottom + 8), (between, bottom + 8), (between, y + 1)]
                yield _arrow([*points, (next_middle, y + 1), (next_middle, y + margin)])
            left += width + COLUMN_GAP

    return LayerPicture(sum(widths) + COLUMN_GAP * (len(columns) - 1), max(heights) + 2 * margin, draw)


def _split_into_columns(heights: Sequence[float]) -> list[list[int]]:
    """Return the indices of the items in each column. Columns have about equal heights, not much above `COLUMN_HEIGHT`."""
    height = sum(heights) / max(1, math.ceil(sum(heights) / COLUMN_HEIGHT))
    columns: list[list[int]] = [[]]
    used = 0.0
    for i, item_height in enumerate(heights):
        if columns[-1] and used + item_height / 2 > height:
            columns.append([])
            used = 0.0
        columns[-1].append(i)
        used += item_height
    return columns


def _arrow(points: Sequence[tuple[float, float]]) -> str:
    """Return a line through points that ends in an arrowhead pointing down."""
    x, y = points[-1]
    line = " ".join(f"{px:.1f},{py:.1f}" for px, py in [*points[:-1], (x, y - 4)])
    head = f"{x - 3:.1f},{y - 5:.1f} {x + 3:.1f},{y - 5:.1f} {x:.1f},{y:.1f}"
    return (
        f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-opacity="0.6"/>'
        f'<polygon points="{head}" fill-opacity="0.6"/>'
    )


def _decision_lines(box: LayerBox) -> Iterator[str]:
    """Yield the decisions that this layer depends on, for the tooltip."""
    if box.decision:
        yield f"{box.decision} = {box.label}"
    yield from (f"{s.name or s.text}: {s.decision}" for s in box.settings if s.decision and s.decision != s.name)
    if box.is_dense_cell:
        yield from (f"{child.decision} = {child.label}" for child in box.children if child.decision)
