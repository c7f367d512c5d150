"""`ogive space`: show a search space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import AsJson
from ogive.cli.terminal import print_json, print_table, print_text

if TYPE_CHECKING:
    from ogive.space import Decision, Space


def space(
    job_or_space: Annotated[
        str, typer.Argument(metavar="JOB|FILE.py:NAME", help="The file of a job, or a space in a Python file.")
    ],
    sample: Annotated[int, typer.Option(min=0, help="Number of architectures to sample.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Count a space, list its decisions, and sample architectures.

    Example: ogive space space.py:space --sample 5
    """
    from ogive.formatting import plural
    from ogive.job import load_space
    from ogive.seeds import generator

    loaded = load_space(job_or_space)
    rng = generator(seed, "space")
    samples = [loaded.sample(rng) for _ in range(sample)]
    if as_json:
        rows = [{"id": architecture.id, "architecture": architecture.to_json()} for architecture in samples]
        print_json({**loaded.to_json(), "size": size_json(loaded), "samples": rows})
        return
    print_text(f"{size_text(loaded)} in {plural(len(loaded.decisions), 'decision')}")
    _print_decisions(loaded)
    for architecture in samples:
        print_text(f"sample: {', '.join(f'{name}={label}' for name, label in architecture.items())}")


def _print_decisions(space: Space) -> None:
    """Print the table of the decisions of a space."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("decision", "alternatives", "active when"):
        table.add_column(heading, overflow="fold")
    for decision in space.decisions:
        table.add_row(decision.name, _alternatives(decision), _condition(decision))
    print_table(table)


def _alternatives(decision: Decision) -> str:
    description = decision.domain.describe()
    if "labels" in description:
        return ", ".join(map(str, description["labels"]))
    return f"{description['low']} to {description['high']}"


def _condition(decision: Decision) -> str:
    """Return the condition under which a decision is active, as text; "" for a decision that is always active."""
    conjunctions = [
        " and ".join(f"{name} in {{{', '.join(map(str, sorted(labels, key=str)))}}}" for name, labels in conjunction)
        for conjunction in decision.when
    ]
    # A conjunction without terms has the text "", and always holds.
    return "" if "" in conjunctions else " or ".join(conjunctions)


def size_text(space: Space) -> str:
    """Return the number of architectures, in words."""
    size = space.size()
    if isinstance(size, int):
        return f"{size:,} architectures" if size < 10**15 else f"{size:.3g} architectures"
    return "infinitely many architectures" if isinstance(size, float) else f"{size} architectures"


def size_json(space: Space) -> Any:
    """Return the number of architectures as JSON: a number, infinity with real decisions, or {low, high} for bounds."""
    size = space.size()
    return size if isinstance(size, (int, float)) else {"low": size.low, "high": size.high}
