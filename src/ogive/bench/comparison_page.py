"""The report of a comparison: `report.html`, `report.md`, and one file for each figure."""

from __future__ import annotations

import math
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ogive.bench import comparison_figures
from ogive.bench.anytime_curve import HYPERVOLUME_GAP
from ogive.bench.comparison import RANDOM_SEARCH, Comparison
from ogive.bench.comparison_results import MIN_BENCHMARKS, BenchmarkResults, collect_results, compute_ranks
from ogive.document.blocks import Block, Document, Drawing, NamedValues, Section, Table, Text
from ogive.document.write import write_page
from ogive.errors import RunError
from ogive.formatting import plural
from ogive.space import SizeBounds
from ogive.stats.comparison_tests import critical_difference, friedman_p_value, mean_interval
from ogive.stats.corrections import FAMILY_LEVEL

FOOTER = "Written by Ogive from the episodes of the comparison."


def write_report(comparison: Comparison, reference: str | None = None) -> Path:
    """Write the report into the folder of the comparison, and return the path of the HTML page.

    Args:
        comparison: the result of `og.bench.compare`.
        reference: the method that all others are tested against, in addition to random search; by default the first method.

    Raises:
        RunError: the comparison has no such method, or the folder cannot be written.
    """
    results = collect_results(comparison)
    reference = reference or results[0].names[0]
    if reference not in results[0].names:
        raise RunError(f"the comparison has no method {reference!r}; the methods are {', '.join(results[0].names)}")
    sections = [_make_benchmark_section(benchmark, reference) for benchmark in results]
    sections += [_make_ranks_section(results), _make_protocol_section(comparison)]
    title, lead = f"Comparison of {plural(len(comparison.methods), 'method')}", _format_lead(comparison, results)
    page = Document(title, lead, sections, FOOTER, style=comparison_figures.EXTRA_STYLE)
    path = comparison.folder / "report.html"
    try:
        write_page(page, comparison.folder / "report.md", comparison.folder / "figures")
        write_page(page, path)
    except OSError as error:
        raise RunError(f"the report cannot be written: {error}") from error
    return path


def make_regret_tables(comparison: Comparison) -> list[tuple[str, list[Table]]]:
    """Return the tables of regrets of each benchmark, for a terminal."""
    return [(benchmark.spec, _make_regret_tables(benchmark)) for benchmark in collect_results(comparison)]


# -- sections ----------------------------------------------------------------------------------------------------------


def _format_lead(comparison: Comparison, results: Sequence[BenchmarkResults]) -> str:
    """Return the text below the title: the size of the comparison, and how the regret is defined."""
    protocol = comparison.protocol
    limit = f" or {protocol.cost:g} full trainings" if protocol.cost is not None else ""
    return (
        f"{plural(len(results), 'benchmark')}, {plural(len(comparison.seeds), 'seed')}, at most "
        f"{plural(protocol.trials, 'trial')}{limit} per search, {plural(protocol.workers, 'worker')}. Intervals are "
        "95% confidence intervals of the mean over the seeds (Student's t). "
        "A search receives the validation metrics of single trainings. Its incumbent is the best by these metrics among the "
        "trials that have reached the highest fidelity so far. Regret is the difference between two means over the "
        "repetitions of the benchmark's table: that of the incumbent, and the best one of any architecture. "
        "On a logarithmic axis, a regret of 0 is drawn at the lower end."
    )


def _make_benchmark_section(benchmark: BenchmarkResults, reference: str) -> Section:
    """Return the section of one benchmark: its description, the any-time curves, the regrets, and the paired tests."""
    problem = benchmark.problem
    size = problem.space.size()
    count = f"{size:,}" if isinstance(size, int) else str(size) if isinstance(size, SizeBounds) else "infinitely many"
    goals = ", ".join(f"{o.goal} {o.metric}" for o in problem.objectives)
    texts = [f"{problem.source or problem.name}: {count} architectures; {goals}."]
    if problem.constraints:
        constraints = "; ".join(
            f"{c} ({'known before training' if c.hard else 'known after training'})" for c in problem.constraints
        )
        texts.append(f"Constraints: {constraints}.")
    if len(benchmark.measures) == 1 and problem.split:
        texts.append(
            f"The table has {problem.split} values only: the search optimizes the values that the regret is computed from. "
            "Part of a low regret may be chance, which values of another split would not confirm."
        )
    texts += _describe_irregularities(benchmark)
    methods_with_intervals = comparison_figures.select_methods_with_intervals(benchmark.names, reference)
    if len(methods_with_intervals) < len(benchmark.names):
        texts.append(
            f"The figures show the intervals of {' and '.join(methods_with_intervals)}; the tables have those of all "
            "methods."
        )
    slug = _make_slug(benchmark.spec)
    drawings = []
    for index, measure in enumerate(benchmark.measures):
        svg = comparison_figures.draw_anytime_curves(benchmark, benchmark.axis, index, reference)
        drawings.append(_make_figure(f"Over {benchmark.axis.label}: {measure}", f"{slug}-{index}", svg))
    svg = comparison_figures.draw_anytime_curves(benchmark, benchmark.time_axis, len(benchmark.measures) - 1, reference)
    drawings.append(_make_figure(f"Over simulated time: {benchmark.measures[-1]}", f"{slug}-time", svg))
    tests = [_make_test_table(benchmark, name) for name in dict.fromkeys((reference, RANDOM_SEARCH))]
    blocks: list[Block] = [*map(Text, texts), *drawings, *_make_regret_tables(benchmark), *tests]
    return Section(slug, benchmark.title, blocks)


def _describe_irregularities(benchmark: BenchmarkResults) -> list[str]:
    """Return sentences on searches that ended early, on the training time of the comparison, and on failed trials."""
    early_ends: dict[str, list[str]] = {}
    for name in benchmark.names:
        for episode in benchmark.list_episodes(name):
            if episode["trials"] < benchmark.comparison.protocol.trials and benchmark.comparison.protocol.cost is None:
                early_ends.setdefault(episode["ended"].split(":")[0], []).append(name)
    texts = [
        f"Searches that ended early, because {reason}: "
        + ", ".join(f"{name} ({plural(names.count(name), 'seed')})" for name in dict.fromkeys(names))
        + "."
        for reason, names in early_ends.items()
    ]
    if benchmark.is_compared_by_training_time:
        cheapest_method = min(
            benchmark.names, key=lambda name: min(episode["cost"] for episode in benchmark.list_episodes(name))
        )
        texts.append(
            f"Methods are compared at equal training time: {benchmark.end_position:.4g} full trainings (trainings at "
            f"full fidelity). This is the shortest training time of a search, one of {cheapest_method}."
        )
    failed = {name: sum(episode["failed"] for episode in benchmark.list_episodes(name)) for name in benchmark.names}
    if any(failed.values()):
        texts.append("Failed trials: " + ", ".join(f"{name} {count}" for name, count in failed.items()) + ".")
    return texts


def _make_regret_tables(benchmark: BenchmarkResults) -> list[Table]:
    """Return a table for each measure: its mean regret at each position, by method."""
    result = []
    positions = benchmark.table_positions
    for index, measure in enumerate(benchmark.measures):
        rows = []
        for name in benchmark.names:
            mean, low, _ = mean_interval(benchmark.compute_regrets(name, benchmark.axis, positions)[:, :, index])
            half_widths = np.round(mean - low, 12)  # rounded, so that the interval of equal regrets has width 0
            cells = [
                f"{_format_value(m)} ± {_format_value(h)}" if math.isfinite(h) else _format_value(m)
                for m, h in zip(mean, half_widths, strict=True)
            ]
            extra_cells = [
                f"{benchmark.count_optimal_seeds(name)} of {len(benchmark.comparison.seeds)}",
                f"{benchmark.compute_cpu_milliseconds(name):.1f}",
            ]
            rows.append([name, *cells, *(extra_cells if index == 0 else ())])
        extra_head = ("at the optimum", "CPU ms per trial") if index == 0 else ()
        head = ["", *(f"{position:.4g}" for position in positions), *extra_head]
        # With several objectives the measure is the hypervolume gap, otherwise the regret of a metric.
        title = measure if measure == HYPERVOLUME_GAP else f"regret, {measure}"
        note = (
            "Mean over the seeds ± half the width of its 95% confidence interval, after the number of "
            f"{benchmark.axis.unit_name} in the heading of the column."
        )
        result.append(Table(head, rows, title=f"{title[0].upper()}{title[1:]}", note=note))
    return result


def _make_test_table(benchmark: BenchmarkResults, reference: str) -> Table:
    """Return the table of the paired tests of all other methods against `reference`."""
    rows = []
    for name, test in benchmark.compare_with(reference).items():
        interval = (
            f"[{_format_value(test.low)}, {_format_value(test.high)}]" if math.isfinite(test.low) else "one seed only"
        )
        better = "better" if test.mean < 0 else "worse"
        verdict = better if test.corrected < FAMILY_LEVEL else "no difference shown"
        rows.append([name, f"{test.mean:+.3g}", interval, _format_p(test.p), _format_p(test.corrected), verdict])
    head = ["", "difference", "95% interval", "p", "p after correction", f"verdict (significance level {FAMILY_LEVEL})"]
    note = (
        f"Each method minus {reference}, paired over the seeds: {benchmark.measures[-1]} at the end "
        f"({benchmark.end_position:.4g} {benchmark.axis.unit_name}); below 0 is better. Wilcoxon's signed-rank test, "
        "corrected by Holm's method over the rows of this table."
    )
    return Table(head, rows, text_columns=frozenset({5}), title=f"Against {reference}", note=note)


def _make_ranks_section(results: Sequence[BenchmarkResults]) -> Section:
    """Return the section with the mean ranks of the methods over all benchmarks, and the critical-difference diagram."""
    ranks, values, block_kind = compute_ranks(results)
    names = results[0].names
    if len(names) < 2 or len(values) < 2:
        return Section(
            "ranks", "Ranks", [Text("Ranks need at least two methods, and at least two benchmarks or seeds.")]
        )
    difference = critical_difference(len(names), len(values))
    p = friedman_p_value(values)
    texts = [
        f"Mean ranks over {len(values)} {block_kind}, 1 is the best. Methods are ranked by their regret or hypervolume gap "
        "at the end, on the test split if the benchmark has one. Friedman's test of the hypothesis that all methods are "
        f"equal: p {'' if p < 1e-4 else '= '}{_format_p(p)}. Methods joined by a bar do not differ significantly "
        "(Nemenyi's test at level 0.05, Demsar 2006)."
    ]
    if len(results) < MIN_BENCHMARKS:
        texts.append(
            "Because there are few benchmarks, methods are ranked for each pair of benchmark and seed. The ranks hold for "
            "these benchmarks, not for others."
        )
    figure = _make_figure(
        "Critical differences",
        "ranks",
        comparison_figures.draw_critical_differences(names, ranks.tolist(), difference),
    )
    order = np.argsort(ranks, kind="stable")
    rows = [[names[i], f"{ranks[i]:.2f}"] for i in order]
    return Section("ranks", "Ranks", [*map(Text, texts), figure, Table(["", "rank"], rows, title="Mean ranks")])


def _make_protocol_section(comparison: Comparison) -> Section:
    """Return the section with all that is needed to repeat the comparison."""
    protocol = comparison.protocol
    rows: list[tuple[str, object]] = [
        ("protocol", protocol.hash),
        ("maximum number of trials", str(protocol.trials)),
        ("workers", str(protocol.workers)),
        ("limit of training time (full trainings)", "no limit" if protocol.cost is None else f"{protocol.cost:g}"),
        ("seeds", ", ".join(map(str, comparison.seeds))),
        *((f"fingerprint of {spec}", problem.fingerprint) for spec, problem in comparison.problems.items()),
        *(
            (f"environment {environment_hash}", ", ".join(f"{name} {version}" for name, version in environment.items()))
            for environment_hash, environment in comparison.environments.items()
        ),
        ("command", shlex.join(["ogive", *sys.argv[1:]]) if "ogive" in Path(sys.argv[0]).name else "from Python"),
    ]
    texts = []
    if len(comparison.environments) > 1:
        texts.append(
            "The episodes were run with different versions (see the environments below). To use one version for all, "
            "compare in a new folder."
        )
    return Section("protocol", "Protocol", [*map(Text, texts), NamedValues(rows)])


def _make_figure(title: str, name: str, svg: str) -> Drawing:
    return Drawing(name, svg, about=title, title=title)


def _make_slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:80]


def _format_value(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 1 else f"{value:.3g}"


def _format_p(value: float) -> str:
    if math.isnan(value):
        return "-"
    return "below 0.0001" if value < 1e-4 else f"{value:.2g}"
