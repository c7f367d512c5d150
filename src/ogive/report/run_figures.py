"""The figures of a run's report: functions of plain data that return the text of an SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import FloatArray
from ogive.drawing.axis_scale import AxisScale, fit_scale
from ogive.drawing.plot import MAX_TOOLTIPS, Plot
from ogive.formatting import number, plural
from ogive.objective import Objective
from ogive.report.frontier import Knee
from ogive.run.results import CurvePoint, compute_expected_best, compute_running_best

HALF_WIDTH = 430.0
"""Width of a figure that has another one beside it, in pixels."""
ORIGIN_COLOURS = {"initial": "c3", "random": "grey", "": "grey"}
"""Fixed colours (CSS classes of `ogive.drawing.plot`) of some origins; all other origins get the `_COLOURS` in turn.

An origin says how a trial was proposed, such as "random" or "mutation". It is "" if the strategy does not note it.
"""
_COLOURS = ("c0", "c2", "c4", "c5", "c3")
MAX_LABELLED = 20
"""Up to this number of finalists, the figure names all of them; if there are more, it names only the winners."""
MAX_REFERENCE_POINTS = 200
"""The curve of the random reference has at most this many points."""
RUNG_COLOURS = ("r0", "r1", "r2", "r3")
"""Colours of trials that were trained less than others, from the fewest epochs to the most."""
MIN_LOG_RATIO = 10.0
"""A metric to minimize has a logarithmic axis if the largest value is at least this many times the smallest value."""
MIN_FRONT_LOG_RATIO = 30.0
"""The axis of an objective in the figure of the front is logarithmic if this ratio is larger than this number."""
NONZERO = 1e-12
"""The least length of an axis from 0, in place of 0."""


def draw_search_curve(
    points: Sequence[CurvePoint], objective: Objective, reference: Sequence[float] = (), unit: str = "epoch"
) -> str:
    """Draw all trials in the order in which they ended, and the best value so far as a line.

    If all trials were trained equally far, their colour shows their origin. Otherwise it shows for how many epochs they were
    trained, because the best value so far is that of the trials that were trained longest. Ranges in which half of the
    trials or more have failed are shaded.

    Args:
        points: the points of the search curve.
        objective: the objective whose values the points have.
        reference: the values of random trials; a dashed line shows the expected best of 1, 2, ... of them.
        unit: the unit of the steps of trials, in the singular.
    """
    y_axis, omitted = _make_value_axis(points, objective)
    margin = max(0.5, 0.01 * len(points))
    x_axis = AxisScale(1 - margin, len(points) + margin, "trials, in the order in which they ended", whole=True)
    plot = Plot(x_axis, y_axis)
    for low, high in find_failing_ranges([math.isnan(point.value) for point in points]):
        plot.band(low - 0.5, high + 0.5, "bad", "half or more failed")
    infeasible = [p for p in points if math.isfinite(p.value) and not p.is_feasible]
    _add_points(plot, infeasible, "bad", "violates a constraint", hollow=True)
    partly_trained = [p for p in points if math.isfinite(p.value) and p.is_feasible and not p.is_full]
    fully_trained = [p for p in points if p.is_full and p.is_feasible]
    best_label = "best so far"
    if partly_trained:
        for css, label, group in group_by_rung(partly_trained, unit):
            _add_points(plot, group, css, label, hollow=True)
        if fully_trained:
            epochs = plural(min(p.step for p in fully_trained), unit)
            _add_points(plot, fully_trained, "c0", epochs)
            best_label = f"best so far, of those with {epochs}"
    else:
        for origin, css in choose_origin_colours(points).items():
            _add_points(plot, [p for p in fully_trained if p.origin == origin], css, _format_origin(origin))
    failed = [point.position for point in points if math.isnan(point.value)]
    if failed:
        plot.crosses(failed, "bad", "failed")
    if len(reference) > 1:
        max_size = min(len(reference), len(points))
        sizes = np.unique(np.linspace(1, max_size, min(max_size, MAX_REFERENCE_POINTS)).round().astype(int))
        expected = compute_expected_best(reference, objective.goal, sizes.tolist())
        plot.line(sizes, expected, "c1", "expected best of as many random trials", dash=True)
    positions, best_values = compute_running_best(points, objective.goal)
    if positions:
        plot.steps(positions, best_values, "c0", best_label)
    suffix = f"; {omitted}" if omitted is not None else ""
    about = f"{objective.metric} of {plural(len(points), 'trial')} in their order, and the best so far{suffix}"
    return plot.svg(about)


def _add_points(plot: Plot, group: Sequence[CurvePoint], css: str, label: str, hollow: bool = False) -> None:
    if group:
        with_tooltip = group if len(group) <= MAX_TOOLTIPS else ()
        tooltips = [f"trial {p.trial}: {number(p.value)}{f', {p.origin}' if p.origin else ''}" for p in with_tooltip]
        plot.dots([p.position for p in group], [p.value for p in group], css, label, tooltips, hollow=hollow)


def group_by_rung(points: Sequence[CurvePoint], unit: str) -> list[tuple[str, str, list[CurvePoint]]]:
    """Group points by their number of epochs, from the fewest to the most.

    Returns:
        The colour, the label and the points of each group. There are at most as many groups as `RUNG_COLOURS`; with more
        different numbers of epochs than colours, adjacent numbers share a group.
    """
    parts = np.array_split(sorted({point.step for point in points}), len(RUNG_COLOURS))
    # With fewer numbers of epochs than colours, the last parts are empty, and the other parts get the last colours.
    ranges = [(int(part[0]), int(part[-1])) for part in parts if len(part)]
    groups = []
    for css, (low, high) in zip(RUNG_COLOURS[-len(ranges) :], ranges, strict=True):
        label = plural(low, unit) if low == high else f"{low:,} to {plural(high, unit)}"
        groups.append((css, label, [point for point in points if low <= point.step <= high]))
    return groups


def choose_origin_colours(points: Sequence[CurvePoint]) -> dict[str, str]:
    """Return a colour for each origin, in the order of their first trial."""
    colours: dict[str, str] = {}
    used = 0
    for origin in dict.fromkeys(point.origin for point in points):
        if origin in ORIGIN_COLOURS:
            colours[origin] = ORIGIN_COLOURS[origin]
        else:
            colours[origin] = _COLOURS[used % len(_COLOURS)]
            used += 1
    return colours


def _format_origin(origin: str) -> str:
    texts = {"": "trial", "random": "random", "initial": "initial architecture", "warm_start": "from an earlier run"}
    return texts.get(origin, f"proposed by {origin}")


def find_failing_ranges(failed: Sequence[bool]) -> list[tuple[int, int]]:
    """Return the first and the last position, counted from 1, of each range of trials of which half or more failed.

    Trials are examined in blocks of 10 trials, or of a fortieth of all trials if that is more. A block counts if at least
    half of its trials, and at least three of them, failed. Adjacent blocks that count are joined.
    """
    width = max(10, len(failed) // 40)
    blocks = [(i, failed[i : i + width]) for i in range(0, len(failed), width)]
    verdicts = [(i, i + len(block), 2 * sum(block) >= len(block) and sum(block) >= 3) for i, block in blocks]
    ranges = []
    for is_failing, group in groupby(verdicts, key=lambda verdict: verdict[2]):
        members = list(group)
        if is_failing:
            ranges.append((members[0][0] + 1, members[-1][1]))
    return ranges


def describe_omitted_outliers(points: Sequence[CurvePoint], objective: Objective) -> str | None:
    """Return a text on the far outliers on the bad side that the search curve omits; None if it omits none."""
    return _make_value_axis(points, objective)[1]


def _make_value_axis(points: Sequence[CurvePoint], objective: Objective) -> tuple[AxisScale, str | None]:
    """Return the value axis, without far outliers on the bad side, and a text with their number; None if there are none."""
    label = _format_axis_label(objective)
    values = np.array([p.value for p in points if math.isfinite(p.value)])
    if not len(values):
        return AxisScale(0, 1, label), None
    costs = values if objective.goal == "minimize" else -values
    # An outlier exceeds the 90% quantile by more than twice the distance between the best value and this quantile.
    lowest, median, high = np.quantile(costs, [0.0, 0.5, 0.9])
    outside = costs > high + 2 * (high - lowest)
    # If the median equals the quantile, about 40% of the costs or more are equal. The quantile is then no measure of their
    # spread, so no trial is omitted.
    if not outside.any() or median == high:
        return _fit_value_scale(values, objective), None
    worst = number(float(values[costs.argmax()]))
    text = f"{plural(int(outside.sum()), 'trial')} outside the figure, the worst with {worst}"
    return _fit_value_scale(values[~outside], objective), text


def _fit_value_scale(values: ArrayLike, objective: Objective, margin: float = 0.04) -> AxisScale:
    """Return the scale of a value axis. It is logarithmic for a loss that falls to a tenth, so that small values differ."""
    points = np.asarray(values, dtype=np.float64)
    log = (
        objective.goal == "minimize"
        and len(points) > 0
        and points.min() > 0
        and points.max() >= MIN_LOG_RATIO * points.min()
    )
    return fit_scale(points, _format_axis_label(objective) + (", log scale" if log else ""), log=log, margin=margin)


def draw_best_over(points: Sequence[CurvePoint], objective: Objective, along: Sequence[float], label: str) -> str:
    """Draw the best so far over a quantity that grows with the trials, such as time or money.

    Args:
        points: [n] the points of the search curve.
        objective: the objective whose values the points have.
        along: [n] the quantity at the end of each trial.
        label: the name of the quantity, with its unit.
    """
    positions, best_values = compute_running_best(points, objective.goal)
    x_axis = AxisScale(0.0, max(along[-1], NONZERO) * 1.02, label)
    plot = Plot(x_axis, _fit_value_scale(best_values, objective, margin=0.08), HALF_WIDTH, 260)
    if positions:
        # Positions are counted from 1.
        plot.steps([along[position - 1] for position in positions], best_values, "c0")
    return plot.svg(f"best {objective.metric} so far over {label}")


def draw_pareto_front(
    values: FloatArray,
    objectives: Sequence[Objective],
    *,
    on_front: Sequence[bool],
    hollow: Sequence[bool],
    tooltips: Sequence[str],
    knee: Knee | None,
    only_pair: bool,
) -> str:
    """Draw two objectives of all trials as points, the front as a line, and the name of the knee.

    Args:
        values: [n, 2] the values of the two objectives.
        objectives: the two objectives.
        on_front: [n] whether each trial is on the Pareto front.
        hollow: [n] whether each trial was trained for fewer steps than others, or violates a constraint.
        tooltips: [n] the tooltips of the trials. Each begins with "trial", the id of the trial, and a colon.
        knee: the knee of the front; None if the front has none.
        only_pair: whether the search has no other objectives. If it has, the figure is a projection of the front. It is then
            smaller, and no dominated area is shaded.
    """
    is_front, is_hollow = np.array(on_front, dtype=bool), np.array(hollow, dtype=bool)
    x_axis, y_axis = (_make_objective_axis(values[:, i], objectives[i]) for i in range(2))
    plot = Plot(x_axis, y_axis, 640 if only_pair else HALF_WIDTH, 400 if only_pair else 320)
    order = np.argsort(values[is_front, 0], kind="stable")
    x, y = values[is_front, 0][order], values[is_front, 1][order]
    if only_pair and len(x):
        _add_dominated_area(plot, x, y, objectives)
    for mask, draw_hollow, label in (
        (~is_front & ~is_hollow, False, "trial"),
        (is_hollow, True, "fewer steps, or violates a constraint"),
    ):
        if mask.any():
            labels = [tooltips[i] for i in np.flatnonzero(mask).tolist()]
            plot.dots(values[mask, 0], values[mask, 1], "grey", label, labels, hollow=draw_hollow)
    if len(x):
        labels = [tooltips[i] for i in np.flatnonzero(is_front).tolist()]
        plot.dots(values[is_front, 0], values[is_front, 1], "c0", "on the front", labels, radius=4.2)
    if knee is not None:
        knee_x, knee_y = values[next(i for i, text in enumerate(tooltips) if text.startswith(f"trial {knee.trial}:"))]
        plot.dots([knee_x], [knee_y], "c1", "knee", radius=6)
        plot.text(knee_x, knee_y, f"knee: trial {knee.trial}", required=True)
    on_the_front = plural(int(is_front.sum()), "trial")
    return plot.svg(f"{objectives[1].metric} against {objectives[0].metric}: {on_the_front} on the front")


def _make_objective_axis(values: FloatArray, objective: Objective) -> AxisScale:
    """Return an axis over the values: logarithmic if they are positive and differ by more than `MIN_FRONT_LOG_RATIO`."""
    finite = values[np.isfinite(values)]
    log = len(finite) > 0 and finite.min() > 0 and finite.max() / finite.min() > MIN_FRONT_LOG_RATIO
    return fit_scale(values, _format_axis_label(objective) + (", log scale" if log else ""), log=log)


def _add_dominated_area(plot: Plot, x: FloatArray, y: FloatArray, objectives: Sequence[Objective]) -> None:
    """Shade the area that a front of two objectives dominates, up to the edge of the drawing; x ascends."""
    worst_x = plot.x.high if objectives[0].goal == "minimize" else plot.x.low
    worst_y = plot.y.high if objectives[1].goal == "minimize" else plot.y.low
    if objectives[0].goal == "maximize":
        x, y = x[::-1], y[::-1]
    # The edge of the area is a staircase through (x0, y0), (x1, y0), (x1, y1), (x2, y1), ...
    xs, ys = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
    corners = [*zip(xs, ys, strict=True), (worst_x, y[-1]), (worst_x, worst_y), (x[0], worst_y)]
    plot.area([a for a, _ in corners], [b for _, b in corners], "c0", "dominated")
    plot.line(xs, ys, "c0")


def draw_over_trials(
    counts: Sequence[float], values: Sequence[float], label: str, about: str, x_label: str = "trials"
) -> str:
    """Draw values between 0 and 1 over the numbers of trials in `counts`."""
    plot = Plot(AxisScale(0, max([*counts, 1]) * 1.02, x_label, whole=True), AxisScale(0, 1, label), HALF_WIDTH, 260)
    plot.steps(counts, values, "c0")
    return plot.svg(about)


def draw_over_time(
    times: Sequence[float], values: Sequence[float], labels: tuple[str, str], about: str, high: float
) -> str:
    """Draw values from 0 to `high` over time. `labels`: the label of the x axis, and that of the y axis."""
    plot = Plot(AxisScale(0, max([*times, NONZERO]) * 1.01, labels[0]), AxisScale(0, high, labels[1]), HALF_WIDTH, 260)
    plot.steps(times, values, "c0")
    return plot.svg(about)


def _format_axis_label(objective: Objective) -> str:
    return f"{objective.metric} ({'more' if objective.goal == 'maximize' else 'less'} is better)"


def draw_full_training(
    rows: Sequence[tuple[str, float, float]],
    metric: str,
    goal: str,
    *,
    winners: Sequence[str],
    seed_values: Mapping[str, Sequence[float]],
) -> str:
    """Draw finalists by their value in the search and after full training; a dashed line shows where both are equal.

    Args:
        rows: for each finalist its name, its value in the search, and its mean value after full training.
        metric: the metric that is drawn.
        goal: "minimize" or "maximize".
        winners: the names of the winners.
        seed_values: for each finalist, its value after full training with each seed. A bar shows the range of two or more.
    """
    before, after = [a for _, a, _ in rows], [b for _, _, b in rows]
    all_after = [value for name, _, b in rows for value in seed_values.get(name, [b])]
    better = "more" if goal == "maximize" else "less"
    x_axis = fit_scale(before, f"{metric} in the search", margin=0.1)
    y_axis = fit_scale(all_after, f"{metric} after full training ({better} is better)", margin=0.1)
    plot = Plot(x_axis, y_axis, 640, 380)
    low, high = max(plot.x.low, plot.y.low), min(plot.x.high, plot.y.high)
    if low < high:
        plot.line([low, high], [low, high], "grey", "no difference", dash=True)
    tooltips = [f"{name}: {number(a)} in the search, {number(b)} after" for name, a, b in rows]
    for name, a, _ in rows:
        values = seed_values.get(name, ())
        if len(values) > 1:
            plot.line([a, a], [min(values), max(values)], "c5", "range over seeds")
    plot.dots(before, after, "c0", "finalist", tooltips, radius=4.2)
    # The names of winners are placed first.
    for name, a, b in sorted(rows, key=lambda row: row[0] not in winners):
        if name in winners:
            plot.dots([a], [b], "c1", "winner", radius=6)
            plot.text(a, b, name, required=True)
        elif len(rows) <= MAX_LABELLED:
            plot.text(a, b, name.removeprefix("trial "))
    return plot.svg(f"{metric} of {len(rows)} finalists in the search and after full training")
