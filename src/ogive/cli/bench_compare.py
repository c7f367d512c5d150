"""`ogive bench compare`: strategies and schedules against each other, by the field's protocol."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import AsJson, print_json, print_table, shown
from ogive.errors import JobError, MissingExtra

if TYPE_CHECKING:
    from ogive.bench import Comparison
    from ogive.bench.comparison import Progress

INTERRUPTED = 130


def compare(
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            help="A benchmark, such as nk:k=5; may be given again. By default digits. See `ogive bench list`."
        ),
    ] = None,
    strategies: Annotated[
        list[str] | None,
        typer.Option(
            help='Names with options, separated by spaces: "gp regularized_evolution:population=20 random@asha:eta=3"; '
            '"all" for all that bring no schedule.'
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Searches of each strategy on each benchmark.")] = 30,
    trials: Annotated[int, typer.Option(min=1, help="Trials of a search, at most.")] = 300,
    workers: Annotated[int, typer.Option(min=1, help="Simulated evaluations at a time.")] = 1,
    cost: Annotated[float | None, typer.Option(help="Ends a search: training spent, in full trainings.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Searches at a time; by default one a core.")] = None,
    against: Annotated[
        str | None, typer.Option(help="Whom the others are tested against; by default the first.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The comparison's folder.")] = Path("comparison"),
    as_json: AsJson = False,
) -> None:
    """Compare strategies on benchmarks; random search is always among them.

    Each search runs in memory on a virtual clock and is kept as soon as it ends; the same command goes on after an
    interruption, and more benchmarks, strategies or seeds can be added to the same folder. Writes report.html, report.md
    and figures.
    """
    from ogive.bench import Protocol, write_report
    from ogive.bench import compare as run
    from ogive.run.manifest import cores

    benchmarks = benchmark or ["digits"]
    chosen = _names(strategies, benchmarks, trials)
    _check_reference(against, chosen)
    protocol = Protocol(trials=trials, workers=workers, cost=cost)
    try:
        with _progress(as_json) as progress:
            done = run(
                benchmarks,
                chosen,
                out,
                seeds=seeds,
                protocol=protocol,
                processes=processes or cores(),
                progress=progress,
            )
    except KeyboardInterrupt:
        print("interrupted; the searches that have ended are kept. The same command goes on.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    page = write_report(done, against)
    if as_json:
        print_json(_summary(done, page))
        return
    _print(done)
    print(f"\nreport: {shown(page)}")


def _names(given: list[str] | None, benchmarks: list[str], trials: int) -> list[str]:
    found: list[str] = []
    for word in " ".join(given or ["all"]).split():
        found += _all(benchmarks, trials) if word == "all" else [word]
    return found


def _all(benchmarks: list[str], trials: int) -> list[str]:
    """The strategies that need no options, bring no schedule of their own, and fit every benchmark; says which do not."""
    import inspect

    from ogive import strategy as registry
    from ogive.bench.catalog import brought, load
    from ogive.bench.simulated_search import PluginSpec, make_strategy

    ready = [name for name in registry.names() if inspect.Parameter.empty not in registry.options(name).values()]
    alone = [name for name in ready if brought(PluginSpec(name)) is None]
    for spec in benchmarks:
        problem = load(spec)
        for name in list(alone):
            try:
                make_strategy(PluginSpec(name), problem, trials)
            except (JobError, MissingExtra) as error:
                print(f"without {name}, which does not fit {spec}: {error}", file=sys.stderr)
                alone.remove(name)
    return alone


def _check_reference(against: str | None, chosen: list[str]) -> None:
    """Check that `against` is one of the methods, before the comparison starts."""
    from ogive.bench.catalog import parse_method
    from ogive.bench.comparison import RANDOM

    methods = [*dict.fromkeys([*(str(parse_method(spec)) for spec in chosen), RANDOM])]
    if against is not None and against not in methods:
        raise JobError(f"--against: the comparison has no method {against!r}; it has {', '.join(methods)}")


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("searches", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print(done: Comparison) -> None:
    from rich.table import Table

    from ogive.bench.comparison_page import tables

    for spec, grids in tables(done):
        for grid in grids:
            print(f"\n{spec}: {grid.title}")
            table = Table(box=None, pad_edge=False, header_style="bold")
            for place, heading in enumerate(grid.head):
                table.add_column(heading, justify="left" if place == 0 else "right", overflow="fold")
            for row in grid.rows:
                table.add_row(*map(str, row))
            print_table(table)
            print(grid.note)


def _summary(done: Comparison, page: Path) -> dict[str, Any]:
    from ogive.bench.comparison_results import all_results

    return {
        "protocol": done.protocol.hash,
        "seeds": list(done.seeds),
        "report": str(shown(page)),
        "benchmarks": {
            item.spec: {
                "measure": item.measures[-1],
                "judged_at": item.end,
                "axis": item.axis.label,
                "regret": {name: row.tolist() for name, row in zip(item.names, item.final, strict=True)},
                "at_optimum": {name: item.at_optimum(name) for name in item.names},
            }
            for item in all_results(done)
        },
    }
