"""`ogive bench compare`: compare methods (strategies with schedules) on benchmarks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import AsJson, relative_path
from ogive.cli.terminal import print_json, print_table, print_text
from ogive.errors import JobError, MissingExtra

if TYPE_CHECKING:
    from ogive.bench import Comparison
    from ogive.bench.comparison import Progress

EXIT_INTERRUPTED = 130
"""The exit code after Ctrl-C, as in shells."""


def compare(
    benchmark: Annotated[
        list[str] | None,
        typer.Option(help="Benchmark, such as nk:k=5; see `ogive bench list`. May be repeated. Default: digits."),
    ] = None,
    strategies: Annotated[
        list[str] | None,
        typer.Option(
            help='Names with options, and @schedule, such as "gp regularized_evolution:population=20 random@asha:eta=3". '
            "May be repeated. Default: all, which means those without required options and without their own schedule."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of searches of each method on each benchmark.")] = 30,
    trials: Annotated[int, typer.Option(min=1, help="Maximum number of trials of a search.")] = 300,
    workers: Annotated[int, typer.Option(min=1, help="Number of simulated workers of a search.")] = 1,
    cost: Annotated[
        float | None, typer.Option(help="Budget of a search, in full trainings. Default: no limit.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Number of searches at a time. Default: one per core.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Method that the others are tested against. Default: the first.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the comparison.")] = Path("comparison"),
    as_json: AsJson = False,
) -> None:
    """Compare strategies on benchmarks.

    Random search is always compared, too. Each search runs in virtual time and is
    stored when it ends: the same command continues after an interruption, and
    benchmarks, strategies and seeds can be added to the same folder later.
    Writes report.html, report.md and figures.

    Example: ogive bench compare --benchmark nk:k=5 --strategies "gp random"
    """
    from ogive.bench import Protocol, write_report
    from ogive.bench import compare as run_comparison
    from ogive.run.manifest import count_cores

    benchmarks = benchmark or ["digits"]
    methods = _expand_names(strategies, benchmarks, trials)
    _check_reference(against, methods)
    protocol = Protocol(trials=trials, workers=workers, cost=cost)
    try:
        with _progress(as_json) as progress:
            comparison = run_comparison(
                benchmarks,
                methods,
                out,
                seeds=seeds,
                protocol=protocol,
                processes=processes or count_cores(),
                progress=progress,
            )
    except KeyboardInterrupt:
        print_text("interrupted; completed searches are not lost. The same command continues.", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    page = write_report(comparison, against)
    if as_json:
        print_json(_summary_json(comparison, page))
        return
    _print(comparison)
    print_text(f"\nreport: {relative_path(page)}")


def _expand_names(strategies: list[str] | None, benchmarks: list[str], trials: int) -> list[str]:
    """Return the names of methods, with "all" replaced by the names that it means."""
    names: list[str] = []
    for name in " ".join(strategies or ["all"]).split():
        names += _all_strategies(benchmarks, trials) if name == "all" else [name]
    return names


def _all_strategies(benchmarks: list[str], trials: int) -> list[str]:
    """Return the strategies that require no options, have no schedule of their own, and suit every benchmark.

    Strategies that do not suit a benchmark are named on standard error.
    """
    import inspect

    from ogive import strategy as registry
    from ogive.bench.catalog import get_bundled_schedule, load
    from ogive.bench.simulated_search import PluginSpec, make_strategy

    without_options = [
        name for name in registry.names() if inspect.Parameter.empty not in registry.options(name).values()
    ]
    suitable = [name for name in without_options if get_bundled_schedule(PluginSpec(name)) is None]
    for spec in benchmarks:
        problem = load(spec)
        for name in list(suitable):
            try:
                make_strategy(PluginSpec(name), problem, trials)
            except (JobError, MissingExtra) as error:
                print_text(f"without {name}, which does not fit {spec}: {error}", file=sys.stderr)
                suitable.remove(name)
    return suitable


def _check_reference(against: str | None, methods: list[str]) -> None:
    """Check before the searches start that `against` is one of the compared methods.

    Raises:
        JobError: it is not.
    """
    from ogive.bench.catalog import parse_method
    from ogive.bench.comparison import RANDOM_SEARCH

    names = [*dict.fromkeys([*(str(parse_method(spec)) for spec in methods), RANDOM_SEARCH])]
    if against is not None and against not in names:
        raise JobError(f"--against: found {against!r}; allowed are the compared methods: {', '.join(names)}")


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    """Show a progress bar, and yield the function that updates it; without a terminal or if `quiet`, it does nothing."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("searches", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print(comparison: Comparison) -> None:
    """Print the tables of the regrets of all methods, for each benchmark."""
    from rich.table import Table

    from ogive.bench.comparison_page import make_regret_tables

    for spec, grids in make_regret_tables(comparison):
        for grid in grids:
            print_text(f"\n{spec}: {grid.title}")
            table = Table(box=None, pad_edge=False, header_style="bold")
            for i, heading in enumerate(grid.head):
                table.add_column(heading, justify="left" if i == 0 else "right", overflow="fold")
            for row in grid.rows:
                table.add_row(*map(str, row))
            print_table(table)
            print_text(grid.note or "")


def _summary_json(comparison: Comparison, page: Path) -> dict[str, Any]:
    """Return the results as JSON, for scripts; `page` is the path of the report."""
    from ogive.bench.comparison_results import collect_results

    return {
        "protocol": comparison.protocol.hash,
        "seeds": list(comparison.seeds),
        "report": str(relative_path(page)),
        "benchmarks": {
            item.spec: {
                "measure": item.measures[-1],
                "judged_at": item.end_position,
                "axis": item.axis.label,
                "regret": {name: row.tolist() for name, row in zip(item.names, item.final_regrets, strict=True)},
                "at_optimum": {name: item.count_optimal_seeds(name) for name in item.names},
            }
            for item in collect_results(comparison)
        },
    }
