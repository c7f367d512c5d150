"""The checks that a phase of a funnel must pass before the next phase starts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ogive.formatting import number
from ogive.objective import Constraint, total_violation
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.stages.full_training_result import FullTrainingResult

if TYPE_CHECKING:
    from ogive.task import Task

MAX_P_VALUE = 1e-3
"""The best accuracy of a phase is better than that of a constant prediction if the p-value is below this bound."""


class Check(NamedTuple):
    """The result of one check, with a sentence that gives the compared numbers."""

    passed: bool
    reason: str


def check_values(valid: int, trials: int) -> Check:
    """Check that at least one trial has a value.

    Args:
        valid: the number of trials with a value.
        trials: the number of all trials.
    """
    return Check(valid > 0, f"{valid} of {trials} trials have a value")


def check_failures(state: State, max_share: float | None) -> Check:
    """Check that not too many trials failed.

    Args:
        state: the state of the phase's run.
        max_share: the largest share of trials that may fail, in [0, 1]; None if only the run's limit of failures applies.
    """
    failed, trials = state.failed_count, len(state.trials)
    if max_share is not None and failed > max_share * trials:
        return Check(False, f"{failed} of {trials} trials failed; at most {max_share:.0%} may fail")
    limit = Settings.from_json(state.settings).failed_trials_limit
    if failed >= limit:
        return Check(False, f"{failed} trials failed, and the search ends at {limit}")
    return Check(True, f"{failed} of {trials} trials failed")


def check_thresholds(thresholds: Sequence[Constraint], metrics: Sequence[Mapping[str, float]]) -> Check:
    """Check that one trial reached all thresholds.

    Args:
        thresholds: one threshold or more.
        metrics: the metrics of each trial.
    """
    text = " and ".join(map(str, thresholds))
    if not metrics:
        return Check(False, f"no trial reached {text}")
    # The best trial violates the thresholds least. If several trials do, the first threshold's metric decides.
    best = min(metrics, key=lambda row: (total_violation(row, thresholds), _compute_threshold_cost(row, thresholds[0])))
    values = ", ".join(f"{c.metric} {number(best[c.metric])}" for c in thresholds if c.metric in best)
    is_reached = total_violation(best, thresholds) == 0
    details = f" (best: {values})" if values else ""
    return Check(is_reached, f"{'a' if is_reached else 'no'} trial reached {text}{details}")


def _compute_threshold_cost(metrics: Mapping[str, float], threshold: Constraint) -> float:
    """Return the metric of a threshold with the sign for which less is better; infinity if it is unknown."""
    value = metrics.get(threshold.metric, math.nan)
    return math.inf if math.isnan(value) else value if threshold.at_most is not None else -value


def check_learning(accuracies: Sequence[float], task: Task) -> tuple[Check, float]:
    """Check that the best accuracy is better than that of always predicting the most frequent class.

    The check is an exact binomial test on the validation examples, with Bonferroni's correction for the number of trials.

    Args:
        accuracies: the accuracies of the trials on the validation split.
        task: the task that the trials were trained on.

    Returns:
        The check and its p-value.
    """
    from scipy.stats import binom

    labels = task.data.y[task.split.validation]
    n, majority_share = len(labels), float(np.bincount(labels).max() / len(labels))
    if not accuracies:
        return Check(False, "no network learns: no trial reported accuracy"), 1.0
    best = max(accuracies)
    # The probability that a network whose true accuracy is `majority_share` reaches the best accuracy on n examples,
    # multiplied by the number of trials.
    p = float(min(1.0, len(accuracies) * binom.sf(round(best * n) - 1, n, majority_share)))
    details = (
        f"best accuracy {best:.3f} on {n} examples, always predicting the most frequent class gives {majority_share:.3f} "
        f"(p = {p:.1g})"
    )
    learns = p < MAX_P_VALUE
    return Check(learns, f"the networks learn: {details}" if learns else f"no network learns: {details}"), p


def check_full_training(
    result: FullTrainingResult, thresholds: Sequence[Constraint], max_share: float | None
) -> tuple[list[Check], dict[str, float]]:
    """Check the result of full training.

    Args:
        result: the result of full training.
        thresholds: the thresholds that one winner must all reach; empty for none.
        max_share: the largest share of trainings that may fail, in [0, 1]; None for no limit.

    Returns:
        The checks, and a mapping of three numbers: `trials` is the number of trainings, `failed` is the number of trainings
        that failed, and `seconds` is their compute time.
    """
    means = {
        network.name: {name: float(np.mean(values)) for name, values in network.values.items() if len(values)}
        for network in result.finalists
    }
    failed = sum(len(network.failures) for network in result.finalists)
    trainings = failed + sum(len(network.seeds) for network in result.finalists)
    checks = [Check(bool(result.winners), f"winner of full training: {', '.join(result.winners) or 'none'}")]
    if max_share is not None or failed:
        passed = max_share is None or failed <= max_share * trainings
        limit = "" if passed else f"; at most {max_share:.0%} may fail"
        checks.append(Check(passed, f"{failed} of {trainings} full trainings failed{limit}"))
    if thresholds:
        checks.append(check_thresholds(thresholds, [means[name] for name in result.winners if name in means]))
    if result.cost_ratio is not None:
        # This is no condition: it only adds the cost of a training to the reasons of the verdict.
        reason = f"a full training took {result.cost_ratio:.3g} times the compute time of a training in the search"
        checks.append(Check(True, reason))
    seconds = sum(network.seconds for network in result.networks)
    return checks, {"trials": float(trainings), "failed": float(failed), "seconds": seconds}
