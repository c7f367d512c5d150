"""The main job, end to end: search a digit classifier of half the size of a hand-drawn one, train the best four in full,
compare the best of these with what was drawn.

    make demo

About two minutes on two cores. Ctrl-C ends the search gracefully; with --run and the folder that it names, it goes on.
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
from ogive.report import draw_text, live_view, read_comparison
from ogive.trial import Status

sys.path.insert(0, str(Path(__file__).parent))
from space import space

FINALISTS = 4
SEEDS = (0, 1, 2)
EPOCHS = 27
SHARE = 0.5
"""Of the parameters of the hand-drawn network, which the search may spend."""


def show(console: Console, trials: Sequence[og.Trial]) -> None:
    """A table of the trials, and a drawing of each."""
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
    """Random architectures, each trained in full, for the time that the search took."""
    return og.search(
        space,
        estimator,
        objectives="log_loss",
        constraints=constraints,
        strategy="random",
        epochs=EPOCHS,
        seed=run.state.created["seed"],
        max_trials=1000,
        budget=run.state.elapsed / 3600,
        workers=2,
        run=run.folder / "random",
        cache=False,
        observer=lambda state, event: None,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", help="the run's folder, fresh by default; an earlier one is continued")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the search; data and their split stay the same")
    options = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False)
    began = time.monotonic()

    # Digits are few and easy: 500 images to train on, 500 to select on, and many, 797, for the one look at the end.
    task = og.task.classification("digits", test=797, validation=500, train=500, seed=0)
    estimator = og.estimate.classifier(task, og.task.Recipe(batch_size=32), epochs=EPOCHS, count_parameters=True)
    baseline = og.hardware.parameters(og.zoo.baselines.small_cnn())
    most = int(SHARE * baseline)
    constraints = og.Constraint("parameters", at_most=most, hard=True)
    console.print(
        f"space: {space.size():,} architectures of {len(space.decisions)} decisions; wanted: one as good as the hand-drawn\n"
        f"baseline with half of its {baseline:,} parameters, that is at most {most:,}\n"
    )

    with live_view() as view:
        run = og.search(
            space,
            estimator,
            objectives="log_loss",  # beside accuracy: 500 examples resolve accuracy to 0.2 points only
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
    show(console, run.top(5))
    random = random_search(run, estimator, constraints)
    trained = random.state.count[Status.FINISHED]
    console.print(
        f"random search for the same {run.state.elapsed:.0f} s: {trained} architectures trained in full, the best with "
        f"log-loss {random.best.metrics['log_loss']:.4f}\n"
    )

    console.print(
        f"full training of the best {FINALISTS} and of the baseline, {len(SEEDS)} seeds, judged on "
        "images that the search did not choose by:"
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
    console.print("\non the test split, read once:")
    for network in (comparison.found, comparison.baseline):
        accuracy, loss = (sum(network.metrics[m]) / len(SEEDS) for m in ("accuracy", "log_loss"))
        console.print(
            f"  {network.name:<10} accuracy {accuracy:.2%}, log-loss {loss:.4f}, {network.parameters:,} parameters"
        )
    for metric, difference in comparison.differences.items():
        bounds = f"95 % interval {difference.low:+.4f} to {difference.high:+.4f}, paired over {len(SEEDS)} seeds"
        if math.isinf(difference.low):
            bounds = f"the same with each of {len(SEEDS)} seeds, which tells nothing of the spread"
        console.print(f"  difference of {metric}: {difference.mean:+.4f}, {bounds}")
    console.print(
        f"\nweights: {os.path.relpath(run.folder / 'final' / 'weights.pt')}\nreport:  {os.path.relpath(run.report())}\n"
        f"{time.monotonic() - began:.0f} s in all"
    )


if __name__ == "__main__":
    main()
