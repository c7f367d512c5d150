"""`ogive finalize`: train the best trials of a search in full, and select the winner."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import AsJson, RunPath, list_missing_weights_reasons, open_run, relative_path
from ogive.cli.terminal import print_json, print_rows, print_text
from ogive.errors import JobError

if TYPE_CHECKING:
    from ogive.api import Run
    from ogive.stages.full_training_result import FullTrainingResult

EXIT_INTERRUPTED = 130
"""The exit code after Ctrl-C, as in shells."""


def finalize(
    run: RunPath,
    top: Annotated[
        int | None, typer.Option(min=1, help="Number of the best trials to train. Default: as in the job, or 10.")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of trainings of each network, with seeds 0, 1, ... Default: as in the job, or 1."
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of full training. Default: as in the job or the recipe.")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Change of the recipe of the search, such as flip=true. May be repeated. Default: as in the job.",
        ),
    ] = None,
    from_weights: Annotated[
        bool | None,
        typer.Option(
            "--from-weights/--from-scratch",
            help="Start from the weights of the search. Default: as in the job, or from scratch.",
        ),
    ] = None,
    retrain: Annotated[
        bool,
        typer.Option("--retrain", help="Repeat trainings whose weights were not saved or are deleted. Default: off."),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Repeat trainings that failed. Default: off.")
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Function that returns a hand-drawn network, file.py:name or package.module:name. Default: as in the job."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of trainings at a time. Default: as in the search.")
    ] = None,
    budget: Annotated[float | None, typer.Option(help="Hours that full training may take. Default: no limit.")] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Seconds that one training may take. Default: no limit.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train the best in full and select the winner.

    Ranks the best trials of a search by full training, compares them with the
    baseline, and reads the test split once for the winner. The same command
    continues an interrupted full training; completed trainings are not repeated.

    Example: ogive finalize runs/digits --top 5 --seeds 3

    Exit codes: 0 - full training has ended. 2 - an error that you can correct.
    130 - interrupted.
    """
    from ogive.job import load_baseline, load_finalize_arguments

    opened = open_run(run, trust=True)
    limits = {"budget": budget, "time_limit": time_limit}
    arguments: dict[str, Any] = {
        **load_finalize_arguments(opened.folder),
        **{name: value for name, value in limits.items() if value is not None},
        "baseline": load_baseline(opened.folder) if baseline is None else _load_baseline(baseline),
        "workers": workers,
        "retrain": retrain,
        "retry_failed": retry_failed,
        "say": lambda message: print_text(message, file=sys.stderr),
    }
    options = {
        "top": top,
        "epochs": epochs,
        "from_weights": from_weights,
        "seeds": None if seeds is None else range(seeds),
    }
    arguments |= {name: value for name, value in options.items() if value is not None}
    if change:
        arguments["recipe"] = {**(arguments.get("recipe") or {}), **_parse_changes(change)}
    try:
        result = opened.finalize(**arguments)
    except KeyboardInterrupt:
        command = shlex.join(["ogive", *sys.argv[1:]])
        print(f"interrupted; completed trainings are not lost. Continue with: {command}", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        print_json({**result.to_json(), "no_weights": list_missing_weights_reasons(opened)})
    else:
        _print_result(opened, result)


def _parse_changes(items: Sequence[str]) -> dict[str, Any]:
    """Return the changes NAME=VALUE by name; values are read as YAML: numbers, true, false, null, text."""
    import yaml

    changes: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not name or not equals:
            raise JobError(f"--set: found {item!r}; allowed: NAME=VALUE, such as --set learning_rate=0.001")
        try:
            changes[name.strip()] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise JobError(f"--set {name}: {text!r} cannot be read: {error}") from error
    return changes


def _load_baseline(reference: str) -> Callable[[], Any]:
    """Return the function that `reference` names; a file is looked up in the working directory."""
    from ogive.job.user_modules import CodeImporter
    from ogive.job.yaml_source import Source

    module, _, name = reference.rpartition(":")
    is_file = module.endswith(".py")
    # A `CodeImporter` resolves the references of a job. So make up a job that has only the key `baseline`, given on the
    # command line: errors then begin with "--baseline:". The job file is never read, but the importer looks for code in the
    # folder of its path: the folder of the module file, or the working directory.
    path = Path(module) if is_file else Path("NO_JOB_FILE")
    value = f"{path.name if is_file else module}:{name}"
    source = Source(path, {"baseline": value}, {}, frozenset({"baseline"}))
    function: Callable[[], Any] = CodeImporter(source).resolve(("baseline",), value)
    return function


def _print_result(run: Run, result: FullTrainingResult) -> None:
    from ogive.stages.full_training_text import list_conclusions, make_table

    print_rows(*make_table(result))
    print_text()
    for line in list_conclusions(result):
        print_text(line)
    _print_comparison(run)
    folder = run.folder / "final"
    card = relative_path(folder / "MODEL_CARD.md")
    print_text(f"\ncard:     {card}")
    winner = run.stages.winners[0]
    if winner.missing_weights_reason is None:
        print_text(f"weights:  {relative_path(folder / 'weights.pt')}")
        trial = f" --trial {winner.trial.id}" if len(result.winners) > 1 else ""
        print(f"export:   ogive export {shlex.quote(str(relative_path(run.folder)))}{trial} --to torch")
    else:
        print_text(f"weights:  none: {winner.missing_weights_reason}")
    print(f"report:   ogive report {shlex.quote(str(relative_path(run.folder)))}")


def _print_comparison(run: Run) -> None:
    """Print the difference between the winner and the baseline for each metric."""
    from ogive.report import read_comparison
    from ogive.stages.comparison_text import find_known_goal, format_verdict

    comparison = read_comparison(run.folder)
    if comparison is None:
        return
    winner, baseline = comparison.winner, comparison.baseline
    goals = {objective.metric: objective.goal for objective in run.state.objectives}
    print_text(
        f"\nmean difference on the {comparison.split} split, {winner.name} minus {baseline.name}, paired by seed:"
    )
    for metric, difference in comparison.differences.items():
        print_text(
            f"  {format_verdict(metric, difference, goals.get(metric) or find_known_goal(metric), len(comparison.seeds))}"
        )
    if winner.parameters is not None and baseline.parameters is not None:
        print_text(f"  parameters: {winner.parameters:,} in {winner.name}, {baseline.parameters:,} in {baseline.name}")
