"""Does a cheap search predict full training? A search on Fashion-MNIST, and full training of its best trials.

    python benchmarks/full_training.py [--run runs/full_training] [--trials 40] [--seeds 2] [--workers 2]

The search trains on a tenth of the data for 2 epochs; full training uses all data for 4 epochs, with random shifts. The
networks have a few thousand parameters, so that two cores need some minutes. If it is interrupted, the same call continues;
with more seeds than before, it trains the new seeds only.
"""

from __future__ import annotations

import argparse

import ogive as og
from ogive.stages.full_training_result import FullTrainingResult, TrainedNetwork
from ogive.stages.full_training_text import format_probability_cell, list_conclusions

EPOCHS = 2
FULL_EPOCHS = 4
FRACTION = 0.1
TOP = 10


def print_table(result: FullTrainingResult) -> None:
    """Print the finalists in the order of the search."""
    print(f"{'':10}  search: rank  accuracy   full: rank  accuracy (each seed)       true best")
    for network in result.finalists:
        values = " ".join(f"{value:.4f}" for value in network.values.get("accuracy", ()))
        probability = "" if network.probability is None else format_probability_cell(network.probability)
        before, after = network.rank_before, network.rank_after
        accuracy = search_accuracy(network)
        print(f"{network.name:10}  {before:12}  {accuracy:8.4f}   {after:10}  {values:26} {probability:>9}")


def search_accuracy(network: TrainedNetwork) -> float:
    return network.searched["accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="runs/full_training")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    task = og.task.fashion_mnist(validation=0.15)
    space = og.zoo.chain(channels=(2, 4, 8), depth=(2, 4), image=28)
    run = og.search(
        space,
        og.estimate.classifier(task, epochs=EPOCHS, data_fraction=FRACTION),
        epochs=EPOCHS,
        max_trials=options.trials,
        workers=options.workers,
        run=options.run,
        cache=False,
    )
    result = run.finalize(
        TOP,
        seeds=range(options.seeds),
        epochs=FULL_EPOCHS,
        recipe={"shift": 1},
        workers=options.workers,
        say=lambda message: print(message, flush=True),
    )
    print()
    print_table(result)
    print()
    for line in list_conclusions(result):
        print(line)
    print(f"\nreport: {run.report()}")


if __name__ == "__main__":
    main()
