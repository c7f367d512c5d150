"""`ogive finalize`: full training of the best, ranked anew, beside the job's baseline."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import AsJson, RunPath, open_run, print_json, print_table, shown, unsaved
from ogive.errors import JobError

if TYPE_CHECKING:
    from ogive.api import Run
    from ogive.stages.full_training_result import FullTrainingResult

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


def finalize(
    run: RunPath,
    top: Annotated[int | None, typer.Option(min=1, help="How many of the best to train; 10.")] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Trainings of each network, with seeds 0, 1, ...; 1.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of full training; as the recipe says.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="What differs from the search's recipe, such as flip=true."),
    ] = None,
    from_weights: Annotated[
        bool | None, typer.Option("--from-weights/--from-scratch", help="Start from what the search has trained.")
    ] = None,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Repeat trainings that left no weights, or whose weights are gone.")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Repeat trainings that failed.")] = False,
    baseline: Annotated[
        str | None, typer.Option(help="A function that makes a network by hand: file.py:name or package.module:name.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Trainings at a time; as in the search.")] = None,
    budget: Annotated[float | None, typer.Option(help="Hours that this stage may take.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds of one training.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train the best in full, rank them anew, and read the test split once for the winner.

    What is left out is as the job's `finalize` says. Interrupted, the same command goes on; what is trained already is not
    trained again. Exit code 130 when it was interrupted.
    """
    from ogive.job import load_baseline, load_finalize_arguments

    opened = open_run(run, trust=True)
    limits = {"budget": budget, "time_limit": time_limit}
    arguments: dict[str, Any] = {
        **load_finalize_arguments(opened.folder),
        **{name: value for name, value in limits.items() if value is not None},
        "baseline": load_baseline(opened.folder) if baseline is None else _drawn(baseline),
        "workers": workers,
        "retrain": retrain,
        "retry_failed": retry_failed,
        "say": lambda message: print(message, file=sys.stderr),
    }
    given = {
        "top": top,
        "epochs": epochs,
        "from_weights": from_weights,
        "seeds": None if seeds is None else range(seeds),
    }
    arguments |= {name: value for name, value in given.items() if value is not None}
    if change:
        arguments["recipe"] = {**(arguments.get("recipe") or {}), **_changes(change)}
    try:
        result = opened.finalize(**arguments)
    except KeyboardInterrupt:
        again = shlex.join(["ogive", *sys.argv[1:]])
        print(f"interrupted; what is trained is kept. Continue with: {again}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json({**result.to_json(), "no_weights": unsaved(opened)})
    else:
        _print(opened, result)


def _changes(items: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE as YAML reads the values: numbers, true, false, null, text."""
    import yaml

    found: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not name or not equals:
            raise JobError(f"--set: found {item!r}; give NAME=VALUE, such as --set learning_rate=0.001")
        try:
            found[name.strip()] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise JobError(f"--set {name}: {text!r} cannot be read: {error}") from error
    return found


def _drawn(reference: str) -> Callable[[], Any]:
    """The function that `reference` names; a file is looked for in the working directory."""
    from ogive.job.user_modules import CodeImporter
    from ogive.job.yaml_source import Source

    where, _, name = reference.rpartition(":")
    file = Path(where)
    inside = f"{file.name if where.endswith('.py') else where}:{name}"
    source = Source(
        file if where.endswith(".py") else Path("the command line"), {"baseline": inside}, {}, frozenset({"baseline"})
    )
    found: Callable[[], Any] = CodeImporter(source).resolve(("baseline",), inside)
    return found


def _print(run: Run, result: FullTrainingResult) -> None:
    from rich.table import Table

    from ogive.stages.full_training_text import rows, sentences

    head, cells = rows(result)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, justify="right" if name else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    print_table(table)
    print()
    for line in sentences(result):
        print(line)
    _print_comparison(run)
    folder = run.folder / "final"
    card = shown(folder / "MODEL_CARD.md")
    print(f"\ncard:     {card}")
    winner = run.stages.winners[0]
    if winner.missing is None:
        print(f"weights:  {shown(folder / 'weights.pt')}")
        which = f" --trial {winner.trial.id}" if len(result.winners) > 1 else ""
        print(f"export:   ogive export {shlex.quote(str(shown(run.folder)))}{which} --to torch")
    else:
        print(f"weights:  none: {winner.missing}")
    print(f"report:   ogive report {shlex.quote(str(shown(run.folder)))}")


def _print_comparison(run: Run) -> None:
    """What sets the winner apart from the baseline, metric by metric."""
    from ogive.report import read_comparison
    from ogive.stages.comparison_text import known_goal, verdict

    comparison = read_comparison(run.folder)
    if comparison is None:
        return
    found, baseline = comparison.found, comparison.baseline
    goals = {objective.metric: objective.goal for objective in run.state.objectives}
    print(f"\n{found.name} minus {baseline.name} on the {comparison.split} split, paired by seed, the mean:")
    for metric, difference in comparison.differences.items():
        print(f"  {verdict(metric, difference, goals.get(metric) or known_goal(metric), len(comparison.seeds))}")
    if found.parameters is not None and baseline.parameters is not None:
        print(f"  parameters: {found.parameters:,} in {found.name}, {baseline.parameters:,} in {baseline.name}")
