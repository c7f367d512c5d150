"""Lines are drawn with as few points as give the same picture."""

from __future__ import annotations

import re

from ogive.drawing.axis_scale import AxisScale
from ogive.drawing.plot import Plot


def drawn_heights(xs: list[float], ys: list[float]) -> list[float]:
    """Return the values of the y axis at the points of a drawn line, rounded to 0.1."""
    plot = Plot(AxisScale(0, 1e6), AxisScale(0, 10))
    plot.line(xs, ys, "c0")
    (points,) = re.findall(r'points="([^"]*)"', plot.marks[0])
    _, (bottom, top) = plot.to_pixels([0, 0], [0, 10])
    pixels = [float(point.split(",")[1]) for point in points.split()]
    return [round(10 * (bottom - pixel) / (bottom - top), 1) for pixel in pixels]


def test_points_between_others_on_a_straight_line_are_left_out_but_not_peaks() -> None:
    assert drawn_heights([0, 1, 2], [0, 5, 2]) == [0, 5, 2], "the points have the same pixel on the x axis"
    assert drawn_heights([0, 1, 2, 3, 4], [0, 3, 5, 4, 2]) == [0, 5, 2]
    assert drawn_heights([0, 3e5, 7e5], [4, 4, 4]) == [4, 4]
