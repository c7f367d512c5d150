"""Results of a run, computed from its state: the best trials, the Pareto front, the search curve, the random reference.

Values at different fidelities are not compared: the best trial is the best of the trials that were trained longest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ogive.arrays import FloatArray
from ogive.formatting import number
from ogive.objective import Constraint, Objective, compute_costs, find_pareto_front, rank_metrics, total_violation
from ogive.run.state import State
from ogive.trial import Status, Trial, TrialId, select_comparable

MODEL_NOTE_ENTRIES = {"regularized_evolution": "parent", "local_search": "parent", "gp": "fitted_on"}
"""For each strategy that begins with random proposals and notes no origin: the entry that only the notes of its other
proposals have.
"""


def find_best_trials(state: State, k: int) -> list[Trial]:
    """Return the best `k` trials that satisfy all constraints, the best first.

    The trials that have reached the highest step come first, ordered by their values; with several objectives, by
    non-dominated front and crowding distance. The remaining trials follow, grouped and ordered in the same way.
    """
    remaining = [trial for trial in state.trials.values() if not _violates(trial, state)]
    best: list[Trial] = []
    while len(best) < k:
        _, furthest = select_comparable(remaining, at_least=1)
        if not furthest:
            break
        ranks = rank_metrics([trial.metrics for trial in furthest], state.objectives, state.constraints)
        ranked_trials = sorted(zip(ranks, furthest, strict=True), key=lambda item: (item[0], item[1].id))
        best += [trial for _, trial in ranked_trials]
        furthest_ids = {trial.id for trial in furthest}
        remaining = [trial for trial in remaining if trial.id not in furthest_ids]
    return best[:k]


def find_least_violating(state: State, k: int) -> list[Trial]:
    """Return the `k` trials that violate the constraints least, the smallest violation first."""
    trials = [trial for trial in state.trials.values() if trial.reports and not trial.status.failed]
    return sorted(
        (trial for trial in trials if _violates(trial, state)),
        key=lambda trial: (total_violation(trial.metrics, state.constraints), trial.id),
    )[:k]


def explain_no_best(state: State) -> str:
    """Return a message that says why a run has no best trial: none has a value, or none satisfies the constraints."""
    closest = find_least_violating(state, 1)
    if not closest:
        failed = [trial for trial in state.trials.values() if trial.status.failed]
        failures = f": {len(failed)} failed, the first with {failed[0].status}: {failed[0].reason}" if failed else ""
        error = f"; the last session ended with {state.error}" if state.error is not None else ""
        return f"no trial has a value yet{failures}{error}"
    metrics = closest[0].metrics
    violated = [constraint for constraint in state.constraints if constraint.violation(metrics) > 0]
    values = ", ".join(
        f"{c.metric} {number(metrics[c.metric]) if c.metric in metrics else 'unknown'}, not {c}" for c in violated
    )
    remedy = "loosen the constraints, or widen the space"
    return f"no trial satisfies the constraints; trial {closest[0].id} comes nearest, with {values}; {remedy}"


def _violates(trial: Trial, state: State) -> bool:
    return bool(state.constraints) and total_violation(trial.metrics, state.constraints) > 0


def find_front(state: State) -> list[Trial]:
    """Return the Pareto front, sorted by the cost of the first objective.

    It consists of trials that were trained longest and satisfy all constraints.
    """
    _, trials = select_comparable(list(state.trials.values()), at_least=1)
    feasible = [trial for trial in trials if total_violation(trial.metrics, state.constraints) == 0]
    if not feasible:
        return []
    points = np.array([compute_costs(trial.metrics, state.objectives) for trial in feasible])
    indices = [i for i, on_front in enumerate(find_pareto_front(points)) if on_front]
    return [feasible[i] for i in sorted(indices, key=lambda i: float(points[i, 0]))]


@dataclass(frozen=True)
class CurvePoint:
    """An inactive trial (ended or paused) as a point of the search curve.

    Attributes:
        position: the position of the trial, from 1, in the order in which trials became inactive; failed trials count.
        trial: the id of the trial.
        value: the value of the objective; NaN if the trial failed.
        step: the last step that the trial reported, such as its epochs; 0 if it reported nothing.
        is_full: whether the trial has a value and no trial was trained longer.
        is_feasible: whether the trial has a value and satisfies all constraints.
        origin: the origin of the proposal, such as "random" or "mutation"; "" if the strategy does not note it.
        time: the time at which the trial became inactive, in seconds since the start of the run; see `convert_to_run_time`.
        spent_seconds: compute time of this trial and of all trials that became inactive before it, in seconds.
    """

    position: int
    trial: TrialId
    value: float
    step: int
    is_full: bool
    is_feasible: bool
    origin: str = ""
    time: float = 0.0
    spent_seconds: float = 0.0


def compute_search_curve(state: State, objective: Objective) -> list[CurvePoint]:
    """Return the search curve: all inactive trials, in the order in which they became inactive."""
    step, _ = select_comparable(list(state.trials.values()), at_least=1)
    inactive = [t for t in state.trials.values() if t.status.ended or t.status is Status.PAUSED]
    inactive.sort(key=_get_inactive_since)
    times = convert_to_run_time(state, [_get_inactive_since(trial)[0] for trial in inactive])
    spent = np.cumsum([trial.seconds for trial in inactive])
    origins = find_origins(state)
    points = []
    for index, trial in enumerate(inactive):
        metrics = trial.metrics
        value = math.nan if trial.status.failed else float(metrics.get(objective.metric, math.nan))
        has_value = math.isfinite(value)
        point = CurvePoint(
            position=index + 1,
            trial=trial.id,
            value=value if has_value else math.nan,
            step=trial.step,
            is_full=has_value and trial.has_reached(step),
            is_feasible=has_value and (not state.constraints or total_violation(metrics, state.constraints) == 0),
            origin=origins[trial.id],
            time=float(times[index]),
            spent_seconds=float(spent[index]),
        )
        points.append(point)
    return points


def convert_to_run_time(state: State, times: Sequence[float]) -> FloatArray:
    """Convert clock times to run times: seconds since the start, without the times in which no controller ran.

    Args:
        state: the state of the run.
        times: clock times, in seconds.

    Returns:
        The run time of each clock time, in seconds: len(times) numbers. If the state knows no session, they count from the
        first of `times`.
    """
    clock = np.asarray(times, dtype=np.float64)
    if not state.session_intervals:
        return clock - clock.min(initial=math.inf) if len(clock) else clock
    # Run time passes from the start to the end of a session, and not from there to the start of the next one.
    bounds = [bound for session in state.session_intervals for bound in (session.begin, session.end)]
    elapsed = np.cumsum([length for session in state.session_intervals for length in (0.0, session.seconds)])
    return np.asarray(np.interp(clock, bounds, elapsed))


def find_origins(state: State) -> dict[TrialId, str]:
    """Return the origin of each trial's proposal, as noted by the strategy; "" if the strategy did not note it.

    Some strategies begin with random proposals and note no origin. In these cases, the origin is "random" up to the first
    proposal whose note has the entry in `MODEL_NOTE_ENTRIES`, and "model" from this proposal on. All proposals of the
    strategy `random` have the origin "random".
    """
    origins = {trial.id: str(trial.proposal.note.get("origin", "")) for trial in state.trials.values()}
    name = state.declaration["strategy"]["name"]
    if any(origins.values()) or (name not in MODEL_NOTE_ENTRIES and name != "random"):
        return origins
    entry = MODEL_NOTE_ENTRIES.get(name, "")
    first = next((trial.id for trial in state.trials.values() if entry in trial.proposal.note), len(origins))
    return {trial: "random" if trial < first or name == "random" else "model" for trial in origins}


def _get_inactive_since(trial: Trial) -> tuple[float, TrialId]:
    """Return a sort key: the time at which a trial became inactive, and its id."""
    last_active = trial.reports[-1].time if trial.reports else trial.proposed_at
    return (trial.ended_at if trial.ended_at is not None else last_active), trial.id


def compute_running_best(points: Sequence[CurvePoint], goal: str) -> tuple[list[int], list[float]]:
    """Return the positions of the points that can be the incumbent, and the value of the incumbent at each.

    Only feasible trials that were trained longest can be the incumbent. If the last point is not one of them, its position
    is added with the last value, so that a curve through the result extends to the end of the search.
    """
    select_better = max if goal == "maximize" else min
    positions: list[int] = []
    values: list[float] = []
    for point in points:
        if point.is_full and point.is_feasible:
            positions.append(point.position)
            values.append(select_better(values[-1], point.value) if values else point.value)
    if positions and positions[-1] < points[-1].position:
        positions.append(points[-1].position)
        values.append(values[-1])
    return positions, values


def compute_expected_best(values: ArrayLike, goal: str, sizes: Sequence[int] | None = None) -> FloatArray:
    """Return the expected best of n values that are drawn without replacement, for each n in `sizes`.

    This is an unbiased estimate of the expected best of n random trials: Tang et al., "Showing Your Work Doesn't Always
    Work" (ACL 2020), section 3.3.

    Args:
        values: the values of m random trials.
        goal: "minimize" or "maximize".
        sizes: the values of n, each from 1 to m; by default all of them.

    Returns:
        The expected best for each n: len(sizes) numbers.
    """
    # Imported here, because importing SciPy takes longer than everything else in `ogive status`.
    from scipy.special import gammaln

    # With the m values ordered from the best (i = 1) to the worst, value i is the best of n drawn values with probability
    # C(m - i, n - 1) / C(m, n): the other n - 1 are among the m - i worse ones. The binomial coefficients overflow, so their
    # logarithms are used. k is m - i - n + 1.
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    ordered = ordered[::-1] if goal == "maximize" else ordered
    m = len(ordered)
    i = np.arange(1, m + 1)[None, :]
    n = np.asarray(range(1, m + 1) if sizes is None else sizes)[:, None]
    possible = m - i >= n - 1
    k = np.where(possible, m - i - n + 1, 0)
    logarithm = gammaln(m - i + 1) - gammaln(n) - gammaln(k + 1) - gammaln(m + 1) + gammaln(n + 1) + gammaln(m - n + 1)
    return np.asarray(np.where(possible, np.exp(logarithm), 0.0) @ ordered)


def collect_random_values(state: State, points: Sequence[CurvePoint] | None = None) -> tuple[list[float], str]:
    """Return the values of the random trials of a run, for `compute_expected_best`.

    Args:
        state: the state of the run.
        points: the search curve, if it has been computed already.

    Returns:
        The values, and a phrase that names their trials. If the run has no fair random reference: an empty list, and a
        sentence that gives the reason.
    """
    if len(state.objectives) != 1:
        return [], "A random reference is drawn for a single objective only."
    name = state.declaration["strategy"]["name"]
    origins = find_origins(state)
    if not any(origins.values()):
        return [], f"There is no random reference: strategy {name} does not say which of its trials are random."
    points = compute_search_curve(state, state.objectives[0]) if points is None else points
    random_points = [point for point in points if math.isfinite(point.value) and point.origin == "random"]
    random_points.sort(key=lambda point: point.trial)
    if any(not point.is_full for point in random_points):
        return [], "There is no random reference: not all random trials were trained as far as the best."
    if any(not point.is_feasible for point in random_points):
        return (
            [],
            "There is no random reference: some random trials violate a constraint, and so have no rank by value.",
        )
    if len(random_points) < 2:
        return [], "There is no random reference: fewer than two random trials have a value."
    is_random = [origin == "random" for origin in origins.values()]
    are_first = all(is_random[: sum(is_random)])
    described_as = "all" if all(is_random) else "the first" if are_first else "the"
    trials = f"{described_as} {len(random_points)} trials with a value that strategy {name} drew at random"
    return [point.value for point in random_points], trials


def summarize_rungs(state: State, rung_steps: Sequence[int]) -> list[tuple[int, int, int, Trial | None]]:
    """Return a row for each rung: (step, number of trials that reached it, number that went beyond it, best trial).

    The best trial is the feasible trial with the best value at the rung; None if no feasible trial has reached it.
    """
    trials = [trial for trial in state.trials.values() if trial.reports and not trial.status.failed]
    rows = []
    for step in rung_steps:
        reached = [trial for trial in trials if trial.has_reached(step)]
        # A trial that was resumed goes beyond the rung even before its next report.
        beyond = sum(trial.step > step or trial.fidelity.get("epochs", 0) > step for trial in reached)
        feasible = [trial for trial in reached if not _violates(trial, state)]
        rows.append((step, len(reached), beyond, _find_best_at(feasible, step, state.objectives, state.constraints)))
    return rows


def _find_best_at(
    trials: Sequence[Trial], step: int, objectives: Sequence[Objective], constraints: Sequence[Constraint]
) -> Trial | None:
    if not trials:
        return None
    return trials[int(np.argmin(rank_metrics([trial.metrics_at(step) for trial in trials], objectives, constraints)))]
