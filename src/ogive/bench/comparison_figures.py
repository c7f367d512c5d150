"""The figures of a comparison as SVG: any-time curves with intervals, and the critical-difference diagram."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

import numpy as np

from ogive.bench.comparison_results import Axis, Results
from ogive.drawing.plot import CHARACTER, AxisScale, Plot
from ogive.stats.comparison_tests import groups, mean_interval

COLOURS = 10
"""Beyond these they come again, with dashed lines."""
EXTRA_STYLE = """
.c6 { color: #7a5cc8; } .c7 { color: #5f7a13; } .c8 { color: #a0522d; } .c9 { color: #0e8a9a; }
svg.figure .rank { stroke: currentColor; stroke-width: 1; fill: none; opacity: .7; }
svg.figure .tie { stroke: currentColor; stroke-width: 4; stroke-linecap: round; }
@media (prefers-color-scheme: dark) {
  .c6 { color: #a893ee; } .c7 { color: #a9c25a; } .c8 { color: #d79a7a; } .c9 { color: #56c4d2; }
}
"""
SHADED = 4
"""Of more entrants than these not all intervals are drawn."""
FLOOR = 1e-3
"""Of the largest mean: a regret below it is drawn at the foot of a log scale."""


def colour(place: int, name: str) -> str:
    """The style class of an entrant; random search is grey."""
    return "grey" if name == "random" else f"c{place % COLOURS}"


def shaded(names: Sequence[str], reference: str) -> list[str]:
    """Whose intervals any-time curves show: all, or of many the reference and random search, lest lines drown in them."""
    return [name for name in names if len(names) <= SHADED or name in (reference, "random")]


def anytime(results: Results, axis: Axis, number: int, reference: str) -> str:
    """Mean regret of each entrant over `axis`, with intervals (see `shaded`); `number` tells which measure."""
    places = results.places(axis)
    found = {name: mean_interval(results.values(name, axis, places)[:, :, number]) for name in results.names}
    means = np.concatenate([mean for mean, _, _ in found.values()])
    top = float(np.quantile(means, 0.98)) or 1.0
    floor = max(float(means[means > 0].min(initial=top)), FLOOR * top) * 0.8
    unit = results.measures[number]
    y = AxisScale(floor, top * 1.25, unit if unit.startswith("hyper") else f"regret, {unit}", log=True)
    plot = Plot(AxisScale(0.0, places[-1], axis.label), y)
    colours = {name: colour(place, name) for place, name in enumerate(found)}
    for name in shaded(results.names, reference):
        _, low, high = found[name]
        if np.isfinite(low).all():
            xs = [*places, *places[::-1]]
            plot.area(xs, np.clip([*high, *low[::-1]], floor, y.high), colours[name])
    for place, (name, (mean, _, _)) in enumerate(found.items()):  # above all shades
        label = name + " " * (len(name) // 6)  # spaces take room in the legend only, where wide fonts need it
        again = place >= COLOURS and name != "random"
        plot.steps(places, np.clip(mean, floor, y.high), colours[name], label, dash=again)
    about = f"{unit} over {axis.label}: " + ", ".join(
        f"{name} ends at {mean[-1]:.4g}" for name, (mean, _, _) in found.items()
    )
    return plot.svg(about)


def critical_difference(names: Sequence[str], ranks: Sequence[float], difference: float) -> str:
    """Mean ranks on a line, the best to the left; a bar joins entrants that do not differ (Demsar 2006, figure 1)."""
    order = np.argsort(ranks, kind="stable")
    k, width, line = len(names), 900.0, 62.0
    margin = min(380.0, 24.0 + 1.12 * CHARACTER * (5 + max(map(len, names))))  # a name and its rank, in wide fonts too
    sorted_ranks = [float(ranks[i]) for i in order]
    bars = groups(sorted_ranks, difference)
    half = (k + 1) // 2
    foot = line + 18 + 9 * len(bars)
    height = foot + 24 * half + 10

    def x(rank: float) -> float:
        return margin + (rank - 1) / max(1, k - 1) * (width - 2 * margin)

    parts = [f'<path class="axis" d="M{x(1):.1f} {line}H{x(k):.1f}"/>']
    for tick in range(1, k + 1):
        parts.append(f'<path class="axis" d="M{x(tick):.1f} {line}v-6"/>')
        parts.append(f'<text class="tick" x="{x(tick):.1f}" y="{line - 11:g}" text-anchor="middle">{tick}</text>')
    cd = min(x(1 + difference), width - 8)
    parts.append(f'<path class="rank" d="M{x(1):.1f} 24v-8M{x(1):.1f} 20H{cd:.1f}M{cd:.1f} 24v-8"/>')
    parts.append(f'<text class="note" x="{x(1):.1f}" y="11">critical difference {difference:.2f}</text>')
    for number, (first, last) in enumerate(bars):
        y = line + 12 + 9 * number
        parts.append(f'<path class="tie" d="M{x(sorted_ranks[first]) - 4:.1f} {y:g}H{x(sorted_ranks[last]) + 4:.1f}"/>')
    for place, index in enumerate(order):
        left = place < half
        row = place if left else k - 1 - place
        y = foot + 24 * row
        end, anchor, at = (
            (margin - 12, "end", margin - 17) if left else (width - margin + 12, "start", width - margin + 17)
        )
        css = colour(int(index), names[index])
        parts.append(f'<path class="rank s {css}" d="M{x(sorted_ranks[place]):.1f} {line}V{y:g}H{end:g}"/>')
        text = f"{names[index]} {sorted_ranks[place]:.2f}"
        parts.append(f'<text x="{at:g}" y="{y + 4:g}" text-anchor="{anchor}">{escape(text)}</text>')
    about = "mean ranks: " + ", ".join(f"{names[i]} {ranks[i]:.2f}" for i in order)
    head = (
        f'<svg class="figure" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{escape(about, {chr(34): "&quot;"})}">'
    )
    return "".join([head, *parts, "</svg>"])
