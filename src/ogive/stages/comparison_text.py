"""A comparison with a baseline as sentences and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ogive.errors import JobError
from ogive.formatting import number, plural
from ogive.objective import Objective
from ogive.stages.baseline_comparison import BaselineComparison, ComparedNetwork, PairedDifference


def make_comparison_tables(comparison: BaselineComparison, objectives: Sequence[Objective]) -> dict[str, Any]:
    """Return the tables and sentences of a comparison for a report.

    The keys are `lead` (an introduction), `head` and `rows` (the table of means), `verdicts` (a sentence for each metric),
    and `seeds_head` and `seeds_rows` (the table of the single seeds).

    Args:
        comparison: the comparison of two networks.
        objectives: the objectives of the search. The goals of other metrics are derived from the metrics' names, if
            possible.
    """
    searched, baseline, seeds = comparison.winner, comparison.baseline, comparison.seeds
    goals = {objective.metric: objective.goal for objective in objectives}
    rows = [
        (
            metric,
            _format_mean(searched, metric),
            _format_mean(baseline, metric),
            format_signed(difference.mean),
            format_interval(difference),
        )
        for metric, difference in comparison.differences.items()
    ]
    if searched.parameters is not None and baseline.parameters is not None:
        ratio = f"{searched.parameters / baseline.parameters:.2f} times" if baseline.parameters else ""
        rows.append(("parameters", f"{searched.parameters:,}", f"{baseline.parameters:,}", ratio, ""))
    metrics = [*dict.fromkeys([*searched.metrics, *baseline.metrics])]
    return {
        "lead": f"{searched.name} against {baseline.name}, both trained with the same recipe and "
        f"{plural(len(seeds), 'seed')}, measured on the {comparison.split} split. A difference is the value of "
        f"{searched.name} minus the value of {baseline.name} with the same seed.",
        "head": ["metric (mean)", searched.name, baseline.name, "difference", "confidence interval"],
        "rows": rows,
        "verdicts": [
            format_verdict(metric, difference, goals.get(metric) or find_known_goal(metric), len(seeds))
            for metric, difference in comparison.differences.items()
        ],
        "seeds_head": ["", *(f"seed {seed}" for seed in seeds)],
        "seeds_rows": [
            (f"{metric}, {network.name}", *(number(value) for value in network.metrics[metric]))
            for metric in metrics
            for network in (searched, baseline)
            if metric in network.metrics
        ],
    }


def format_verdict(metric: str, difference: PairedDifference, goal: str, seeds: int) -> str:
    """Return a sentence that says whether the search's network is better, worse, or not significantly different.

    Args:
        metric: the name of the metric.
        difference: the paired difference of the metric.
        goal: "minimize" or "maximize". If it is "" (unknown), the sentence does not say which network is better.
        seeds: the number of seeds.
    """
    interval = f"{100 * difference.confidence:g}% interval {format_interval(difference)}"
    text = f"{metric}: {format_signed(difference.mean)}, {interval}"
    if not math.isfinite(difference.low):
        reason = "A single seed does" if seeds == 1 else f"Equal differences in all {seeds} seeds do"
        return f"{text}. {reason} not show the spread."
    if difference.low <= 0 <= difference.high:
        return f"{text}. The interval contains 0: with {plural(seeds, 'seed')}, the difference is not significant."
    if not goal:
        return f"{text}."
    better = (difference.mean > 0) == (goal == "maximize")
    return f"{text}. The network of the search is {'better' if better else 'worse'}."


def format_interval(difference: PairedDifference) -> str:
    """Return the interval as `[-0.01, +0.02]`, or "none" if it is infinite."""
    if not math.isfinite(difference.low):
        return "none"
    return f"[{format_signed(difference.low)}, {format_signed(difference.high)}]"


def format_signed(value: float) -> str:
    """Return a value with its sign and three significant digits: `+0.0123`."""
    return f"{value:+.3g}"


def find_known_goal(metric: str) -> str:
    """Return the default goal of a metric, "minimize" or "maximize"; "" if there is no default for this name."""
    try:
        return Objective(metric).goal
    except JobError:
        return ""


def _format_mean(network: ComparedNetwork, metric: str) -> str:
    values = network.metrics[metric]
    return number(sum(values) / len(values))
