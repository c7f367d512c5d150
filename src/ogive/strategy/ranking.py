"""Rankings of trials, which are compared at one step. Every strategy that compares trials uses this module."""

from __future__ import annotations

from collections.abc import Sequence

from ogive.objective import Constraint, Objective, rank_metrics, sort_key
from ogive.trial import Trial, select_comparable


def rank_trials(
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint] = (),
    at_least: int | None = None,
) -> list[tuple[int, Trial]]:
    """Return (rank, trial) of the trials that have a value, in the order of `trials`.

    Rank 0 is the best; equally good trials share a rank. Trials are compared at one step, the highest that `at_least` of the
    trials (by default all) have reached. Trials that have not reached this step are left out. Feasible trials come before
    trials that violate a constraint, as in `ogive.objective.rank_costs`.
    """
    step, compared = select_comparable(trials, at_least)
    return list(
        zip(
            rank_metrics([trial.metrics_at(step) for trial in compared], objectives, constraints), compared, strict=True
        )
    )


def find_best(
    trials: Sequence[Trial], objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()
) -> Trial | None:
    """Return the best of the trials that have a value, the first of equally good ones; None if no trial has a value."""
    if len(objectives) == 1:
        # The result is that of `rank_trials`, but one pass is enough to find the minimum.
        step, compared = select_comparable(trials)
        return min(
            compared, key=lambda trial: sort_key(trial.metrics_at(step), objectives[0], constraints), default=None
        )
    ranked = rank_trials(trials, objectives, constraints)
    return min(ranked, key=lambda item: item[0])[1] if ranked else None


def sort_best_first(
    trials: Sequence[Trial], objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()
) -> list[Trial]:
    """Return the trials that have a value, best first; equally good trials keep their order in `trials`."""
    ranked = rank_trials(trials, objectives, constraints)
    return [trial for _, trial in sorted(ranked, key=lambda item: item[0])]
