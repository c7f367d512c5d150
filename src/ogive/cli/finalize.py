"""`ogive finalize`: full training of the best, beside the job's baseline."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ogive.cli.common import AsJson, RunPath, open_run, print_json, shown

if TYPE_CHECKING:
    from ogive.api import Run


def finalize(
    run: RunPath,
    top: Annotated[int, typer.Option(min=1, help="How many of the best to train.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each network, with seeds 0, 1, ...")] = 3,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of full training; as the recipe says.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Trainings at a time; as in the search.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train the best from scratch on the full training split, and the job's `baseline` under the same recipe.

    Reads the test split once, after all trainings. Only for runs with the built-in trainer (`task:` in the job).
    """
    from ogive.job import add_code_of, baseline_of

    opened = open_run(run)
    add_code_of(opened.folder)
    baseline = baseline_of(opened.folder)
    results = opened.finalize(
        top,
        seeds=range(seeds),
        epochs=epochs,
        baseline=baseline,
        workers=workers,
        say=lambda message: print(message, file=sys.stderr),
    )
    if as_json:
        print_json([{**asdict(result), "weights": str(shown(Path(result.weights)))} for result in results])
        return
    for result in results:
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in result.test.items())
        parameters = f"{result.training['parameters']:,.0f} parameters"
        print(f"{result.name}, seed {result.seed}: test {metrics}; {parameters}; {shown(Path(result.weights))}")
    if baseline is not None:
        _print_comparison(opened)
    print(f"\ncompare:  ogive report {shown(opened.folder)}")


def _print_comparison(run: Run) -> None:
    """What sets the best of the search apart from the baseline, metric by metric."""
    from ogive.report import read_comparison
    from ogive.report.versus import known_goal, verdict

    comparison = read_comparison(run.folder)
    assert comparison is not None  # written by the full training beside a baseline
    found, baseline = comparison.found, comparison.baseline
    goals = {objective.metric: objective.goal for objective in run.state.objectives}
    print(f"\n{found.name} minus {baseline.name} on the {comparison.split} split, paired by seed, the mean:")
    for metric, difference in comparison.differences.items():
        print(f"  {verdict(metric, difference, goals.get(metric) or known_goal(metric), len(comparison.seeds))}")
    print(f"  parameters: {found.parameters:,} in {found.name}, {baseline.parameters:,} in {baseline.name}")
