"""Trials in order, compared at one fidelity; what every strategy uses that asks which trial is better."""

from __future__ import annotations

from collections.abc import Sequence

from ogive.objective import Constraint, Objective, ranks, sort_key
from ogive.trial import Trial, comparable


def ranked(
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint] = (),
    at_least: int | None = None,
) -> list[tuple[int, Trial]]:
    """(rank, trial) of those trials that have a value, in the order given; rank 0 is the best, equals share a rank.

    They are compared at one step, the highest that `at_least` of them (by default all) have reached; trials that have
    not reached it are left out. Feasible trials come before those that violate a constraint (`ogive.objective.rank`).
    """
    step, chosen = comparable(trials, at_least)
    return list(zip(ranks([trial.at(step) for trial in chosen], objectives, constraints), chosen, strict=True))


def best(
    trials: Sequence[Trial], objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()
) -> Trial | None:
    """The best of the trials that have a value, of equals the first; None if none has."""
    if len(objectives) == 1:  # what `ranked` says, without ranking the others
        step, chosen = comparable(trials)
        return min(chosen, key=lambda trial: sort_key(trial.at(step), objectives[0], constraints), default=None)
    order = ranked(trials, objectives, constraints)
    return min(order, key=lambda item: item[0])[1] if order else None
