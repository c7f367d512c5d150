"""The statistics of a comparison: regrets along any-time curves, paired tests and ranks.

Symbols: k methods, s seeds, t positions along an axis, m measures.
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
from ogive.bench.episode import read_points
from ogive.bench.problem import Problem
from ogive.bench.simulated_search import FULL_SCHEDULE
from ogive.stats.comparison_tests import average_ranks
from ogive.stats.corrections import correct_by_holm
from ogive.stats.paired import PairedComparison, compare_pairs

TABLE_POSITIONS = (5, 10, 25, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 5000, 10_000)
"""The positions, in units of the axis, that are columns of the tables of regrets."""
FIGURE_POSITIONS = 240
"""The number of points of a curve in a figure."""
MIN_BENCHMARKS = 5
"""With fewer benchmarks, the methods are ranked for each pair (benchmark, seed) instead of for each benchmark."""
OPTIMUM_TOLERANCE = 1e-12
"""A regret up to this value counts as 0, because it can be due to rounding."""


@dataclass(frozen=True)
class Axis:
    """The horizontal axis of a curve.

    Attributes:
        attribute: the attribute of `anytime_curve.IncumbentPoint` on the axis: "evaluations", "seconds" or "cost".
        label: the label of the axis.
        unit_name: the name of the unit, in the plural, such as "full trainings". (The unit "full trainings" is the mean time
            of one training at full fidelity.)
        unit_size: the size of the unit; values of the attribute are divided by `unit_size`.
    """

    attribute: str
    label: str
    unit_name: str
    unit_size: float = 1.0


class BenchmarkResults:
    """The results of all methods on one benchmark.

    Attributes:
        comparison: the comparison.
        spec: the specification of the benchmark, such as "chain:depth=3".
        problem: the problem that the benchmark poses.
        names: the names of the methods.
        measures: the names of the measures, such as "log_loss (validation)". Methods are compared by the last one, which is
            measured on the test split if the benchmark has one.
    """

    def __init__(self, comparison: Comparison, spec: str) -> None:
        self.comparison, self.spec = comparison, spec
        self.problem: Problem = comparison.problems[spec]
        self.names = tuple(map(str, comparison.methods))
        self.measures = anytime_curve.list_measures(self.problem)
        self._curves = {
            (name, seed): read_points(comparison.episodes[spec, name, seed])
            for name in self.names
            for seed in comparison.seeds
        }

    @property
    def title(self) -> str:
        """The name of the benchmark, or its specification if two benchmarks of the comparison have the same name."""
        names = [problem.name for problem in self.comparison.problems.values()]
        return self.problem.name if names.count(self.problem.name) == 1 else self.spec

    def list_episodes(self, name: str) -> list[dict[str, Any]]:
        """Return the episodes of one method, in the order of the seeds."""
        return [self.comparison.episodes[self.spec, name, seed] for seed in self.comparison.seeds]

    @property
    def is_compared_by_training_time(self) -> bool:
        """Whether methods are compared at equal training time rather than at equal numbers of evaluations."""
        methods = self.comparison.methods
        return self.comparison.protocol.cost is not None or any(method.schedule != FULL_SCHEDULE for method in methods)

    @cached_property
    def axis(self) -> Axis:
        """The axis on which methods are compared."""
        if self.is_compared_by_training_time:
            return Axis(
                "cost", "training time (1 = one training at full fidelity)", "full trainings", self.problem.full_seconds
            )
        return Axis("evaluations", "evaluations", "evaluations")

    @cached_property
    def time_axis(self) -> Axis:
        """The axis of virtual time, which depends on the number of workers of the protocol."""
        return Axis(
            "seconds", "simulated time (1 = one training at full fidelity)", "full trainings", self.problem.full_seconds
        )

    def compute_regrets(self, name: str, axis: Axis, positions: Sequence[float]) -> FloatArray:
        """Return the regrets of one method at positions along `axis`: [s, t, m]."""
        initial = anytime_curve.compute_worst_values(self.problem)
        # The factor above 1 includes a point exactly at a position, even if rounding has decreased the position.
        scaled_positions = [position * axis.unit_size * (1 + 1e-9) for position in positions]
        rows = [
            anytime_curve.evaluate_curve(self._curves[name, seed], axis.attribute, scaled_positions, initial)
            for seed in self.comparison.seeds
        ]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(positions), len(self.measures))

    @cached_property
    def end_position(self) -> float:
        """The position at which methods are compared.

        On the axis of training time, this is the shortest training time of a search, so that every search has reached it. On
        the axis of evaluations, it is the largest number of evaluations that all searches of some method have reached; a
        search that ended before keeps its last regret.
        """
        # The totals of an episode have the names of the attributes of `IncumbentPoint`.
        ends: list[float] = [
            min(episode[self.axis.attribute] for episode in self.list_episodes(name)) / self.axis.unit_size
            for name in self.names
        ]
        return min(ends) if self.is_compared_by_training_time else max(ends)

    @property
    def table_positions(self) -> list[float]:
        """The positions that are columns of the tables: round numbers, and the end."""
        # A round number that is nearly the end is left out, because the end has its own column.
        return [
            *(float(position) for position in TABLE_POSITIONS if position < self.end_position * 0.999),
            self.end_position,
        ]

    def list_figure_positions(self, axis: Axis) -> list[float]:
        """Return positions along an axis for a figure."""
        last_position = (
            max(episode[axis.attribute] for name in self.names for episode in self.list_episodes(name)) / axis.unit_size
        )
        if axis.attribute == "evaluations":
            return [float(n) for n in range(1, max(2, round(last_position)) + 1)]
        return [last_position * index / FIGURE_POSITIONS for index in range(1, FIGURE_POSITIONS + 1)]

    @cached_property
    def final_regrets(self) -> FloatArray:
        """The regrets at the end by the last measure: [k, s]."""
        return np.stack([self.compute_regrets(name, self.axis, [self.end_position])[:, 0, -1] for name in self.names])

    def count_optimal_seeds(self, name: str) -> int:
        """Return the number of seeds with a regret of 0 at the end, by the first measure (validation)."""
        return int((self.compute_regrets(name, self.axis, [self.end_position])[:, 0, 0] <= OPTIMUM_TOLERANCE).sum())

    def compare_with(self, reference: str) -> dict[str, PairedComparison]:
        """Return the paired test of each other method against `reference` at the end, with Holm's correction."""
        reference_regrets = self.final_regrets[self.names.index(reference)].tolist()
        tests = {
            name: compare_pairs(self.final_regrets[i].tolist(), reference_regrets)
            for i, name in enumerate(self.names)
            if name != reference
        }
        corrected = correct_by_holm([test.p for test in tests.values()]).tolist()
        return {name: replace(test, corrected=p) for (name, test), p in zip(tests.items(), corrected, strict=True)}

    def compute_cpu_milliseconds(self, name: str) -> float:
        """Return the CPU time per trial in milliseconds, including strategy, schedule and benchmark; NaN without trials."""
        episodes = self.list_episodes(name)
        trials = sum(episode["trials"] for episode in episodes)
        # "processor" is the CPU time of an episode in seconds.
        return 1e3 * sum(episode["processor"] for episode in episodes) / trials if trials else math.nan


def collect_results(comparison: Comparison) -> list[BenchmarkResults]:
    """Return the results on each benchmark."""
    return [BenchmarkResults(comparison, spec) for spec in comparison.problems]


def compute_ranks(results: Sequence[BenchmarkResults]) -> tuple[FloatArray, FloatArray, str]:
    """Rank the methods within each of b blocks (in the sense of Friedman's test).

    A block is a benchmark, or a pair of benchmark and seed if there are fewer than `MIN_BENCHMARKS` benchmarks.

    Returns:
        The mean ranks [k] of the methods, the regrets [b, k] that were ranked, and a description of the blocks.
    """
    if len(results) >= MIN_BENCHMARKS:
        values = np.stack([benchmark.final_regrets.mean(axis=1) for benchmark in results])
        return average_ranks(values), values, "benchmarks (means over seeds)"
    values = np.concatenate([benchmark.final_regrets.T for benchmark in results])
    return average_ranks(values), values, "(benchmark, seed) pairs"
