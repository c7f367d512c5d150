"""`ogive bench`: list, show and build benchmarks, and compare strategies on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.bench_build import build
from ogive.cli.bench_compare import compare
from ogive.cli.common import AsJson
from ogive.cli.terminal import print_json, print_table, print_text

if TYPE_CHECKING:
    from ogive.bench import Problem, Table

bench = typer.Typer(
    name="bench",
    help="Compare strategies on benchmarks with known answers.",
    no_args_is_help=True,
)


@bench.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the benchmarks and their required options.

    Example: ogive bench list
    """
    from ogive.bench import catalog
    from ogive.bench.wrappers import WRAPPERS

    rows = [(name, catalog.get_required_options(name), catalog.DESCRIPTIONS.get(name, "")) for name in catalog.names()]
    if as_json:
        print_json([{"name": name, "needs": needs, "about": about} for name, needs, about in rows])
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("benchmark", "required options", "description"):
        table.add_column(heading, overflow="fold")
    for name, needs, about in rows:
        table.add_row(name, ", ".join(f"{option}=" for option in needs), about)
    print_table(table)
    print_text(f"\noptions: nk:n=8,k=2   wrappers: {', '.join(f'{name}=' for name in WRAPPERS)}, as in nk:noise=0.05")


@bench.command()
def show(
    benchmark: Annotated[
        str, typer.Argument(metavar="BENCHMARK", help="Name with options, such as digits or nk:n=8,k=2.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show the space, the best values and the noise of a benchmark.

    For tables it also shows how well the ranks by different seeds, and by few
    epochs, agree.

    Example: ogive bench show nk:n=8,k=2
    """
    from ogive.bench import load

    facts = _problem_facts(load(benchmark))
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        print(f"{name:<24}{_format_fact(value)}")


def _problem_facts(problem: Problem) -> dict[str, Any]:
    """Return the facts about a benchmark by the label under which they are shown; facts without content are left out."""
    from ogive.bench import Table
    from ogive.cli.space import size_json

    facts: dict[str, Any] = {
        "name": problem.name,
        "what it is": problem.source,
        "architectures": size_json(problem.space),
        "decisions": len(problem.space.decisions),
        "objectives": [f"{o.goal} {o.metric}" for o in problem.objectives],
        "constraints": [str(constraint) for constraint in problem.constraints],
        "a search sees": f"{problem.split} values" if problem.split else "values of a formula",
        "epochs": problem.epochs,
        "full training, seconds": problem.full_seconds,
        "best and worst": {name: list(bounds) for name, bounds in problem.bounds.items()},
        "fingerprint": problem.fingerprint,
    }
    if len(problem.objectives) > 1:
        facts["pareto front"] = f"{len(problem.front)} architectures"
    if isinstance(problem, Table):
        facts |= _table_facts(problem)
    return {name: value for name, value in facts.items() if value not in (None, [], {})}


def _table_facts(table: Table) -> dict[str, Any]:
    """Return the facts about a table: its size, and how well the ranks by different seeds and by few epochs agree."""
    from ogive.bench.curve_file import compute_level_correlations, compute_seed_correlations

    facts: dict[str, Any] = {"rows": table.size, "repetitions": table.repetitions, "levels": len(table.levels)}
    for objective in table.objectives:
        name = objective.metric
        if table.repetitions > 1:
            facts[f"seeds agree, {name}"] = {
                str(k): round(v, 3) for k, v in compute_seed_correlations(table, name).items()
            }
        if len(table.levels) > 1:
            facts[f"early to full, {name}"] = {
                str(k): round(v, 3) for k, v in compute_level_correlations(table, name).items()
            }
    return facts


def _format_fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_format_fact(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(_format_fact(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}" if isinstance(value, float) else str(value)


bench.command()(build)
bench.command()(compare)
