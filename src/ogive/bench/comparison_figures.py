"""The figures of a comparison as SVG: any-time curves with confidence intervals, and the critical-difference diagram."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

import numpy as np

from ogive.bench.comparison import RANDOM_SEARCH
from ogive.bench.comparison_results import Axis, BenchmarkResults
from ogive.drawing.axis_scale import AxisScale
from ogive.drawing.plot import CHARACTER, Plot
from ogive.stats.comparison_tests import indistinguishable_groups, mean_interval

COLOUR_COUNT = 10
"""The number of colours. Methods beyond this number use the same colours with dashed lines."""
EXTRA_STYLE = """
.c6 { color: #7a5cc8; } .c7 { color: #5f7a13; } .c8 { color: #a0522d; } .c9 { color: #0e8a9a; }
svg.figure .rank { stroke: currentColor; stroke-width: 1; fill: none; opacity: .7; }
svg.figure .tie { stroke: currentColor; stroke-width: 4; stroke-linecap: round; }
@media (prefers-color-scheme: dark) {
  .c6 { color: #a893ee; } .c7 { color: #a9c25a; } .c8 { color: #d79a7a; } .c9 { color: #56c4d2; }
}
"""
MAX_INTERVALS = 4
"""If there are more methods, only the intervals of the reference and of random search are drawn."""
BAR_DISTANCE, LABEL_DISTANCE = 9, 24
"""The distances between two bars, and between two labels, of the critical-difference diagram in pixels."""
MIN_RELATIVE_REGRET = 1e-3
"""The lower end of the logarithmic axis, as a share of the largest regret. Smaller regrets are drawn at this end."""


def get_style_class(index: int, name: str) -> str:
    """Return the CSS class of a method's colour; random search is grey."""
    return "grey" if name == RANDOM_SEARCH else f"c{index % COLOUR_COUNT}"


def select_methods_with_intervals(names: Sequence[str], reference: str) -> list[str]:
    """Return the methods whose intervals are drawn: all, or the reference and random search if there are many."""
    return [name for name in names if len(names) <= MAX_INTERVALS or name in (reference, RANDOM_SEARCH)]


def draw_anytime_curves(results: BenchmarkResults, axis: Axis, measure: int, reference: str) -> str:
    """Return the figure of the mean regret of each method over `axis`, with confidence intervals, as SVG.

    Args:
        results: the results on one benchmark.
        axis: the horizontal axis.
        measure: the index of the measure in `results.measures`.
        reference: the method whose interval is always drawn.
    """
    positions = results.list_figure_positions(axis)
    intervals = {
        name: mean_interval(results.compute_regrets(name, axis, positions)[:, :, measure]) for name in results.names
    }
    means = np.concatenate([mean for mean, _, _ in intervals.values()])
    # The first few evaluations have very large regrets, so the scale ignores the largest 2% of all means. The factors 0.8
    # and 1.25 leave a margin below and above the curves.
    highest = float(np.quantile(means, 0.98)) or 1.0
    floor = max(float(means[means > 0].min(initial=highest)), MIN_RELATIVE_REGRET * highest) * 0.8
    measure_name = results.measures[measure]
    y = AxisScale(
        floor, highest * 1.25, measure_name if measure_name.startswith("hyper") else f"regret, {measure_name}", log=True
    )
    plot = Plot(AxisScale(0.0, positions[-1], axis.label), y)
    classes = {name: get_style_class(index, name) for index, name in enumerate(intervals)}
    for name in select_methods_with_intervals(results.names, reference):
        _, low, high = intervals[name]
        if np.isfinite(low).all():
            xs = [*positions, *positions[::-1]]
            plot.area(xs, np.clip([*high, *low[::-1]], floor, y.high), classes[name])
    # The lines are drawn after all areas, so that no area covers a line.
    for index, (name, (mean, _, _)) in enumerate(intervals.items()):
        label = name + " " * (len(name) // 6)  # the spaces widen the legend, so that the name fits in wide fonts
        is_dashed = index >= COLOUR_COUNT and name != RANDOM_SEARCH
        plot.steps(positions, np.clip(mean, floor, y.high), classes[name], label, dash=is_dashed)
    description = f"{measure_name} over {axis.label}: " + ", ".join(
        f"{name} ends at {mean[-1]:.4g}" for name, (mean, _, _) in intervals.items()
    )
    return plot.svg(description)


def draw_critical_differences(names: Sequence[str], ranks: Sequence[float], difference: float) -> str:
    """Return the critical-difference diagram as SVG (Demsar 2006, figure 1).

    Mean ranks lie on a line, the best to the left. A bar joins methods that do not differ significantly.

    Args:
        names: the methods.
        ranks: the mean rank of each method.
        difference: the critical difference of mean ranks.
    """
    order = np.argsort(ranks, kind="stable")
    method_count, width, line_y = len(names), 900.0, 62.0
    # The margin fits the longest name and its rank, also in wide fonts.
    margin = min(380.0, 24.0 + 1.12 * CHARACTER * (5 + max(map(len, names))))
    sorted_ranks = [float(ranks[i]) for i in order]
    bars = indistinguishable_groups(sorted_ranks, difference)
    left_count = (method_count + 1) // 2
    labels_top = line_y + 18 + BAR_DISTANCE * len(bars)
    height = labels_top + LABEL_DISTANCE * left_count + 10

    def to_x(rank: float) -> float:
        return margin + (rank - 1) / max(1, method_count - 1) * (width - 2 * margin)

    parts = [f'<path class="axis" d="M{to_x(1):.1f} {line_y}H{to_x(method_count):.1f}"/>']
    for tick in range(1, method_count + 1):
        parts.append(f'<path class="axis" d="M{to_x(tick):.1f} {line_y}v-6"/>')
        parts.append(f'<text class="tick" x="{to_x(tick):.1f}" y="{line_y - 11:g}" text-anchor="middle">{tick}</text>')
    # The critical difference is drawn above the axis as a line with two end marks, from rank 1.
    critical_x = min(to_x(1 + difference), width - 8)
    parts.append(
        f'<path class="rank" d="M{to_x(1):.1f} 24v-8M{to_x(1):.1f} 20H{critical_x:.1f}M{critical_x:.1f} 24v-8"/>'
    )
    parts.append(f'<text class="note" x="{to_x(1):.1f}" y="11">critical difference {difference:.2f}</text>')
    for bar_index, (first, last) in enumerate(bars):
        y = line_y + 12 + BAR_DISTANCE * bar_index
        parts.append(
            f'<path class="tie" d="M{to_x(sorted_ranks[first]) - 4:.1f} {y:g}H{to_x(sorted_ranks[last]) + 4:.1f}"/>'
        )
    # The better half of the methods has its labels to the left, the best at the top; the others to the right, the worst at
    # the top. So the lines from the axis to the labels do not cross.
    for position, index in enumerate(order):
        is_left = position < left_count
        row = position if is_left else method_count - 1 - position
        y = labels_top + LABEL_DISTANCE * row
        line_end, anchor, text_x = (
            (margin - 12, "end", margin - 17) if is_left else (width - margin + 12, "start", width - margin + 17)
        )
        css = get_style_class(int(index), names[index])
        parts.append(
            f'<path class="rank s {css}" d="M{to_x(sorted_ranks[position]):.1f} {line_y}V{y:g}H{line_end:g}"/>'
        )
        text = f"{names[index]} {sorted_ranks[position]:.2f}"
        parts.append(f'<text x="{text_x:g}" y="{y + 4:g}" text-anchor="{anchor}">{escape(text)}</text>')
    description = "mean ranks: " + ", ".join(f"{names[i]} {ranks[i]:.2f}" for i in order)
    opening_tag = (
        f'<svg class="figure" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{escape(description, {chr(34): "&quot;"})}">'
    )
    return "".join([opening_tag, *parts, "</svg>"])
