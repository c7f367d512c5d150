"""Figures as inline SVG: the same data give the same text, and text and axes take the colour of the page.

Made with matplotlib's objects; nothing of pyplot's global state is touched. More than `MANY` points are drawn as an image
within the SVG, which keeps the page small.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ogive.objective import Objective
from ogive.report.results import FloatArray, Point, expected_best, running_best
from ogive.report.words import plural

MANY = 2000
INK = "#010203"  # stands for the page's own colour
ACCENT = "#2f7de1"
GREY = "#8a8f98"
RANDOM = "#d9822b"
FAILED = "#d64545"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ogive",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10.0,
    "legend.frameon": False,
}


def search_curve(
    points: Sequence[Point], objective: Objective, reference: Sequence[float] = (), name: str = "curve"
) -> str:
    """All trials as points in the order in which they came to rest, the running best as a line.

    `reference` holds values of random trials; their expected best is a dashed line, as far as there are any.
    `name` begins the ids of its elements, which must be unique on a page.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(10.6, 4.0), layout="constrained")
        axes = figure.add_subplot()
        few = len(points) <= MANY
        for full, label in ((True, "trial"), (False, "trial not trained as far, or outside the constraints")):
            group = [p for p in points if math.isfinite(p.value) and (p.full and p.feasible) == full]
            if group:
                face = GREY if full else "none"
                places, values = [p.place for p in group], [p.value for p in group]
                size = 18 if few else 5
                axes.scatter(
                    places,
                    values,
                    s=size,
                    facecolors=face,
                    edgecolors=GREY,
                    alpha=0.75,
                    label=label,
                    rasterized=not few,
                )
        _failures(axes, points, few)
        _lines(axes, points, objective, reference)
        _frame(axes, points, objective)
        margin = max(0.5, 0.02 * len(points))
        axes.set_xlim(1 - margin, len(points) + margin)
        axes.set_xlabel("trials, in the order in which they ended")
        axes.set_ylabel(_named(objective))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.grid(alpha=0.2)
        figure.legend(loc="outside lower center", ncols=5, fontsize=9)
        return _svg(figure, name)


def _lines(axes: Axes, points: Sequence[Point], objective: Objective, reference: Sequence[float]) -> None:
    if len(reference) > 1:
        expected = expected_best(reference, objective.goal)[: len(points)]
        places = np.arange(1, len(expected) + 1)
        axes.plot(places, expected, color=RANDOM, linestyle="--", label="expected best of as many random trials")
    places_of_best, best = running_best(points, objective.goal)
    if best:
        axes.step(places_of_best, best, where="post", color=ACCENT, linewidth=2, label="best so far")


def _failures(axes: Axes, points: Sequence[Point], few: bool) -> None:
    failed = [p.place for p in points if math.isnan(p.value)]
    if failed:
        foot = axes.get_xaxis_transform()
        marks = axes.scatter(
            failed, [0.015] * len(failed), marker="x", s=18, color=FAILED, label="failed", transform=foot
        )
        marks.set_rasterized(not few)


def _frame(axes: Axes, points: Sequence[Point], objective: Objective) -> None:
    """Leave far outliers on the bad side out of the frame, and say how many."""
    values = np.array([p.value for p in points if math.isfinite(p.value)])
    if not len(values):
        axes.set_yticks([])
        return
    signed = values if objective.goal == "minimize" else -values
    low, middle, high = np.quantile(signed, [0.0, 0.5, 0.9])
    limit = high + 2 * (high - low)
    outside = int((signed > limit).sum())
    if outside and middle < high:
        margin = 0.06 * (limit - low)
        ends = (low - margin, limit)
        axes.set_ylim(ends) if objective.goal == "minimize" else axes.set_ylim(-ends[1], -ends[0])
        text = f"{plural(outside, 'trial')} beyond the frame, at worst {values[signed.argmax()]:.4g}"
        axes.set_title(text, fontsize=9, loc="right", color=INK)


def pareto_plot(
    values: FloatArray, on_front: Sequence[bool], objectives: Sequence[Objective], marked: Sequence[bool]
) -> str:
    """Every pair of objectives: all trials [n, m] as points, those on the front as a line (two objectives) or bold.

    `marked` tells which trials are drawn hollow: not trained as far as others, or outside the constraints.
    """
    m = len(objectives)
    pairs = [(i, j) for i in range(m) for j in range(i + 1, m)]
    columns = min(3, len(pairs))
    rows = math.ceil(len(pairs) / columns)
    front, hollow = np.array(on_front, dtype=bool), np.array(marked, dtype=bool)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.6 if len(pairs) == 1 else 3.6 * columns, 3.8 * rows), layout="constrained")
        for place, (i, j) in enumerate(pairs):
            axes = figure.add_subplot(rows, columns, place + 1)
            few = len(values) <= MANY
            for which, face in ((~front & ~hollow, GREY), (hollow, "none")):
                x, y = values[which, i], values[which, j]
                axes.scatter(x, y, s=18 if few else 5, facecolors=face, edgecolors=GREY, alpha=0.7, rasterized=not few)
            order = np.argsort(values[front, i], kind="stable")
            x, y = values[front, i][order], values[front, j][order]
            if m == 2:
                axes.plot(x, y, color=ACCENT, alpha=0.5)
            axes.scatter(x, y, s=30, color=ACCENT, zorder=3)
            axes.set_xlabel(_named(objectives[i]))
            axes.set_ylabel(_named(objectives[j]))
            axes.grid(alpha=0.2)
        return _svg(figure, "front")


def _named(objective: Objective) -> str:
    return f"{objective.metric} ({'more' if objective.goal == 'maximize' else 'less'} is better)".replace("$", r"\$")


def _svg(figure: Figure, name: str) -> str:
    """The figure without XML's head and metadata; ids begin with `name`, so that several go into one page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, dpi=160, metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = text.replace(INK, "currentColor")
    text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    return text.replace("<svg ", '<svg class="figure" role="img" ', 1)
