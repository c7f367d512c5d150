"""`ogive bench build`: a table of learning curves, by training every architecture of a small space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import shown

if TYPE_CHECKING:
    from ogive.bench import Curves
    from ogive.space import Space

LARGEST = 50_000
"""Architectures; more would not be trained one by one."""
METRICS = ("log_loss", "accuracy")
ENOUGH = 0.7
"""Rank correlation between seeds below which a table's winner is decided by luck."""


def build(
    out: Annotated[Path, typer.Argument(metavar="FILE.npz", help="Where the table goes.")],
    space: Annotated[
        str | None, typer.Option(metavar="JOB|FILE.py:NAME", help="The space; without it, the bundled benchmark's.")
    ] = None,
    data: Annotated[str, typer.Option(help="A data set's name.")] = "digits",
    train: Annotated[int, typer.Option(min=1, help="Examples to train on.")] = 300,
    validation: Annotated[int, typer.Option(min=1, help="Examples to select by.")] = 500,
    test: Annotated[int, typer.Option(min=1, help="Examples that reports judge by.")] = 997,
    epochs: Annotated[int, typer.Option(min=1, help="Length of the curves.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="At its peak.")] = 0.01,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each architecture.")] = 3,
    metric: Annotated[
        str, typer.Option(help="log_loss or accuracy: by which the table's signal is judged.")
    ] = "log_loss",
    workers: Annotated[int, typer.Option(min=1, help="Architectures at a time.")] = 1,
    run: Annotated[Path | None, typer.Option(help="The run's folder; by default beside the table.")] = None,
) -> None:
    """Train every architecture of a small space from several seeds, and write all their learning curves to a table.

    It is a run like any other: interrupted at any moment, the same command goes on. Without options it makes the bundled
    benchmark again. The rank correlation between seeds is printed; below 0.7 the exit code is 1.
    """
    from ogive.bench import digits
    from ogive.bench.curve_estimator import Curves
    from ogive.job import load_space
    from ogive.registry import choice
    from ogive.task import Recipe, classification

    choice("bench build", "metric", metric, METRICS)
    found = load_space(space) if space else digits.space()
    task = classification(data, test=test, validation=validation, train=train)
    curves = Curves(task, Recipe(epochs=epochs, learning_rate=learning_rate), seeds)
    size = _size(found)
    trained = _train(found, curves, size, run or out.with_suffix(".run"), workers)
    meta = _write(out, trained, found, curves)
    _judge(out, metric, meta)


def _size(space: Space) -> int:
    from ogive.errors import JobError

    size = space.size()
    if not isinstance(size, int) or size > LARGEST:
        raise JobError(f"the space has {size} architectures; a table can be built of at most {LARGEST:,}: narrow it")
    return sum(1 for _ in space.grid())  # without those that its constraint forbids


def _train(space: Space, curves: Curves, size: int, folder: Path, workers: int) -> Any:
    from ogive.api import search

    return search(
        space,
        curves,
        objectives="log_loss",
        strategy="random",
        schedule="full",
        epochs=curves.epochs,
        max_trials=size,
        workers=workers,
        run=folder,
        cache=False,
    )


def _write(out: Path, run: Any, space: Space, curves: Curves) -> dict[str, Any]:
    from dataclasses import asdict

    from ogive.bench import curve_file

    choices, values = curve_file.collect(run.trials, space, curves.seeds, curves.training.epochs)
    session = dict(run.state.sessions[0])
    meta = {
        "space": space.fingerprint,
        "sizes": curves.task.describe()["sizes"],
        "task": curves.task.describe()["fingerprints"],
        "recipe": asdict(curves.training),
        "seeds": curves.seeds,
        "versions": session.get("versions", {}),
        "source": f"{len(choices):,} architectures on {curves.task.data.name}, {curves.seeds} seeds, built by Ogive",
    }
    curve_file.write(out, space, choices, values, meta)
    print(f"{len(choices):,} architectures x {curves.seeds} seeds x {curves.epochs} epochs -> {shown(out)}", end=" ")
    print(f"({out.stat().st_size / 1e6:.2f} MB)")
    return meta


def _judge(out: Path, metric: str, meta: dict[str, Any]) -> None:
    from ogive.bench import curve_file

    if meta["seeds"] < 2:
        print("one seed: how far the table can be trusted is not known")
        return
    table = curve_file.load(out, metric)
    found = curve_file.rank_correlations(table, metric)
    by_epoch = ", ".join(f"{epoch}: {rho:.3f}" for epoch, rho in found.items())
    print(f"rank correlation between single seeds, {metric}, by epoch: {by_epoch}")
    last = found[table.levels[-1]]
    if not last >= ENOUGH:
        print(f"below {ENOUGH}: who wins is decided by luck; change the recipe, the metric or the number of seeds")
        raise typer.Exit(1)
