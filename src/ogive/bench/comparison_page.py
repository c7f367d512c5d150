"""The report of a comparison: `report.html`, `report.md`, and each figure as a file of its own."""

from __future__ import annotations

import math
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ogive.bench import comparison_figures
from ogive.bench.comparison import RANDOM, Comparison
from ogive.bench.comparison_results import Results, all_results, ranks
from ogive.document.blocks import Block, Drawing, Keys, Page, Section, Table, Text
from ogive.document.write import write_page
from ogive.errors import RunError
from ogive.formatting import plural
from ogive.space import SizeBounds
from ogive.stats.comparison_tests import critical_difference, friedman, mean_interval

FOOTER = "Written by Ogive from the episodes of the comparison."


def write(comparison: Comparison, reference: str | None = None) -> Path:
    """Write the report into the comparison's folder; returns the HTML page.

    Args:
        comparison: from `og.bench.compare`.
        reference: the entrant that all others are tested against, beside random search; by default the first.

    Raises:
        RunError: there is no such entrant, or the folder cannot be written.
    """
    results = all_results(comparison)
    first = reference or results[0].names[0]
    if first not in results[0].names:
        raise RunError(f"there is no entrant {first!r} to compare with; there are {', '.join(results[0].names)}")
    sections = [_benchmark(item, first) for item in results]
    sections += [_ranks(results), _protocol(comparison)]
    title, lead = f"{plural(len(comparison.entrants), 'entrant')} compared", _lead(comparison, results)
    page = Page(title, lead, sections, FOOTER, style=comparison_figures.EXTRA_STYLE)
    path = comparison.folder / "report.html"
    try:
        write_page(page, comparison.folder / "report.md", comparison.folder / "figures")
        write_page(page, path)
    except OSError as error:
        raise RunError(f"the report cannot be written: {error}") from error
    return path


def tables(comparison: Comparison) -> list[tuple[str, list[Table]]]:
    """By benchmark, the tables of regrets, for a terminal."""
    return [(item.spec, _regrets(item)) for item in all_results(comparison)]


# -- what it says ------------------------------------------------------------------------------------------------------


def _lead(comparison: Comparison, results: Sequence[Results]) -> str:
    protocol = comparison.protocol
    limit = f" or {protocol.cost:g} full trainings" if protocol.cost is not None else ""
    return (
        f"{plural(len(results), 'benchmark')}, {plural(len(comparison.seeds), 'seed')}, at most "
        f"{plural(protocol.trials, 'trial')}{limit} a search, {plural(protocol.workers, 'worker')}. Intervals are "
        "95 % confidence intervals of the mean over the seeds (Student's t). "
        "A search sees validation values of single trainings. The incumbent is the best that it saw, at the highest "
        "fidelity that any trial had reached; it is judged by its mean over the table's repetitions. Regret is how far "
        "that is from the best in the table; where its axis is logarithmic, a regret of 0 lies at the foot."
    )


def _benchmark(item: Results, reference: str) -> Section:
    problem = item.problem
    size = problem.space.size()
    count = f"{size:,}" if isinstance(size, int) else str(size) if isinstance(size, SizeBounds) else "infinitely many"
    goals = ", ".join(f"{o.goal} {o.metric}" for o in problem.objectives)
    texts = [f"{problem.source or problem.name}: {count} architectures; {goals}."]
    if problem.constraints:
        words = "; ".join(
            f"{c} ({'known before training' if c.hard else 'seen after training'})" for c in problem.constraints
        )
        texts.append(f"Constraints: {words}.")
    if len(item.measures) == 1 and problem.split:
        texts.append(
            f"This table has one column: what a search sees is what the report judges by ({problem.split} values), so part "
            "of a low regret may be luck that another split would not confirm."
        )
    texts += _endings(item)
    shaded = comparison_figures.shaded(item.names, reference)
    if len(shaded) < len(item.names):
        texts.append(
            f"Shaded in the figures are the intervals of {' and '.join(shaded)}; the tables have those of all."
        )
    name = _slug(item.spec)
    drawings = []
    for number, word in enumerate(item.measures):
        svg = comparison_figures.anytime(item, item.axis, number, reference)
        drawings.append(_figure(f"Over {item.axis.label}: {word}", f"{name}-{number}", svg))
    svg = comparison_figures.anytime(item, item.time, len(item.measures) - 1, reference)
    drawings.append(_figure(f"Over simulated time: {item.measures[-1]}", f"{name}-time", svg))
    tested = [_paired(item, reference)] if reference != RANDOM else []
    blocks: list[Block] = [*map(Text, texts), *drawings, *_regrets(item), *tested, _paired(item, RANDOM)]
    return Section(name, item.title, blocks)


def _endings(item: Results) -> list[str]:
    """Searches that ended before they had all trials, and failed trials."""
    early: dict[str, list[str]] = {}
    for name in item.names:
        for episode in item.facts(name):
            if episode["trials"] < item.comparison.protocol.trials and item.comparison.protocol.cost is None:
                early.setdefault(episode["ended"].split(":")[0], []).append(name)
    texts = [
        f"Ended early, because {why}: {', '.join(f'{n} ({names.count(n)})' for n in dict.fromkeys(names))}."
        for why, names in early.items()
    ]
    if item.by_cost:
        least = min(item.names, key=lambda name: min(episode["cost"] for episode in item.facts(name)))
        texts.append(
            f"Entrants are compared at equal cost. The end is at {item.end:.4g} full trainings, the least that a search "
            f"spent (one of {least})."
        )
    failed = {name: sum(episode["failed"] for episode in item.facts(name)) for name in item.names}
    if any(failed.values()):
        texts.append("Failed trials: " + ", ".join(f"{name} {count}" for name, count in failed.items()) + ".")
    return texts


def _regrets(item: Results) -> list[Table]:
    found = []
    marks = item.marks
    for number, word in enumerate(item.measures):
        rows = []
        for name in item.names:
            mean, low, _ = mean_interval(item.values(name, item.axis, marks)[:, :, number])
            half = np.round(mean - low, 12)  # 0 where all are equal to the last digits
            cells = [
                f"{_short(m)} ± {_short(h)}" if math.isfinite(h) else _short(m) for m, h in zip(mean, half, strict=True)
            ]
            extra = [f"{item.at_optimum(name)} of {len(item.comparison.seeds)}", f"{item.milliseconds(name):.1f}"]
            rows.append([name, *cells, *(extra if number == 0 else ())])
        head = ["", *(f"{mark:.4g}" for mark in marks), *(("at the optimum", "CPU ms a trial") if number == 0 else ())]
        what = word if word.startswith("hyper") else f"regret, {word}"
        note = f"Mean over the seeds and half the width of its interval, after so many {item.axis.units}."
        found.append(Table(head, rows, title=f"{what[0].upper()}{what[1:]}", note=note))
    return found


def _paired(item: Results, reference: str) -> Table:
    rows = []
    for name, found in item.against(reference).items():
        interval = f"[{_short(found.low)}, {_short(found.high)}]" if math.isfinite(found.low) else "one seed only"
        better = "better" if found.mean < 0 else "worse"
        verdict = better if found.corrected < 0.05 else "no difference shown"
        rows.append([name, f"{found.mean:+.3g}", interval, _p(found.p), _p(found.corrected), verdict])
    head = ["", "difference", "95 % interval", "p", "p after correction", "at 0.05"]
    note = (
        f"Each minus {reference}, paired over the seeds: {item.measures[-1]} at the end ({item.end:.4g} {item.axis.units}); "
        "Wilcoxon's signed-rank test, "
        "corrected after Holm over the rows of this table. Below 0 is better."
    )
    return Table(head, rows, frozenset({5}), f"Against {reference}", note)


def _ranks(results: Sequence[Results]) -> Section:
    found, values, blocks = ranks(results)
    names = results[0].names
    if len(names) < 2 or len(values) < 2:
        return Section("ranks", "Ranks", [Text("Ranks need at least two entrants and two blocks.")])
    difference = critical_difference(len(names), len(values))
    p = friedman(values)
    texts = [
        f"Mean ranks over {len(values)} {blocks}, 1 the best, by the measure that decides at the end. Friedman's test that "
        f"all are alike: p {'' if p < 1e-4 else '= '}{_p(p)}. Entrants joined by a bar do not differ at 0.05 (Nemenyi's "
        "test, Demsar 2006)."
    ]
    if blocks.startswith("("):
        texts.append(
            "With so few benchmarks the blocks are seeds of the same benchmarks: the diagram speaks of these benchmarks, "
            "not of others."
        )
    figure = _figure(
        "Critical differences", "ranks", comparison_figures.critical_difference(names, found.tolist(), difference)
    )
    order = np.argsort(found, kind="stable")
    rows = [[names[i], f"{found[i]:.2f}"] for i in order]
    return Section("ranks", "Ranks", [*map(Text, texts), figure, Table(["", "rank"], rows, title="Mean ranks")])


def _protocol(comparison: Comparison) -> Section:
    protocol = comparison.protocol
    rows: list[tuple[str, object]] = [
        ("protocol", protocol.hash),
        ("trials, at most", str(protocol.trials)),
        ("workers", str(protocol.workers)),
        ("cost, at most (full trainings)", "no limit" if protocol.cost is None else f"{protocol.cost:g}"),
        ("seeds", ", ".join(map(str, comparison.seeds))),
        *((f"fingerprint of {spec}", problem.fingerprint) for spec, problem in comparison.problems.items()),
        *(
            (f"environment {code}", ", ".join(f"{name} {text}" for name, text in found.items()))
            for code, found in comparison.environments.items()
        ),
        ("command", shlex.join(["ogive", *sys.argv[1:]]) if "ogive" in Path(sys.argv[0]).name else "from Python"),
    ]
    texts = []
    if len(comparison.environments) > 1:
        texts.append(
            "These episodes were made with different versions: see the environments below. Compare in a new folder for one."
        )
    return Section("protocol", "Protocol", [*map(Text, texts), Keys(rows)])


def _figure(title: str, name: str, svg: str) -> Drawing:
    return Drawing(name, svg, title, title)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:80]


def _short(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 1 else f"{value:.3g}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "-"
    return "below 0.0001" if value < 1e-4 else f"{value:.2g}"
