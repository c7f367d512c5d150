"""What a run has found, computed from its state: the best trials, the front, the curve, the random reference.

Values of unequal fidelity are never mixed raw: "best" means best among the trials that have come furthest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import FloatArray
from ogive.formatting import number
from ogive.objective import Constraint, Objective, costs, pareto_front, ranks, violation
from ogive.run.state import State
from ogive.trial import Status, Trial, TrialId, comparable

MODEL_NOTES = {"regularized_evolution": "parent", "local_search": "parent", "gp": "fitted_on"}
"""Strategies that begin at random, and the entry of a proposal's note by which the first other proposal is known."""


def top(state: State, k: int) -> list[Trial]:
    """The best `k` trials that satisfy all constraints, best first; several objectives by front and crowding.

    Trials are compared at the highest step that any of them has reached; those that have not come behind.
    """
    remaining = [trial for trial in state.trials.values() if not _violates(trial, state)]
    found: list[Trial] = []
    while len(found) < k:
        _, best = comparable(remaining, at_least=1)
        if not best:
            break
        places = ranks([trial.metrics for trial in best], state.objectives, state.constraints)
        found += [trial for _, trial in sorted(zip(places, best, strict=True), key=lambda item: (item[0], item[1].id))]
        taken = {trial.id for trial in best}
        remaining = [trial for trial in remaining if trial.id not in taken]
    return found[:k]


def nearest(state: State, k: int) -> list[Trial]:
    """The `k` trials with a value that violate constraints the least, the nearest first. None of them is a result."""
    trials = [trial for trial in state.trials.values() if trial.reports and not trial.status.failed]
    return sorted(
        (trial for trial in trials if _violates(trial, state)),
        key=lambda trial: (violation(trial.metrics, state.constraints), trial.id),
    )[:k]


def why_none(state: State) -> str:
    """Why a run has no best trial: none has a value, or none satisfies the constraints and which comes nearest."""
    near = nearest(state, 1)
    if not near:
        failed = [trial for trial in state.trials.values() if trial.status.failed]
        first = f": {len(failed)} failed, the first with {failed[0].status}: {failed[0].reason}" if failed else ""
        fault = f"; the last session ended with {state.error}" if state.error is not None else ""
        return f"no trial has a value yet{first}{fault}"
    metrics = near[0].metrics
    missed = [constraint for constraint in state.constraints if constraint.violation(metrics) > 0]
    values = ", ".join(
        f"{c.metric} {number(metrics[c.metric]) if c.metric in metrics else 'unknown'}, not {c}" for c in missed
    )
    remedy = "loosen the constraints, or widen the space"
    return f"no trial satisfies the constraints; trial {near[0].id} comes nearest, with {values}; {remedy}"


def _violates(trial: Trial, state: State) -> bool:
    return bool(state.constraints) and violation(trial.metrics, state.constraints) > 0


def front(state: State) -> list[Trial]:
    """The trials that no other dominates, among those that satisfy all constraints, by the first objective."""
    _, trials = comparable(list(state.trials.values()), at_least=1)
    feasible = [trial for trial in trials if violation(trial.metrics, state.constraints) == 0]
    if not feasible:
        return []
    points = np.array([costs(trial.metrics, state.objectives) for trial in feasible])
    kept = [i for i, on_front in enumerate(pareto_front(points)) if on_front]
    return [feasible[i] for i in sorted(kept, key=lambda i: float(points[i, 0]))]


@dataclass(frozen=True)
class CurvePoint:
    """A trial at rest (ended or paused) as a point of the search curve.

    Attributes:
        place: counts from 1 in the order of coming to rest, failed trials included.
        value: of the objective; NaN where the trial failed.
        full: it has come as far as any trial.
        feasible: it satisfies all constraints.
        origin: where its proposal came from, such as "random" or "mutation"; "" where the strategy does not say.
        time: seconds of the run's own time: stretches in which no controller ran are left out.
        spent: compute seconds of this trial and of all that came to rest before it.
    """

    place: int
    trial: TrialId
    value: float
    full: bool
    feasible: bool
    origin: str = ""
    time: float = 0.0
    spent: float = 0.0


def curve(state: State, objective: Objective) -> list[CurvePoint]:
    """All trials at rest, in the order in which they came to rest."""
    step, _ = comparable(list(state.trials.values()), at_least=1)
    resting = [t for t in state.trials.values() if t.status.ended or t.status is Status.PAUSED]
    resting.sort(key=_since)
    times = own_time(state, [_since(trial)[0] for trial in resting])
    spent = np.cumsum([trial.seconds for trial in resting])
    origins = origins_of(state)
    points = []
    for place, trial in enumerate(resting, 1):
        metrics = trial.metrics
        value = math.nan if trial.status.failed else float(metrics.get(objective.metric, math.nan))
        valued = math.isfinite(value)
        value = value if valued else math.nan
        feasible = valued and (not state.constraints or violation(metrics, state.constraints) == 0)
        full = valued and trial.reaches(step)
        time, total = float(times[place - 1]), float(spent[place - 1])
        points.append(CurvePoint(place, trial.id, value, full, feasible, origins[trial.id], time, total))
    return points


def own_time(state: State, moments: Sequence[float]) -> FloatArray:
    """The clock's `moments` [n] in the run's own time: seconds since its beginning in which a controller ran [n]."""
    clock = np.asarray(moments, dtype=np.float64)
    if not state.stretches:
        return clock - clock.min(initial=math.inf) if len(clock) else clock
    ends = [end for stretch in state.stretches for end in (stretch.begin, stretch.end)]
    own = np.cumsum([length for stretch in state.stretches for length in (0.0, stretch.seconds)])
    return np.asarray(np.interp(clock, ends, own))


def origins_of(state: State) -> dict[TrialId, str]:
    """Where each trial's proposal came from, as its strategy noted it; "" where it did not.

    Strategies that begin at random and note no origin are told by the first proposal that was not.
    """
    noted = {trial.id: str(trial.proposal.note.get("origin", "")) for trial in state.trials.values()}
    name = state.created["strategy"]["name"]
    if any(noted.values()) or (name not in MODEL_NOTES and name != "random"):
        return noted
    mark = MODEL_NOTES.get(name, "")
    first = next((t.id for t in state.trials.values() if mark in t.proposal.note), len(noted))
    return {trial: "random" if trial < first or name == "random" else "model" for trial in noted}


def _since(trial: Trial) -> tuple[float, TrialId]:
    last = trial.reports[-1].time if trial.reports else trial.proposed_at
    return (trial.ended_at if trial.ended_at is not None else last), trial.id


def running_best(points: Sequence[CurvePoint], goal: str) -> tuple[list[int], list[float]]:
    """Places and values of the best so far, among feasible points that have come as far as any; ends at the last place."""
    better = max if goal == "maximize" else min
    places: list[int] = []
    values: list[float] = []
    for point in points:
        if point.full and point.feasible:
            places.append(point.place)
            values.append(better(values[-1], point.value) if values else point.value)
    if places and places[-1] < points[-1].place:
        places.append(points[-1].place)
        values.append(values[-1])
    return places, values


def expected_best(values: ArrayLike, goal: str, sizes: Sequence[int] | None = None) -> FloatArray:
    """The expected best of n of these [m] values drawn without replacement, for each n of `sizes` (1 ... m); [len(sizes)].

    An unbiased estimate of the expected best of n random trials: Tang et al., "Showing Your Work Doesn't Always Work"
    (ACL 2020), section 3.3. With the values in order, the best first, the i-th is the best of n with probability
    C(m - i, n - 1) / C(m, n).
    """
    from scipy.special import gammaln  # takes longer to import than `ogive status`, which needs this module, to run

    ordered = np.sort(np.asarray(values, dtype=np.float64))
    ordered = ordered[::-1] if goal == "maximize" else ordered
    m = len(ordered)
    i = np.arange(1, m + 1)[None, :]
    n = np.asarray(range(1, m + 1) if sizes is None else sizes)[:, None]
    possible = m - i >= n - 1
    k = np.where(possible, m - i - n + 1, 0)
    logarithm = gammaln(m - i + 1) - gammaln(n) - gammaln(k + 1) - gammaln(m + 1) + gammaln(n + 1) + gammaln(m - n + 1)
    return np.asarray(np.where(possible, np.exp(logarithm), 0.0) @ ordered)


def random_values(state: State, drawn: Sequence[CurvePoint] | None = None) -> tuple[list[float], str]:
    """Values of the run's own first random trials, for `expected_best`, and where they come from.

    No values where there is no honest reference; the text then says why. `drawn` is the search curve where it is at hand.
    """
    if len(state.objectives) != 1:
        return [], "A random reference is drawn for a single objective only."
    name = state.created["strategy"]["name"]
    origins = origins_of(state)
    if not any(origins.values()):
        return [], f"There is no random reference: strategy {name} does not say which of its trials are random."
    drawn = curve(state, state.objectives[0]) if drawn is None else drawn
    known = [p for p in drawn if math.isfinite(p.value) and p.origin == "random"]
    known.sort(key=lambda point: point.trial)
    if any(not point.full for point in known):
        return [], "There is no random reference: not all random trials were trained as far as the best."
    if any(not point.feasible for point in known):
        return (
            [],
            "There is no random reference: some random trials violate a constraint, and so have no rank by value.",
        )
    if len(known) < 2:
        return [], "There is no random reference: fewer than two random trials have a value."
    drawn_at_random = [origin == "random" for origin in origins.values()]
    first = all(drawn_at_random[: sum(drawn_at_random)])
    which = "all" if all(drawn_at_random) else "the first" if first else "the"
    return [p.value for p in known], f"{which} {len(known)} trials with a value that strategy {name} drew at random"


def by_rung(state: State, levels: Sequence[int]) -> list[tuple[int, int, int, Trial | None]]:
    """For each level in epochs: trials that reached it, those that went beyond, and the best there by its value there, of
    those that satisfy the constraints.
    """
    alive = [trial for trial in state.trials.values() if trial.reports and not trial.status.failed]
    rows = []
    for level in levels:
        reached = [trial for trial in alive if trial.reaches(level)]
        beyond = sum(trial.step > level or trial.fidelity.get("epochs", 0) > level for trial in reached)
        feasible = [trial for trial in reached if not _violates(trial, state)]
        rows.append((level, len(reached), beyond, _best_at(feasible, level, state.objectives, state.constraints)))
    return rows


def _best_at(
    trials: Sequence[Trial], step: int, objectives: Sequence[Objective], constraints: Sequence[Constraint]
) -> Trial | None:
    if not trials:
        return None
    return trials[int(np.argmin(ranks([trial.at(step) for trial in trials], objectives, constraints)))]
