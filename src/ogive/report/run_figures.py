"""The figures of a report, each a function of plain data that returns the text of an SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from xml.sax.saxutils import escape

import numpy as np

from ogive.arrays import FloatArray
from ogive.drawing.plot import NAMED, AxisScale, Plot, fit_scale
from ogive.formatting import number, plural
from ogive.objective import Objective
from ogive.report.frontier import Knee
from ogive.report.importance import Frequency, Importance
from ogive.run.results import CurvePoint, expected_best, running_best

HALF = 430.0
"""Width of a figure that stands beside another."""
ORIGINS = {"initial": "c3", "random": "grey", "": "grey"}
"""Colours of the origins that are no model's; the others take turns with `_COLOURS`."""
_COLOURS = ("c0", "c2", "c4", "c5", "c3")
LABELLED = 20
"""Finalists up to which each is named in the figure."""
REFERENCES = 200
"""Points of the random reference's curve."""


def search_curve(points: Sequence[CurvePoint], objective: Objective, reference: Sequence[float] = ()) -> str:
    """All trials as points in the order in which they came to rest, coloured by their origin; the running best as a line.

    `reference` holds values of random trials; their expected best is a dashed line, as far as there are any. Stretches in
    which half of the trials or more have failed are shaded.
    """
    frame, beyond = _frame(points, objective)
    margin = max(0.5, 0.01 * len(points))
    plot = Plot(
        AxisScale(1 - margin, len(points) + margin, "trials, in the order in which they ended", whole=True), frame
    )
    shaded = failing_stretches([math.isnan(point.value) for point in points])
    for low, high in shaded:
        plot.band(low - 0.5, high + 0.5, "bad", "half or more failed")
    colours = origin_colours(points)
    for origin, css in colours.items():
        group = [p for p in points if p.origin == origin and p.full and p.feasible]
        _points(plot, group, css, _origin_text(origin))
    rest = [p for p in points if math.isfinite(p.value) and not (p.full and p.feasible)]
    _points(plot, rest, "grey", "not trained as far, or outside the constraints", hollow=True)
    failed = [point.place for point in points if math.isnan(point.value)]
    if failed:
        plot.crosses(failed, "bad", "failed")
    if len(reference) > 1:
        m = min(len(reference), len(points))
        sizes = np.unique(np.linspace(1, m, min(m, REFERENCES)).round().astype(int))
        expected = expected_best(reference, objective.goal, sizes.tolist())
        plot.line(sizes, expected, "c1", "expected best of as many random trials", dash=True)
    places, best = running_best(points, objective.goal)
    if best:
        plot.steps(places, best, "c0", "best so far")
    about = f"{objective.metric} of {plural(len(points), 'trial')} in their order, and the best so far{beyond}"
    return plot.svg(about)


def _points(plot: Plot, group: Sequence[CurvePoint], css: str, label: str, hollow: bool = False) -> None:
    if group:
        few = group if len(group) <= NAMED else ()
        names = [f"trial {p.trial}: {number(p.value)}{f', {p.origin}' if p.origin else ''}" for p in few]
        plot.dots([p.place for p in group], [p.value for p in group], css, label, names, hollow=hollow)


def origin_colours(points: Sequence[CurvePoint]) -> dict[str, str]:
    """A colour for each origin, in the order of their first trial."""
    found: dict[str, str] = {}
    turn = 0
    for origin in dict.fromkeys(point.origin for point in points):
        if origin in ORIGINS:
            found[origin] = ORIGINS[origin]
        else:
            found[origin] = _COLOURS[turn % len(_COLOURS)]
            turn += 1
    return found


def _origin_text(origin: str) -> str:
    given = {"initial": "given at the start", "warm_start": "of an earlier run"}
    return {"": "trial", "random": "random start", **given}.get(origin, f"led by {origin}")


def failing_stretches(failed: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last places (from 1) of stretches in which half or more of the trials failed, by tens or fortieths."""
    width = max(10, len(failed) // 40)
    blocks = [(i, failed[i : i + width]) for i in range(0, len(failed), width)]
    marked = [(i, i + len(block), 2 * sum(block) >= len(block) and sum(block) >= 3) for i, block in blocks]
    found = []
    for bad, group in groupby(marked, key=lambda item: item[2]):
        members = list(group)
        if bad:
            found.append((members[0][0] + 1, members[-1][1]))
    return found


def beyond_frame(points: Sequence[CurvePoint], objective: Objective) -> str:
    """How many far outliers on the bad side the curve leaves out; "" where there are none."""
    return _frame(points, objective)[1].removeprefix("; ")


def _frame(points: Sequence[CurvePoint], objective: Objective) -> tuple[AxisScale, str]:
    """The value axis, without far outliers on the bad side, and how many these are."""
    label = _named(objective)
    values = np.array([p.value for p in points if math.isfinite(p.value)])
    if not len(values):
        return AxisScale(0, 1, label), ""
    signed = values if objective.goal == "minimize" else -values
    low, middle, high = np.quantile(signed, [0.0, 0.5, 0.9])
    limit = high + 2 * (high - low)
    outside = signed > limit
    if not outside.any() or middle == high:
        return fit_scale(values, label), ""
    text = (
        f"; {plural(int(outside.sum()), 'trial')} beyond the frame, at worst {number(float(values[signed.argmax()]))}"
    )
    return fit_scale(values[~outside], label), text


def best_over(points: Sequence[CurvePoint], objective: Objective, along: Sequence[float], label: str) -> str:
    """The running best over something that grows with the trials, such as time or money [n]."""
    places, best = running_best(points, objective.goal)
    where = [along[place - 1] for place in places]
    plot = Plot(
        AxisScale(0.0, max(along[-1], 1e-12) * 1.02, label), fit_scale(best, _named(objective), margin=0.08), HALF, 260
    )
    if best:
        plot.steps(where, best, "c0")
    return plot.svg(f"best {objective.metric} so far over {label}")


def pareto_plot(
    values: FloatArray,
    on_front: Sequence[bool],
    objectives: Sequence[Objective],
    hollow: Sequence[bool],
    names: Sequence[str],
    knee: Knee | None,
    alone: bool,
) -> str:
    """Two objectives [n, 2]: all trials as points, the front as a line over the area that it dominates, the knee named.

    `hollow` tells which trials were not trained as far as others, or are outside the constraints. With `alone` the two are
    all objectives; else the front is one of more, seen from one side, and no area is shaded.
    """
    front, dim = np.array(on_front, dtype=bool), np.array(hollow, dtype=bool)
    scales = [_axis(values[:, i], objectives[i]) for i in range(2)]
    plot = Plot(scales[0], scales[1], 640 if alone else HALF, 400 if alone else 320)
    order = np.argsort(values[front, 0], kind="stable")
    x, y = values[front, 0][order], values[front, 1][order]
    if alone and len(x):
        _dominated(plot, x, y, objectives)
    for which, is_dim, label in (
        (~front & ~dim, False, "trial"),
        (dim, True, "not as far, or outside the constraints"),
    ):
        if which.any():
            shown = [names[i] for i in np.flatnonzero(which).tolist()]
            plot.dots(values[which, 0], values[which, 1], "grey", label, shown, hollow=is_dim)
    if len(x):
        shown = [names[i] for i in np.flatnonzero(front).tolist()]
        plot.dots(values[front, 0], values[front, 1], "c0", "on the front", shown, size=4.2)
    if knee is not None:
        place = values[next(i for i, name in enumerate(names) if name.startswith(f"trial {knee.trial}:"))]
        plot.dots([place[0]], [place[1]], "c1", "knee", size=6)
        plot.text(place[0], place[1], f"knee: trial {knee.trial}", "", (10, 16))
    return plot.svg(
        f"{objectives[1].metric} against {objectives[0].metric}: {plural(int(front.sum()), 'trial')} on the front"
    )


def _axis(values: FloatArray, objective: Objective) -> AxisScale:
    """Logarithmic where values are positive and span more than a factor of 30."""
    finite = values[np.isfinite(values)]
    wide = len(finite) > 0 and finite.min() > 0 and finite.max() / finite.min() > 30
    return fit_scale(values, _named(objective) + (", log scale" if wide else ""), log=wide)


def _dominated(plot: Plot, x: FloatArray, y: FloatArray, objectives: Sequence[Objective]) -> None:
    """The area that a front of two objectives dominates, up to the edge of the drawing; x ascends."""
    worst_x = plot.x.high if objectives[0].goal == "minimize" else plot.x.low
    worst_y = plot.y.high if objectives[1].goal == "minimize" else plot.y.low
    if objectives[0].goal == "maximize":
        x, y = x[::-1], y[::-1]
    xs, ys = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
    corners = [*zip(xs, ys, strict=True), (worst_x, y[-1]), (worst_x, worst_y), (x[0], worst_y)]
    plot.area([a for a, _ in corners], [b for _, b in corners], "c0", "dominated")
    plot.line(xs, ys, "c0")


def over_trials(
    places: Sequence[float], values: Sequence[float], label: str, about: str, across: str = "trials"
) -> str:
    """Something between 0 and 1 that changes with the trials."""
    plot = Plot(AxisScale(0, max([*places, 1]) * 1.02, across, whole=True), AxisScale(0, 1, label), HALF, 260)
    plot.steps(places, values, "c0")
    return plot.svg(about)


def over_time(times: Sequence[float], values: Sequence[float], label: tuple[str, str], about: str, high: float) -> str:
    """Something that changes with time; `label` of both axes."""
    plot = Plot(AxisScale(0, max([*times, 1e-12]) * 1.01, label[0]), AxisScale(0, high, label[1]), HALF, 260)
    plot.steps(times, values, "c0")
    return plot.svg(about)


ROW = 24.0
LABEL = 40
"""Characters of a row's name."""


def importance_bars(items: Sequence[Importance]) -> str:
    """A bar for each decision with its interval; a tick marks what chance reaches."""
    left = min(280.0, 24 + 6.6 * max(len(item.decision) for item in items))
    top = max(0.05, min(1.0, max(item.high for item in items) * 1.05))
    names = [(item.decision, "", item.told_apart) for item in items]
    rows = _Rows(names, left, AxisScale(0, top, "share of the variance of the values"))
    for i, item in enumerate(items):
        css = "c0" if item.told_apart else "grey"
        rows.bar(i, item.share, css)
        rows.whisker(i, item.low, min(item.high, top))
        rows.tick(i, min(item.chance, top), "c1")
    return rows.svg(
        "importance of each decision", [("line", "c1", "what chance reaches (95 of 100 shuffled searches)")]
    )


def frequency_rows(items: Sequence[Frequency]) -> str:
    """A dot for each alternative: its share of the best with its interval; a tick marks its share of all."""
    left = min(320.0, 40 + 6.6 * max(len(item.decision) + len(item.text) for item in items))
    former = ["", *(item.decision for item in items)]
    names = [
        (item.decision if item.decision != former[i] else "", item.text, not item.useless)
        for i, item in enumerate(items)
    ]
    rows = _Rows(names, left, AxisScale(0, 1, "share of the trials in which the decision is active"))
    for i, item in enumerate(items):
        share = item.top / item.of_top if item.of_top else None
        css = "bad" if item.useless else "c0"
        if share is not None:
            rows.whisker(i, item.low, item.high, css)
            rows.dot(i, share, css)
        if item.of:
            rows.tick(i, item.count / item.of, "c1")
    legend = [("dot", "c0", "among the best, with 95 % interval"), ("line", "c1", "among all")]
    return rows.svg("how often the best and all trials chose each alternative", legend)


class _Rows:
    """Named rows above one horizontal axis."""

    def __init__(self, names: Sequence[tuple[str, str, bool]], left: float, x: AxisScale) -> None:
        self.plot = Plot(x, AxisScale(0, 1), 760, ROW * len(names) + 60, left)
        self.plot.y = AxisScale(len(names) - 0.5, -0.5)
        for i, (name, detail, strong) in enumerate(names):
            self._name(i, name, detail, strong)

    def _px(self, value: float, row: int) -> tuple[float, float]:
        (px,), (py,) = self.plot.to_pixels([value], [row])
        return float(px), float(py)

    def _name(self, row: int, name: str, detail: str, strong: bool) -> None:
        inner, outer = (detail, name) if detail else (name, "")
        self._label(row, inner, self.plot.left - 10, "end", strong, bold=bool(detail))
        self._label(row, outer, 4, "start", strong, bold=False)

    def _label(self, row: int, text: str, x: float, anchor: str, strong: bool, bold: bool) -> None:
        _, y = self._px(self.plot.x.low, row)
        short = text if len(text) <= LABEL else f"{text[: LABEL // 2 - 2]}...{text[-LABEL // 2 + 1 :]}"
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


def _named(objective: Objective) -> str:
    return f"{objective.metric} ({'more' if objective.goal == 'maximize' else 'less'} is better)"


def stage_scatter(
    rows: Sequence[tuple[str, float, float]],
    metric: str,
    goal: str,
    winners: Sequence[str],
    seeds: Mapping[str, Sequence[float]],
) -> str:
    """Finalists by their value in the search and after full training; on the dashed line both are equal.

    `seeds` are the values after full training by name, one a seed: two or more are drawn as a bar from least to most.
    """
    before, after = [a for _, a, _ in rows], [b for _, _, b in rows]
    ends = [value for name, _, b in rows for value in seeds.get(name, [b])]
    word = "more" if goal == "maximize" else "less"
    plot = Plot(
        fit_scale(before, f"{metric} in the search", margin=0.1),
        fit_scale(ends, f"{metric} after full training ({word} is better)", margin=0.1),
        640,
        380,
    )
    low, high = max(plot.x.low, plot.y.low), min(plot.x.high, plot.y.high)
    if low < high:
        plot.line([low, high], [low, high], "grey", "no difference", dash=True)
    names = [f"{name}: {number(a)} in the search, {number(b)} after" for name, a, b in rows]
    for name, a, _ in rows:
        own = seeds.get(name, ())
        if len(own) > 1:
            plot.line([a, a], [min(own), max(own)], "c5", "from seed to seed")
    plot.dots(before, after, "c0", "finalist", names, size=4.2)
    for name, a, b in rows:
        if name in winners:
            plot.dots([a], [b], "c1", "chosen", size=6)
        if name in winners or len(rows) <= LABELLED:
            plot.text(a, b, name if name in winners else name.removeprefix("trial "), "", (8, 4))
    return plot.svg(f"{metric} of {len(rows)} finalists in the search and after full training")
