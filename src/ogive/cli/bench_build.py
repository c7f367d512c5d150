"""`ogive bench build`: build a table of learning curves by training every architecture of a small space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import relative_path
from ogive.cli.terminal import print_text

if TYPE_CHECKING:
    from ogive.bench import Curves
    from ogive.space import Space

MAX_ARCHITECTURES = 50_000
"""A table has at most this many architectures."""
METRICS = ("log_loss", "accuracy")
"""The metrics of a table."""
MIN_CORRELATION = 0.7
"""The rank correlation between seeds should be at least this high. Below it, chance decides which architecture is best."""


def build(
    out: Annotated[Path, typer.Argument(metavar="FILE.npz", help="File for the table.")],
    space: Annotated[
        str | None, typer.Option(metavar="JOB|FILE.py:NAME", help="The space. Default: that of the bundled benchmark.")
    ] = None,
    data: Annotated[str, typer.Option(help="Name of a data set.")] = "digits",
    train: Annotated[int, typer.Option(min=1, help="Number of examples for training.")] = 300,
    validation: Annotated[int, typer.Option(min=1, help="Number of examples for validation.")] = 500,
    test: Annotated[int, typer.Option(min=1, help="Number of examples for test values.")] = 997,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each training.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Largest learning rate.")] = 0.01,
    seeds: Annotated[int, typer.Option(min=1, help="Number of trainings of each architecture.")] = 3,
    metric: Annotated[
        str, typer.Option(help="Metric whose rank correlation is tested: log_loss or accuracy.")
    ] = "log_loss",
    workers: Annotated[int, typer.Option(min=1, help="Number of architectures at a time.")] = 1,
    run: Annotated[Path | None, typer.Option(help="Folder of the run. Default: beside the table.")] = None,
) -> None:
    """Train every architecture of a small space and write a table.

    The table has the learning curves of all architectures and seeds. It is built
    by a run, so the same command continues after an interruption. Without
    options it builds the bundled benchmark.

    Example: ogive bench build table.npz --space space.py:space --seeds 2

    Exit codes: 0 - the table is written. 1 - it is written, but the rank
    correlation between seeds is below 0.7.
    """
    from ogive.bench import digits
    from ogive.bench.curve_estimator import Curves
    from ogive.job import load_space
    from ogive.registry import check_choice
    from ogive.task import Recipe, classification

    check_choice("bench build", "metric", metric, METRICS)
    searched = load_space(space) if space else digits.make_space()
    task = classification(data, test=test, validation=validation, train=train)
    curves = Curves(task, Recipe(epochs=epochs, learning_rate=learning_rate), seeds)
    size = _count_architectures(searched)
    trained = _train_all(searched, curves, size=size, folder=run or out.with_suffix(".run"), workers=workers)
    meta = _write_table(out, trained, searched, curves)
    _check_rank_correlation(out, metric, meta)


def _count_architectures(space: Space) -> int:
    """Return the number of architectures of a table; raise JobError if there are too many."""
    from ogive.errors import JobError

    size = space.size()
    if not isinstance(size, int) or size > MAX_ARCHITECTURES:
        raise JobError(
            f"the space has {size} architectures; allowed: at most {MAX_ARCHITECTURES:,}; restrict the space with `only`"
        )
    # The grid has only the architectures that the constraint of the space allows.
    return sum(1 for _ in space.grid())


def _train_all(space: Space, curves: Curves, *, size: int, folder: Path, workers: int) -> Any:
    """Train every architecture of the space in a run, and return the run."""
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


def _write_table(out: Path, run: Any, space: Space, curves: Curves) -> dict[str, Any]:
    """Write the table with the curves of a run, and return its description, which the file contains."""
    from dataclasses import asdict

    from ogive.bench import curve_file

    choices, values = curve_file.collect_curves(run.trials, space, curves.seeds, curves.training.epochs)
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
    size = f"{out.stat().st_size / 1e6:.2f} MB"
    print_text(
        f"{len(choices):,} architectures x {curves.seeds} seeds x {curves.epochs} epochs -> {relative_path(out)} ({size})"
    )
    return meta


def _check_rank_correlation(out: Path, metric: str, meta: dict[str, Any]) -> None:
    """Print the rank correlation between seeds, and exit with 1 if it is below `MIN_CORRELATION`."""
    from ogive.bench import curve_file

    if meta["seeds"] < 2:
        print_text("with one seed the noise of the table is unknown")
        return
    table = curve_file.load(out, metric)
    correlations = curve_file.compute_seed_correlations(table, metric)
    by_epoch = ", ".join(f"{epoch}: {rho:.3f}" for epoch, rho in correlations.items())
    print_text(f"rank correlation between single seeds, {metric}, by epoch: {by_epoch}")
    last = correlations[table.levels[-1]]
    if not last >= MIN_CORRELATION:  # true for NaN as well
        print_text(
            f"the rank correlation is below {MIN_CORRELATION}: chance decides which architecture is the best; change the "
            "recipe, the metric or the number of seeds"
        )
        raise typer.Exit(1)
