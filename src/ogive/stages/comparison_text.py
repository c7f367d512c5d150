"""A comparison in words and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ogive.errors import JobError
from ogive.formatting import number, plural
from ogive.objective import Objective
from ogive.stages.baseline_comparison import BaselineComparison, ComparedNetwork, PairedDifference


def comparison_tables(comparison: BaselineComparison, objectives: Sequence[Objective]) -> dict[str, Any]:
    """What a page shows of a comparison. Metrics that are no objective have a goal where their name tells."""
    found, baseline, seeds = comparison.found, comparison.baseline, comparison.seeds
    goals = {objective.metric: objective.goal for objective in objectives}
    rows = [
        (metric, _mean(found, metric), _mean(baseline, metric), signed(difference.mean), bounds(difference))
        for metric, difference in comparison.differences.items()
    ]
    if found.parameters is not None and baseline.parameters is not None:
        ratio = f"{found.parameters / baseline.parameters:.2f} times" if baseline.parameters else ""
        rows.append(("parameters", f"{found.parameters:,}", f"{baseline.parameters:,}", ratio, ""))
    metrics = [*dict.fromkeys([*found.metrics, *baseline.metrics])]
    return {
        "lead": f"{found.name} against {baseline.name}, both trained alike with {plural(len(seeds), 'seed')}, measured on "
        f"the {comparison.split} split. A difference is found minus baseline, paired by seed.",
        "head": ["metric (mean)", found.name, baseline.name, "difference", "confidence interval"],
        "rows": rows,
        "verdicts": [
            verdict(metric, difference, goals.get(metric) or known_goal(metric), len(seeds))
            for metric, difference in comparison.differences.items()
        ],
        "seeds_head": ["", *(f"seed {seed}" for seed in seeds)],
        "seeds_rows": [
            (f"{metric}, {network.name}", *(number(value) for value in network.metrics[metric]))
            for metric in metrics
            for network in (found, baseline)
            if metric in network.metrics
        ],
    }


def verdict(metric: str, difference: PairedDifference, goal: str, seeds: int) -> str:
    """One sentence on a difference: better, worse, or not told apart."""
    shown = f"{metric}: {signed(difference.mean)}, {100 * difference.confidence:g} % interval {bounds(difference)}"
    if not math.isfinite(difference.low):
        why = "A single seed tells" if seeds == 1 else f"Equal differences in all {seeds} seeds tell"
        return f"{shown}. {why} nothing of the spread."
    if difference.low <= 0 <= difference.high:
        return f"{shown}. The interval holds 0: {plural(seeds, 'seed')} do not tell the two apart."
    if not goal:
        return f"{shown}."
    better = (difference.mean > 0) == (goal == "maximize")
    return f"{shown}. What was found is {'better' if better else 'worse'}."


def bounds(difference: PairedDifference) -> str:
    """`[-0.01, +0.02]`."""
    if not math.isfinite(difference.low):
        return "none"
    return f"[{signed(difference.low)}, {signed(difference.high)}]"


def signed(value: float) -> str:
    """With its sign."""
    return f"{value:+.3g}"


def known_goal(metric: str) -> str:
    """The goal that a metric's name tells; "" where it does not."""
    try:
        return Objective(metric).goal
    except JobError:
        return ""


def _mean(network: ComparedNetwork, metric: str) -> str:
    values = network.metrics[metric]
    return number(sum(values) / len(values))
