"""A complete search: find a digit classifier with half the parameters of a hand-drawn one.

The best four trials are trained in full, and the winner is compared with the hand-drawn network.

    make demo

Takes about two minutes on two cores. Ctrl-C ends the search gracefully; --run with the folder that is printed continues it.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

import ogive as og
from ogive.report import draw_text, read_comparison, show_live_view
from ogive.trial import Status

sys.path.insert(0, str(Path(__file__).parent))
from space import space

FINALISTS = 4
SEEDS = (0, 1, 2)
EPOCHS = 27
PARAMETER_SHARE = 0.5
"""Largest number of parameters, as a share of those of the hand-drawn network."""


def print_trials(console: Console, trials: Sequence[og.Trial]) -> None:
    """Print a table of the trials, and draw each architecture."""
    table = Table("trial", "log-loss", "accuracy", "parameters", title="the best five, on the validation split")
    for trial in trials:
        log_loss, accuracy, parameters = (trial.metrics[name] for name in ("log_loss", "accuracy", "parameters"))
        table.add_row(str(trial.id), f"{log_loss:.4f}", f"{accuracy:.1%}", f"{parameters:,.0f}")
    console.print(table)
    for trial in trials:
        console.print(f"\n[bold]trial {trial.id}[/bold]")
        console.print(draw_text(trial.architecture))
    console.print()


def random_search(run: og.Run, estimator: og.estimate.Classifier, constraints: og.Constraint) -> og.Run:
    """Return a search of the same duration that trains random architectures in full."""
    return og.search(
        space,
        estimator,
        objectives="log_loss",
        constraints=constraints,
        strategy="random",
        epochs=EPOCHS,
        seed=run.state.declaration["seed"],
        max_trials=1000,
        budget=run.state.elapsed_seconds / 3600,
        workers=2,
        run=run.folder / "random",
        cache=False,
        observer=lambda state, event: None,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", help="the run's folder; a run in it is continued; by default a new one")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the search; the data and their split stay the same"
    )
    options = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False)
    start = time.monotonic()

    # The data set is small and easy: 500 images to train on, 500 to select on, and 797 for the final test.
    task = og.task.classification("digits", test=797, validation=500, train=500, seed=0)
    estimator = og.estimate.classifier(task, og.task.Recipe(batch_size=32), epochs=EPOCHS, count_parameters=True)
    baseline = og.hardware.parameters(og.zoo.baselines.small_cnn())
    max_parameters = int(PARAMETER_SHARE * baseline)
    constraints = og.Constraint("parameters", at_most=max_parameters, hard=True)
    console.print(
        f"space: {space.size():,} architectures of {len(space.decisions)} decisions; goal: one as good as the hand-drawn\n"
        f"baseline with half of its {baseline:,} parameters, that is at most {max_parameters:,}\n"
    )

    with show_live_view() as view:
        run = og.search(
            space,
            estimator,
            objectives="log_loss",  # not accuracy, which has a resolution of only 0.2% on 500 examples
            constraints=constraints,
            schedule={"asha": {"eta": 3, "min_epochs": 3}},
            epochs=EPOCHS,
            max_trials=options.trials,
            seed=options.seed,
            workers=2,
            run=options.run,
            cache=False,
            observer=view,
        )
    print_trials(console, run.top(5))
    random = random_search(run, estimator, constraints)
    finished = random.state.status_counts[Status.FINISHED]
    console.print(
        f"random search for the same {run.state.elapsed_seconds:.0f} s: {finished} architectures trained in "
        f"full, the best with log-loss {random.best.metrics['log_loss']:.4f}\n"
    )

    console.print(
        f"full training of the best {FINALISTS} and of the baseline, {len(SEEDS)} seeds, evaluated on "
        "images that the search did not select on:"
    )
    run.finalize(
        FINALISTS,
        seeds=SEEDS,
        baseline=og.zoo.baselines.small_cnn,
        random=random,
        say=console.print,
    )
    comparison = read_comparison(run.folder)
    assert comparison is not None
    console.print("\non the test split, which is read once:")
    for network in (comparison.winner, comparison.baseline):
        accuracy, loss = (sum(network.metrics[m]) / len(SEEDS) for m in ("accuracy", "log_loss"))
        console.print(
            f"  {network.name:<10} accuracy {accuracy:.2%}, log-loss {loss:.4f}, {network.parameters:,} parameters"
        )
    for metric, difference in comparison.differences.items():
        bounds = f"95% interval {difference.low:+.4f} to {difference.high:+.4f}, paired over {len(SEEDS)} seeds"
        if math.isinf(difference.low):
            bounds = f"equal for all {len(SEEDS)} seeds, so the spread is unknown"
        console.print(f"  difference of {metric}: {difference.mean:+.4f}, {bounds}")
    console.print(
        f"\nweights: {os.path.relpath(run.folder / 'final' / 'weights.pt')}\nreport:  {os.path.relpath(run.report())}\n"
        f"{time.monotonic() - start:.0f} s in all"
    )


if __name__ == "__main__":
    main()
