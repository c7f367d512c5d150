"""`ogive space`: what a space holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import AsJson, print_json, print_table

if TYPE_CHECKING:
    from ogive.space import Decision, Space


def space(
    of: Annotated[str, typer.Argument(metavar="JOB|FILE.py:NAME", help="A job's file, or where the space is.")],
    sample: Annotated[int, typer.Option(min=0, help="Architectures to sample.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of the samples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Count a space, list its decisions, and sample architectures."""
    from ogive.job import load_space
    from ogive.seeds import generator

    found = load_space(of)
    rng = generator(seed, "space")
    samples = [found.sample(rng) for _ in range(sample)]
    if as_json:
        rows = [{"id": architecture.id, "architecture": architecture.to_json()} for architecture in samples]
        print_json({**found.to_json(), "size": size_json(found), "samples": rows})
        return
    print(f"{size_text(found)} in {len(found.decisions)} decisions")
    _print_decisions(found)
    for architecture in samples:
        print(f"sample: {', '.join(f'{name}={label}' for name, label in architecture.items())}")


def _print_decisions(found: Space) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("decision", "alternatives", "active when"):
        table.add_column(heading, overflow="fold")
    for decision in found.decisions:
        table.add_row(decision.name, _alternatives(decision), _condition(decision))
    print_table(table)


def _alternatives(decision: Decision) -> str:
    described = decision.domain.describe()
    if "labels" in described:
        return ", ".join(map(str, described["labels"]))
    return f"{described['low']} to {described['high']}"


def _condition(decision: Decision) -> str:
    """The conditions, any of which makes the decision active; empty where it always is."""
    any_of = [
        " and ".join(f"{name} in {{{', '.join(map(str, sorted(labels, key=str)))}}}" for name, labels in conjunction)
        for conjunction in decision.when
    ]
    return "" if "" in any_of else " or ".join(any_of)


def size_text(found: Space) -> str:
    """How many architectures there are, in words."""
    size = found.size()
    if isinstance(size, int):
        return f"{size:,} architectures" if size < 10**15 else f"{size:.3g} architectures"
    return "infinitely many architectures" if isinstance(size, float) else f"{size} architectures"


def size_json(found: Space) -> Any:
    """The exact size; {low, high} where only bounds are known, "inf" with real decisions."""
    size = found.size()
    return size if isinstance(size, (int, float)) else {"low": size.low, "high": size.high}
