"""The figures about decisions: their importance, and how often their alternatives were chosen."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from ogive.drawing.axis_scale import AxisScale
from ogive.drawing.plot import Plot
from ogive.report.importance import Frequency, Importance

ROW_HEIGHT = 24.0
MAX_CHARACTERS = 40
"""The name of a row has at most this many characters; the middle of a longer name is omitted."""
CHARACTER_WIDTH = 6.6
"""The width of a character of a name, in pixels, by which the space for the names is estimated."""


def draw_importances(items: Sequence[Importance]) -> str:
    """Draw a bar for each decision with its interval; a tick marks the share that chance reaches."""
    left = min(280.0, 24 + CHARACTER_WIDTH * max(len(item.decision) for item in items))
    # The axis ends a little above the highest interval, at 1 at the most, and at 0.05 at the least.
    highest = max(0.05, min(1.0, max(item.high for item in items) * 1.05))
    names = [(item.decision, "", item.is_significant) for item in items]
    rows = _Rows(names, left, AxisScale(0, highest, "share of the variance of the values"))
    for i, item in enumerate(items):
        rows.bar(i, item.share, "c0" if item.is_significant else "grey")
        rows.whisker(i, item.low, min(item.high, highest))
        rows.tick(i, min(item.chance, highest), "c1")
    legend = [("line", "c1", "reached by chance (95 of 100 searches with shuffled values are below)")]
    return rows.svg("importance of each decision", legend)


def draw_frequencies(items: Sequence[Frequency]) -> str:
    """Draw a dot for each alternative: its share of the best, with its interval; a tick marks its share of all trials."""
    left = min(320.0, 40 + CHARACTER_WIDTH * max(len(item.decision) + len(item.text) for item in items))
    # The name of a decision is written only at its first alternative.
    previous = ["", *(item.decision for item in items)]
    names = [
        (item.decision if item.decision != previous[i] else "", item.text, not item.is_inferior)
        for i, item in enumerate(items)
    ]
    rows = _Rows(names, left, AxisScale(0, 1, "share of the trials in which the decision is active"))
    for i, item in enumerate(items):
        css = "bad" if item.is_inferior else "c0"
        if item.best_total:
            rows.whisker(i, item.low, item.high, css)
            rows.dot(i, item.best_count / item.best_total, css)
        if item.total:
            rows.tick(i, item.count / item.total, "c1")
    legend = [("dot", "c0", "among the best, with 95% interval"), ("line", "c1", "among all")]
    return rows.svg("how often the best and all trials chose each alternative", legend)


class _Rows:
    """A figure of named rows above one horizontal axis.

    Args:
        names: for each row, its name, a detail or "", and whether the row is emphasized.
        left: the width of the names in pixels.
        x: the scale of the axis.
    """

    def __init__(self, names: Sequence[tuple[str, str, bool]], left: float, x: AxisScale) -> None:
        # The scale is reversed, so that row 0 is at the top.
        y = AxisScale(len(names) - 0.5, -0.5)
        self.plot = Plot(x, y, 760, ROW_HEIGHT * len(names) + 60, left)
        for i, (name, detail, strong) in enumerate(names):
            self._add_name(i, name, detail, strong)

    def _px(self, value: float, row: int) -> tuple[float, float]:
        (px,), (py,) = self.plot.to_pixels([value], [row])
        return float(px), float(py)

    def _add_name(self, row: int, name: str, detail: str, strong: bool) -> None:
        """Write the detail beside the axis and the name at the left edge; without a detail, the name beside the axis."""
        inner, outer = (detail, name) if detail else (name, "")
        self._add_label(row, inner, self.plot.left - 10, "end", strong, bold=bool(detail))
        self._add_label(row, outer, 4, "start", strong, bold=False)

    def _add_label(self, row: int, text: str, x: float, anchor: str, strong: bool, bold: bool) -> None:
        _, y = self._px(self.plot.x.low, row)
        half = MAX_CHARACTERS // 2
        short = text if len(text) <= MAX_CHARACTERS else f"{text[: half - 2]}...{text[-(half - 1) :]}"
        style = (' class="strong"' if bold else "") + ("" if strong else ' opacity=".6"')
        self.plot.marks.append(f'<text x="{x:g}" y="{y + 4:.1f}" text-anchor="{anchor}"{style}>{escape(short)}</text>')

    def bar(self, row: int, value: float, css: str) -> None:
        (x0, y), (x1, _) = self._px(self.plot.x.low, row), self._px(value, row)
        size = f'width="{max(x1 - x0, 0.5):.1f}" height="14" rx="2"'
        self.plot.marks.append(f'<rect class="f {css}" fill-opacity=".55" x="{x0:.1f}" y="{y - 7:.1f}" {size}/>')

    def whisker(self, row: int, low: float, high: float, css: str = "") -> None:
        (x0, y), (x1, _) = self._px(low, row), self._px(high, row)
        self.plot.marks.append(f'<path class="line s {css}" stroke="currentColor" d="M{x0:.1f} {y:.1f}H{x1:.1f}"/>')

    def dot(self, row: int, value: float, css: str) -> None:
        x, y = self._px(value, row)
        self.plot.marks.append(f'<circle class="f {css}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>')

    def tick(self, row: int, value: float, css: str) -> None:
        x, y = self._px(value, row)
        self.plot.marks.append(f'<path class="line s {css}" d="M{x:.1f} {y - 8:.1f}v16"/>')

    def svg(self, about: str, legend: Sequence[tuple[str, str, str]]) -> str:
        self.plot.legend = list(legend)
        return self.plot.svg(about)
