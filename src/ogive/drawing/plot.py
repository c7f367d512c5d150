"""Draw axes, points and lines as SVG text.

Written by hand rather than with a plotting library: a dozen figures take milliseconds, ten thousand points are one path,
and colours are classes of the page's style sheet, so that they follow its light or dark scheme.

Pixels are counted from the upper left corner, x to the right and y downwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import FloatArray
from ogive.drawing.axis_scale import AxisScale, format_ticks

MAX_TOOLTIPS = 400
"""Up to this number of points, each point has a tooltip; more points are drawn as a single path."""
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 46
"""Margins of a plot in pixels."""
CHARACTER = 6.6
"""Average width of a character in pixels."""
TEXT_HEIGHT = 14.0
"""Height of a text in pixels."""
TEXT_DISTANCE = 8.0
"""Distance of a text from its point in pixels."""
DESCENT = 3
"""Distance of the baseline of a text from its lower edge in pixels."""
X_TICK_DISTANCE, Y_TICK_DISTANCE = 75, 42
"""The approximate distance between two ticks in pixels."""
TEXT_SHIFTS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))
"""The sides of a point on which its text may be, the best first: right, left, above, below, and the corners."""
PIXELS = 4096
"""More than the height of any drawing, so that x * PIXELS + y identifies a pixel."""

# Classes of colours: c0 to c5 are for series, r0 to r3 for rungs from the lowest to the highest. In a class of a shape,
# f fills it with the colour, and s strokes its outline.
STYLE = """
svg.figure { color: var(--ink, #1b1f24); font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; }
svg.figure text { fill: currentColor; }
svg.figure .tick { opacity: .72; font-variant-numeric: tabular-nums; }
svg.figure .grid { stroke: currentColor; opacity: .12; }
svg.figure .axis { stroke: currentColor; opacity: .5; fill: none; }
svg.figure .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg.figure .dash { stroke-dasharray: 6 4; stroke-width: 1.6; }
svg.figure .dots { fill: none; stroke-linecap: round; }
svg.figure .mark { fill: none; stroke-width: 1.3; }
svg.figure .shade { stroke: none; opacity: .14; }
svg.figure .note { font-size: 11px; opacity: .8; }
svg.figure .strong { font-weight: 600; }
.c0 { color: #0b6fc2; } .c1 { color: #d97706; } .c2 { color: #0a8f6c; } .c3 { color: #b4539b; } .c4 { color: #c2410c; }
.c5 { color: #5a9bd4; } .grey { color: #8a8f98; } .bad { color: #c93c3c; }
.r0 { color: #bcc9d6; } .r1 { color: #86b6e2; } .r2 { color: #3f8fd8; } .r3 { color: #1c4f8a; }
.f { fill: currentColor; } .s { stroke: currentColor; }
@media (prefers-color-scheme: dark) {
  svg.figure { color: var(--ink, #e3e6ea); }
  .c0 { color: #5aa9f0; } .c1 { color: #f0a040; } .c2 { color: #41c9a4; } .c3 { color: #d98cc4; } .c4 { color: #f08a5d; }
  .c5 { color: #a8cdf0; } .bad { color: #ef7676; }
  .r0 { color: #46535f; } .r1 { color: #3f6a93; } .r2 { color: #4c90cf; } .r3 { color: #b5d6f5; }
}
"""


LegendEntry = tuple[str, str, str]
"""The kind of the symbol (see `_legend_symbol`), the class of its colour in `STYLE`, and the label."""


class TextBox(NamedTuple):
    """The edges of a text in pixels."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass
class Plot:
    """A drawing with two axes. Marks are drawn in the order in which they are added.

    In all methods, `css` is the class of a mark's colour in `STYLE`; a mark with a `label` has an entry in the legend.

    Attributes:
        x, y: the scales of the axes.
        width, height: the size in pixels, without the legend, which is below.
        left: the left margin in pixels.
        marks: the SVG elements of the marks.
        legend: the entries of the legend.
        text_boxes: the texts beside points, which must not overlap.
    """

    x: AxisScale
    y: AxisScale
    width: float = 900
    height: float = 320
    left: float = LEFT
    marks: list[str] = field(default_factory=list)
    legend: list[LegendEntry] = field(default_factory=list)
    text_boxes: list[TextBox] = field(default_factory=list)

    def to_pixels(self, xs: ArrayLike, ys: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return the pixel coordinates of points."""
        px = self.left + self.x.positions(xs) * (self.width - self.left - RIGHT)
        py = self.height - BOTTOM - self.y.positions(ys) * (self.height - TOP - BOTTOM)
        return px, py

    def _add_to_legend(self, kind: str, css: str, label: str) -> None:
        if label and (kind, css, label) not in self.legend:
            self.legend.append((kind, css, label))

    def dots(
        self,
        xs: ArrayLike,
        ys: ArrayLike,
        css: str,
        label: str = "",
        tooltips: Sequence[str] = (),
        radius: float | None = None,
        hollow: bool = False,
    ) -> None:
        """Add points, with a tooltip for each unless `tooltips` is empty.

        Points left of or below the axes, or outside of the drawing, are omitted, with a tolerance of one pixel at the axes.
        If there are more than `MAX_TOOLTIPS` points, they have no tooltips, and points on the same pixel are drawn once. The
        `radius` is in pixels; None for one that depends on the number of points.
        """
        px, py = self.to_pixels(xs, ys)
        is_inside = (px >= self.left - 1) & (px <= self.width) & (py >= 0) & (py <= self.height - BOTTOM + 1)
        is_inside &= np.isfinite(px) & np.isfinite(py)
        is_few = len(px) <= MAX_TOOLTIPS
        r = radius or (3.2 if is_few else 2.0 if len(px) <= 3000 else 1.4)
        self._add_to_legend("hollow" if hollow else "dot", css, label)
        if is_few:
            style = f'class="mark s {css}"' if hollow else f'class="f {css}" fill-opacity=".8"'
            indices = np.flatnonzero(is_inside).tolist()
            titles = [f"<title>{escape(tooltips[i])}</title>" if tooltips else "" for i in indices]
            circles = (
                f'<circle cx="{px[i]:.1f}" cy="{py[i]:.1f}" r="{r:g}">{title}</circle>'
                for i, title in zip(indices, titles, strict=True)
            )
            self.marks.append(f"<g {style}>{''.join(circles)}</g>")
            return
        pixels = np.unique(px[is_inside].round().astype(np.int64) * PIXELS + py[is_inside].round().astype(np.int64))
        # A segment of length 0 with a round end is a dot.
        path = "".join(f"M{pixel // PIXELS} {pixel % PIXELS}h0" for pixel in pixels.tolist())
        opacity = 0.35 if hollow else 0.7
        self.marks.append(
            f'<path class="dots s {css}" stroke-width="{2 * r:g}" stroke-opacity="{opacity}" d="{path}"/>'
        )

    def line(self, xs: ArrayLike, ys: ArrayLike, css: str, label: str = "", dash: bool = False) -> None:
        """Add a line through points."""
        px, py = self.to_pixels(xs, ys)
        self._add_to_legend("dash" if dash else "line", css, label)
        self._add_polyline(_simplify(px, py), css, dash)

    def steps(self, xs: ArrayLike, ys: ArrayLike, css: str, label: str = "", dash: bool = False) -> None:
        """Add a line that keeps each value until the next point."""
        px, py = self.to_pixels(xs, ys)
        px, py = np.repeat(px, 2)[1:], np.repeat(py, 2)[:-1]
        self._add_to_legend("dash" if dash else "line", css, label)
        self._add_polyline(_simplify(px, py), css, dash)

    def _add_polyline(self, points: Iterable[tuple[float, float]], css: str, dash: bool) -> None:
        text = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        self.marks.append(f'<polyline class="line s {css}{" dash" if dash else ""}" points="{text}"/>')

    def area(self, xs: ArrayLike, ys: ArrayLike, css: str, label: str = "") -> None:
        """Add a shaded polygon."""
        px, py = self.to_pixels(xs, ys)
        text = " ".join(f"{a:.1f},{b:.1f}" for a, b in _simplify(px, py))
        self._add_to_legend("shade", css, label)
        self.marks.append(f'<polygon class="shade f {css}" points="{text}"/>')

    def band(self, low: float, high: float, css: str, label: str = "") -> None:
        """Shade the whole height between `low` and `high` of the x axis."""
        self.area([low, high, high, low], [self.y.low, self.y.low, self.y.high, self.y.high], css, label)

    def crosses(self, xs: ArrayLike, css: str, label: str = "") -> None:
        """Add crosses at the bottom of the drawing, at these values of the x axis."""
        px, _ = self.to_pixels(xs, np.full(np.shape(xs), self.y.low))
        y = self.height - BOTTOM - 5
        path = "".join(f"M{a - 3:g} {y - 3:g}l6 6m0-6l-6 6" for a in np.unique(px.round()).tolist())
        self._add_to_legend("cross", css, label)
        self.marks.append(f'<path class="mark s {css}" d="{path}"/>')

    def text(self, x: float, y: float, text: str, *, required: bool = False) -> None:
        """Add a text beside a point, where it overlaps no text added before.

        Without such a place, the text is left out, unless it is `required`.
        """
        (px,), (py,) = self.to_pixels([x], [y])
        boxes = [self._text_box(px, py, text, shift) for shift in TEXT_SHIFTS]
        inside = [box for box in boxes if box.left >= self.left and box.right <= self.width and box.top >= 0]
        free = [box for box in inside if not any(_overlap(box, other) for other in self.text_boxes)]
        if not free and not required:
            return
        box = next(iter([*free, *inside, *boxes]))
        self.text_boxes.append(box)
        self.marks.append(
            f'<text class="strong" x="{box.left:.1f}" y="{box.bottom - DESCENT:.1f}">{escape(text)}</text>'
        )

    def _text_box(self, px: float, py: float, text: str, shift: tuple[int, int]) -> TextBox:
        """Return the box of a text beside a pixel; `shift` is one of `TEXT_SHIFTS`."""
        width = len(text) * CHARACTER
        left = px + shift[0] * TEXT_DISTANCE - {1: 0.0, 0: width / 2, -1: width}[shift[0]]
        middle = py + shift[1] * (TEXT_DISTANCE + TEXT_HEIGHT / 2 - 2)
        return TextBox(left, middle - TEXT_HEIGHT / 2, left + width, middle + TEXT_HEIGHT / 2)

    def svg(self, about: str) -> str:
        """Return the drawing as an SVG document; `about` describes it for readers who cannot see it."""
        legend, legend_height = self._draw_legend()
        height = self.height + legend_height
        head = (
            f'<svg class="figure" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {height:g}" '
            f'width="{self.width:g}" height="{height:g}" role="img" aria-label={quoteattr(about)}>'
        )
        return "".join([head, *self._draw_axes(), *self.marks, *legend, "</svg>"])

    def _draw_axes(self) -> Iterable[str]:
        """Yield the axes with their labels, and the ticks with their grid lines."""
        foot, right = self.height - BOTTOM, self.width - RIGHT
        x_ticks = self.x.ticks(max(3, min(9, int((right - self.left) / X_TICK_DISTANCE))))
        for value, text in zip(x_ticks, format_ticks(x_ticks), strict=True):
            px = float(self.to_pixels([value], [self.y.high])[0][0])
            yield f'<path class="grid" d="M{px:.1f} {TOP}V{foot:g}"/>'
            yield f'<text class="tick" x="{px:.1f}" y="{foot + 17:g}" text-anchor="middle">{text}</text>'
        y_ticks = self.y.ticks(max(3, int((foot - TOP) / Y_TICK_DISTANCE)))
        for value, text in zip(y_ticks, format_ticks(y_ticks), strict=True):
            py = float(self.to_pixels([self.x.low], [value])[1][0])
            yield f'<path class="grid" d="M{self.left:g} {py:.1f}H{right:g}"/>'
            yield f'<text class="tick" x="{self.left - 8:g}" y="{py + 4:.1f}" text-anchor="end">{text}</text>'
        yield f'<path class="axis" d="M{self.left:g} {TOP}V{foot:g}H{right:g}"/>'
        center_x, center_y = (self.left + right) / 2, (TOP + foot) / 2
        yield f'<text x="{center_x:g}" y="{foot + 36:g}" text-anchor="middle">{escape(self.x.label)}</text>'
        label = escape(self.y.label)
        yield f'<text transform="translate(14 {center_y:g}) rotate(-90)" text-anchor="middle">{label}</text>'

    def _draw_legend(self) -> tuple[list[str], float]:
        """Return the elements of the legend, which is below the drawing in as many lines as it needs, and its height."""
        if not self.legend:
            return [], 0
        entries: list[str] = []
        x, y = self.left, self.height + 12
        for kind, css, label in self.legend:
            width = 28 + len(label) * CHARACTER + 14
            if x > self.left and x + width > self.width:
                x, y = self.left, y + 20
            symbol = _legend_symbol(kind, css)
            entries.append(
                f'<g transform="translate({x:g} {y:g})">{symbol}<text x="26" y="4">{escape(label)}</text></g>'
            )
            x += width
        return entries, y + 12 - self.height


def _overlap(a: TextBox, b: TextBox) -> bool:
    return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom


def _legend_symbol(kind: str, css: str) -> str:
    """Return the symbol of a legend entry; `kind` is dot, hollow, shade, cross, dash or line."""
    match kind:
        case "dot":
            return f'<circle class="f {css}" cx="10" cy="0" r="3.6"/>'
        case "hollow":
            return f'<circle class="mark s {css}" cx="10" cy="0" r="3.6"/>'
        case "shade":
            return f'<rect class="shade f {css}" x="0" y="-6" width="20" height="12" style="opacity:.3"/>'
        case "cross":
            return f'<path class="mark s {css}" d="M7 -3l6 6m0-6l-6 6"/>'
        case "dash":
            return f'<path class="line dash s {css}" d="M0 0h20"/>'
    return f'<path class="line s {css}" d="M0 0h20"/>'


def _simplify(px: FloatArray, py: FloatArray) -> list[tuple[float, float]]:
    """Return the points of a line, rounded to 0.1 pixels, without repeated points.

    Points on a horizontal or vertical part are left out as well, unless the line turns back there.
    """
    points = np.stack([px.round(1), py.round(1)], axis=1)
    # The slice is for a line without points.
    points = points[np.append(True, (points[1:] != points[:-1]).any(axis=1))[: len(points)]]
    directions = np.sign(np.diff(points, axis=0))
    before, after = directions[:-1], directions[1:]
    needed = np.ones(len(points), dtype=bool)
    needed[1:-1] = (before != after).any(axis=1) | (before != 0).all(axis=1)
    return [(a, b) for a, b in points[needed].tolist()]
