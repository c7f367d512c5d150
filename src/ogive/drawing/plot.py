"""Draw axes, points and lines as SVG text.

Written by hand rather than with a plotting library: a dozen figures take milliseconds, ten thousand points are one path,
and colours are classes of the page's style sheet, so that they follow its light or dark scheme.

Pixels are counted from the upper left corner, x to the right and y downwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import FloatArray

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
TEXT_SHIFTS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))
"""The sides of a point on which its text may be, the best first: right, left, above, below, and the corners."""
PIXELS = 4096
"""More than the height of any drawing, so that x * PIXELS + y identifies a pixel."""

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


LARGEST, SMALLEST = 1e150, 1e-150
"""Larger values are drawn at `LARGEST`, smaller ones at 0."""


@dataclass(frozen=True)
class AxisScale:
    """The scale of an axis.

    Attributes:
        low, high: the ends; both above 0 on a log scale.
        label: the text beside the axis.
        log: whether the scale is logarithmic.
        whole: whether only whole numbers are marked.
    """

    low: float
    high: float
    label: str = ""
    log: bool = False
    whole: bool = False

    def positions(self, values: ArrayLike) -> FloatArray:
        """Return the positions of values between the ends, 0 to 1 [n]."""
        points = _bounded(values)
        low, high = self.low, self.high
        if self.log:
            points, low, high = np.log(points), math.log(low), math.log(high)
        return np.asarray((points - low) / ((high - low) or 1.0))

    def ticks(self, count: int = 6) -> list[float]:
        """Return about `count` round numbers on the axis."""
        if self.log:
            return self._decades(count)
        step = _step((self.high - self.low) / count, self.whole)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(n * step, 12) for n in range(first, last + 1)]

    def _decades(self, count: int) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for factors in ((1, 2, 5), (1, 3), (1,)):
            every = max(1, math.ceil((last - first) / count)) if factors == (1,) else 1
            ticks = [f * 10.0**d for d in range(first, last + 1, every) for f in factors]
            ticks = [value for value in ticks if self.low <= value <= self.high]
            if len(ticks) <= count + 2 or factors == (1,):
                break
        return ticks


def fit_scale(
    values: ArrayLike, label: str = "", log: bool = False, margin: float = 0.04, whole: bool = False
) -> AxisScale:
    """Return a scale over all finite `values`, with a margin on both sides as a share of their range."""
    points = _bounded(values)
    points = points[np.isfinite(points)]
    low, high = (float(points.min()), float(points.max())) if len(points) else (0.0, 1.0)
    if log and low > 0 and high > low:
        stretch = (high / low) ** margin
        return AxisScale(low / stretch, high * stretch, label, True, whole)
    span = (high - low) or abs(high) or 1.0
    return AxisScale(low - margin * span, high + margin * span, label, False, whole)


def _bounded(values: ArrayLike) -> FloatArray:
    """Return values whose differences and ratios can be computed without overflow; NaN and infinities are kept."""
    points = np.asarray(values, dtype=np.float64)
    bounded = np.where(np.abs(points) < SMALLEST, 0.0, np.clip(points, -LARGEST, LARGEST))
    return np.where(np.isfinite(points), bounded, points)


def _step(rough: float, whole: bool) -> float:
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.8)
    return max(1.0, math.ceil(step)) if whole else step


def format_ticks(values: Sequence[float]) -> list[str]:
    """Return short texts of tick values; large values with k, M, G or T."""
    top = max((abs(value) for value in values), default=0.0)
    if top >= 1e15 or (0 < top < 1e-4):
        return [f"{value:.3g}" for value in values]
    unit, suffix = next(((u, s) for u, s in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")) if top >= u), (1.0, ""))
    unit = 1e3 if suffix == "k" else unit
    texts = []
    for value in values:
        if unit > 1 and 0 < abs(value) < unit / 100:
            texts.append(f"{value:,.6g}")
        else:
            texts.append(f"{value / unit:,.6g}{suffix if value else ''}")
    return texts


@dataclass
class Plot:
    """A drawing with two axes. Marks are drawn in the order in which they are added.

    `css` is the class of a mark's colour in `STYLE`; a mark with a `label` has an entry in the legend.
    """

    x: AxisScale
    y: AxisScale
    width: float = 900
    height: float = 320
    left: float = LEFT
    marks: list[str] = field(default_factory=list)
    legend: list[tuple[str, str, str]] = field(default_factory=list)
    occupied: list[tuple[float, float, float, float]] = field(default_factory=list)

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
        names: Sequence[str] = (),
        size: float = 0,
        hollow: bool = False,
    ) -> None:
        """Add points. Points outside the frame are omitted; of many points on the same pixel one is drawn."""
        px, py = self.to_pixels(xs, ys)
        inside = (px >= self.left - 1) & (px <= self.width) & (py >= 0) & (py <= self.height - BOTTOM + 1)
        inside &= np.isfinite(px) & np.isfinite(py)
        few = len(px) <= MAX_TOOLTIPS
        r = size or (3.2 if few else 2.0 if len(px) <= 3000 else 1.4)
        self._add_to_legend("hollow" if hollow else "dot", css, label)
        if few:
            style = f'class="mark s {css}"' if hollow else f'class="f {css}" fill-opacity=".8"'
            indices = np.flatnonzero(inside).tolist()
            titles = [f"<title>{escape(names[i])}</title>" if names else "" for i in indices]
            circles = (
                f'<circle cx="{px[i]:.1f}" cy="{py[i]:.1f}" r="{r:g}">{title}</circle>'
                for i, title in zip(indices, titles, strict=True)
            )
            self.marks.append(f"<g {style}>{''.join(circles)}</g>")
            return
        pixels = np.unique(px[inside].round().astype(np.int64) * PIXELS + py[inside].round().astype(np.int64))
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
        """Add crosses at the bottom of the drawing."""
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
        inside = [box for box in boxes if box[0] >= self.left and box[2] <= self.width and box[1] >= 0]
        free = [box for box in inside if not any(_overlap(box, other) for other in self.occupied)]
        if not free and not required:
            return
        box = next(iter([*free, *inside, *boxes]))
        self.occupied.append(box)
        left, _, _, bottom = box
        self.marks.append(f'<text class="strong" x="{left:.1f}" y="{bottom - 3:.1f}">{escape(text)}</text>')

    def _text_box(self, px: float, py: float, text: str, shift: tuple[int, int]) -> tuple[float, float, float, float]:
        """Return the left, upper, right and lower edge of a text beside a pixel; `shift` is the side, each -1, 0 or 1."""
        width = len(text) * CHARACTER
        left = px + shift[0] * TEXT_DISTANCE - (0.0, width / 2, width)[(shift[0] == 0) + 2 * (shift[0] < 0)]
        middle = py + shift[1] * (TEXT_DISTANCE + TEXT_HEIGHT / 2 - 2)
        return left, middle - TEXT_HEIGHT / 2, left + width, middle + TEXT_HEIGHT / 2

    def svg(self, about: str) -> str:
        """Return the drawing as an SVG document; `about` describes it for readers who cannot see it."""
        keys, extra = self._draw_legend()
        head = (
            f'<svg class="figure" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height + extra:g}" '
            f'width="{self.width:g}" height="{self.height + extra:g}" role="img" aria-label={quoteattr(about)}>'
        )
        return "".join([head, *self._draw_axes(), *self.marks, *keys, "</svg>"])

    def _draw_axes(self) -> Iterable[str]:
        foot, right = self.height - BOTTOM, self.width - RIGHT
        x_ticks = self.x.ticks(max(3, min(9, int((right - self.left) / 75))))
        for value, text in zip(x_ticks, format_ticks(x_ticks), strict=True):
            px = float(self.to_pixels([value], [self.y.high])[0][0])
            yield f'<path class="grid" d="M{px:.1f} {TOP}V{foot:g}"/>'
            yield f'<text class="tick" x="{px:.1f}" y="{foot + 17:g}" text-anchor="middle">{text}</text>'
        y_ticks = self.y.ticks(max(3, int((foot - TOP) / 42)))
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


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _legend_symbol(kind: str, css: str) -> str:
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
    """Return the points of a line without repeated points and without those inside horizontal or vertical segments."""
    points = np.stack([px.round(1), py.round(1)], axis=1)
    points = points[np.append(True, (points[1:] != points[:-1]).any(axis=1))[: len(points)]]
    equal = points[1:] == points[:-1]
    needed = np.ones(len(points), dtype=bool)
    needed[1:-1] = ~(equal[1:] & equal[:-1]).any(axis=1)
    return [(a, b) for a, b in points[needed].tolist()]
