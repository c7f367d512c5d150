"""The warnings about a winner that a user should read before using it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ogive.formatting import number, plural
from ogive.stages.finalize_request import read_request
from ogive.stages.full_training_result import FULL_TRAINING_FOLDER

if TYPE_CHECKING:
    from ogive.stages.delivery import Stages


def list_winner_warnings(stages: Stages) -> list[str]:
    """Return the warnings about the winners of a run, one sentence each.

    Their subjects are: full training that has not ended, failed trainings, a better trial that the search found after full
    training, a better baseline, violated constraints, and weights that are not from the epoch of the winner's value.
    """
    return [
        *_describe_unfinished_training(stages),
        *_describe_failed_trainings(stages),
        *_describe_later_best(stages),
        *_describe_better_baseline(stages),
        *_describe_violations(stages),
        *_describe_weights_of_other_epoch(stages),
    ]


def _describe_unfinished_training(stages: Stages) -> Sequence[str]:
    """Return a sentence if full training was started but has no complete result; it says where the winner comes from."""
    final, result = stages.full_training_state, stages.full_training_result
    if final is None:
        return []
    remaining = final.total_trials - final.ended_count
    # `judged` is 0 in results of earlier versions, which did not store it; then new trainings cannot be detected.
    has_new_trainings = result is not None and 0 < result.judged < final.ended_count
    if remaining <= 0 and result is not None and not has_new_trainings:
        return []
    if remaining <= 0 and final.failed_count == final.ended_count:
        return ["all trainings of full training failed: the winner is still the winner of the search"]
    if final.ended_by_failures and remaining > 0:
        return [f"full training was ended by failures, so the winner is not from full training: {final.end_reason}"]
    missing = f"{plural(remaining, 'training')} left" if remaining > 0 else "the result is not computed yet"
    winner = (
        "the winner is still the winner of the search"
        if result is None
        else "the winner is from the trainings that were evaluated before"
    )
    earlier_folders = [path.name for path in sorted((stages.folder or Path()).glob(f"{FULL_TRAINING_FOLDER}-*"))]
    earlier = ""
    if earlier_folders and result is None:
        earlier = f" (an earlier full training is kept in {', '.join(earlier_folders)})"
    request = read_request(stages.folder)
    command = request.command if request is not None else "ogive finalize"
    return [f"full training has not ended, {missing}: {winner}{earlier}; `{command}` continues it"]


def _describe_failed_trainings(stages: Stages) -> Iterator[str]:
    """Yield a sentence for each network of which some trainings failed, so that its values are from fewer seeds."""
    for network in stages.full_training_result.networks if stages.full_training_result is not None else ():
        if network.seeds and network.failures:
            trained = len(network.seeds) + len(network.failures)
            yield (
                f"{len(network.failures)} of {plural(trained, 'training')} of {network.name} failed "
                f"({network.failures[0]}), so its values are means over {plural(len(network.seeds), 'seed')}; "
                "`ogive finalize --retry-failed` repeats the failed trainings"
            )


def _describe_later_best(stages: Stages) -> Sequence[str]:
    """Return a sentence if the search has found a new best trial after full training."""
    state = stages.state
    if stages.full_training_result is None or len(state.objectives) > 1 or not stages.best_search_trials:
        return []
    best, metric = state.trials[stages.best_search_trials[0]], state.objectives[0].metric
    if any(network.trial == best.id for network in stages.full_training_result.finalists):
        return []
    return [
        f"the search continued after full training: its best trial is now trial {best.id} ({metric} "
        f"{number(best.metrics[metric])}), which was not trained in full; `ogive finalize` trains this trial too"
    ]


def _describe_better_baseline(stages: Stages) -> Sequence[str]:
    """Return a sentence if the baseline is better than the winner. A baseline itself cannot be a winner."""
    result = stages.full_training_result
    if result is None or result.baseline is None or len(stages.state.objectives) > 1:
        return []
    objective = stages.state.objectives[0]
    baseline, winner = result.baseline.mean(objective.metric), result.winner.mean(objective.metric)
    if baseline is None or winner is None:
        return []
    if objective.cost({objective.metric: baseline}) >= objective.cost({objective.metric: winner}):
        return []
    comparable = [c for c in stages.state.constraints if result.baseline.mean(c.metric) is not None]
    violated = [str(c) for c in comparable if c.violation({c.metric: result.baseline.mean(c.metric) or 0.0}) > 0]
    return [
        f"the hand-drawn baseline is better than the winner: {objective.metric} {number(baseline)} against "
        f"{number(winner)} on the validation data" + (f"; but it violates {' and '.join(violated)}" if violated else "")
    ]


def _describe_violations(stages: Stages) -> Iterator[str]:
    """Yield a sentence for each winner that violates constraints, since full training may change its metrics."""
    for winner in stages.winners:
        violated = [c for c in stages.state.constraints if c.violation(winner.mean_metrics) > 0]
        values = ", ".join(
            f"{c.metric} is {number(winner.mean_metrics.get(c.metric, math.nan))}, not {c}" for c in violated
        )
        if violated:
            yield (
                f"the winner, {winner.title}, violates a constraint: {values}; no trained network satisfies all "
                "constraints"
            )


def _describe_weights_of_other_epoch(stages: Stages) -> Iterator[str]:
    """Yield a sentence for each winner whose weights are not from the epoch of its value."""
    for winner in stages.winners:
        report = winner.training.value_report
        if winner.weights is not None and report is not None and report.step != winner.step:
            yield (
                f"the value of {winner.title} is from epoch {report.step}, but its weights are from epoch {winner.step}, "
                "the nearest epoch with a checkpoint; let the train function call trial.checkpoint(...) in every epoch"
            )
