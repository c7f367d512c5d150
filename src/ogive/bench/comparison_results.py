"""What the episodes of a comparison say: any-time curves, tables, paired tests, ranks. Numbers only; nothing is drawn here.

Symbols: k entrants, s seeds, t places along an axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ogive.arrays import FloatArray
from ogive.bench import anytime_curve
from ogive.bench.comparison import Comparison
from ogive.bench.episode import points
from ogive.bench.problem import Problem
from ogive.bench.simulated_search import FULL
from ogive.stats.comparison_tests import average_ranks
from ogive.stats.corrections import holm
from ogive.stats.paired import Paired, paired

MARKS = (5, 10, 25, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 5000, 10_000)
PLACES = 240
"""Along the axes of figures."""
FEW_PROBLEMS = 5
"""With fewer benchmarks than these, ranks are taken over (benchmark, seed) pairs, which is said."""


@dataclass(frozen=True)
class Axis:
    """What a curve is drawn over: an attribute of `measure.CurvePoint`, in units of `unit`, which are called `units`."""

    name: str
    label: str
    units: str
    unit: float = 1.0


class Results:
    """The episodes of one benchmark.

    Attributes:
        measures: what is measured, such as `log_loss (validation)`; the last one decides, which is the test's where the
            table has one.
    """

    def __init__(self, comparison: Comparison, spec: str) -> None:
        self.comparison, self.spec = comparison, spec
        self.problem: Problem = comparison.problems[spec]
        self.names = tuple(map(str, comparison.entrants))
        self.measures = anytime_curve.measures(self.problem)
        self._curves = {
            (name, seed): points(comparison.episodes[spec, name, seed])
            for name in self.names
            for seed in comparison.seeds
        }

    @property
    def title(self) -> str:
        """The problem's name; its specification where another has the same name."""
        names = [problem.name for problem in self.comparison.problems.values()]
        return self.problem.name if names.count(self.problem.name) == 1 else self.spec

    def facts(self, name: str) -> list[dict[str, Any]]:
        """The episodes of one entrant, by seed."""
        return [self.comparison.episodes[self.spec, name, seed] for seed in self.comparison.seeds]

    @property
    def by_cost(self) -> bool:
        """Whether entrants are compared at equal cost rather than at equal numbers of evaluations."""
        return self.comparison.protocol.cost is not None or any(e.schedule != FULL for e in self.comparison.entrants)

    @cached_property
    def axis(self) -> Axis:
        """The axis that counts."""
        if self.by_cost:
            return Axis("cost", "training spent, in full trainings", "full trainings", self.problem.full_seconds)
        return Axis("evaluations", "evaluations", "evaluations")

    @cached_property
    def time(self) -> Axis:
        """Simulated time, with as many workers as the protocol has."""
        return Axis("seconds", "simulated time, in full trainings", "full trainings", self.problem.full_seconds)

    def values(self, name: str, axis: Axis, places: Sequence[float]) -> FloatArray:
        """The regrets of one entrant: [s, t, measures]."""
        start = anytime_curve.start(self.problem)
        scaled = [place * axis.unit * (1 + 1e-9) for place in places]
        rows = [anytime_curve.at(self._curves[name, seed], axis.name, scaled, start) for seed in self.comparison.seeds]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(places), len(self.measures))

    @cached_property
    def end(self) -> float:
        """Where entrants are judged: the end, or at equal cost the last place that all of them reached."""
        reached: list[float] = [
            min(episode[self.axis.name] for episode in self.facts(name)) / self.axis.unit for name in self.names
        ]
        return min(reached) if self.by_cost else max(reached)

    @property
    def marks(self) -> list[float]:
        """Round places along the axis, and the end."""
        return [*(float(mark) for mark in MARKS if mark < self.end * 0.999), self.end]

    def places(self, axis: Axis) -> list[float]:
        """Places along an axis for a figure."""
        last = max(episode[axis.name] for name in self.names for episode in self.facts(name)) / axis.unit
        if axis.name == "evaluations":
            return [float(n) for n in range(1, max(2, round(last)) + 1)]
        return [last * place / PLACES for place in range(1, PLACES + 1)]

    @cached_property
    def final(self) -> FloatArray:
        """The regret that decides, at the end: [k, s]."""
        return np.stack([self.values(name, self.axis, [self.end])[:, 0, -1] for name in self.names])

    def at_optimum(self, name: str) -> int:
        """How many seeds are at the best there is, by the validation truth (the first measure), at the end."""
        return int((self.values(name, self.axis, [self.end])[:, 0, 0] <= 1e-12).sum())

    def against(self, reference: str) -> dict[str, Paired]:
        """Every other entrant minus `reference` at the end, with Holm's correction over all of them."""
        row = self.final[self.names.index(reference)]
        found = {
            name: paired(self.final[i].tolist(), row.tolist()) for i, name in enumerate(self.names) if name != reference
        }
        corrected = holm([item.p for item in found.values()]).tolist()
        return {name: replace(item, corrected=p) for (name, item), p in zip(found.items(), corrected, strict=True)}

    def milliseconds(self, name: str) -> float:
        """Processor time a trial, everything included."""
        facts = self.facts(name)
        trials = sum(item["trials"] for item in facts)
        return 1e3 * sum(item["processor"] for item in facts) / trials if trials else math.nan


def all_results(comparison: Comparison) -> list[Results]:
    """One for each benchmark."""
    return [Results(comparison, spec) for spec in comparison.problems]


def ranks(results: Sequence[Results]) -> tuple[FloatArray, FloatArray, str]:
    """Mean ranks [k] of the entrants, the values [blocks, k] behind them, and what the blocks are."""
    if len(results) >= FEW_PROBLEMS:
        values = np.stack([item.final.mean(axis=1) for item in results])
        return average_ranks(values), values, "benchmarks (means over seeds)"
    values = np.concatenate([item.final.T for item in results])
    return average_ranks(values), values, "(benchmark, seed) pairs"
