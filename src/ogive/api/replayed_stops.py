"""Where stop rules would have ended a search, what would have been lost by it, and what would have been saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ogive.errors import RunError
from ogive.monitor.stop_rules import StopVerdict, evaluate_rules
from ogive.objective import cost_vector, hypervolume
from ogive.run.events import Event
from ogive.run.results import find_best_trials, find_front
from ogive.run.spending import Spending, compute_spending
from ogive.run.state import State
from ogive.space import Space
from ogive.trial import Status, TrialId, select_comparable


@dataclass(frozen=True, kw_only=True)
class ReplayedStop:
    """Where a stop rule would have ended the search, and the consequences.

    Attributes:
        rule: one of `ogive.monitor.stop_rules.RULES`.
        stops: whether it would have stopped the search before it ended.
        reason: at the stop; at the end if there was none.
        trials: the number of inactive trials at that time.
        chosen: the best trial at the stop; None with several objectives, or if no trial had a value.
        lost: with one objective, how much worse `chosen` is than the best trial of the whole run, both at the highest step
            that both have reached, in the metric's unit, at least 0. With several objectives, the share of the final front's
            hypervolume that was missing at the stop, in [0, 1], with the worst value of each objective as reference point.
            None if nothing can be compared: no trial had a value at the stop, or none satisfies the constraints.
        saved: what was spent after the stop.
    """

    rule: str
    stops: bool
    reason: str
    trials: int
    chosen: TrialId | None
    lost: float | None
    saved: Spending


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The state of a search when a rule would have stopped it.

    Attributes:
        verdict: of the rule.
        trials: the number of inactive trials.
        best: the best trial, or the Pareto front with several objectives; empty if no trial had a value.
        spent: up to this time.
    """

    verdict: StopVerdict
    trials: int
    best: tuple[TrialId, ...]
    spent: Spending


def apply_stop_rules(
    events: Iterable[Event], space: Space, rules: Sequence[str]
) -> tuple[State, dict[str, Stop], dict[str, StopVerdict]]:
    """Apply the stop rules whenever a trial becomes inactive, as the controller does.

    Returns:
        The last state with the trials that have a value; the first stop by each rule; and the last verdict of each rule.

    Raises:
        RunError: there are no events.
    """
    stream = iter(events)
    first = next(stream, None)
    if first is None:
        raise RunError("the journal is empty")
    state = State.from_events([first], space)
    stops: dict[str, Stop] = {}
    last: list[StopVerdict] = evaluate_rules(state)
    for event in stream:
        trial = state.apply(event)
        if trial is None or not (trial.status.ended or trial.status is Status.PAUSED):
            continue
        last = evaluate_rules(state, former=last, ended=trial)
        for verdict in last:
            if verdict.stop and verdict.rule in rules and verdict.rule not in stops:
                valued = _keep_valued(state)
                best = (
                    find_front(valued)
                    if len(state.objectives) > 1
                    else find_best_trials(valued, len(valued.trials))[:1]
                )
                stops[verdict.rule] = Stop(
                    verdict=verdict,
                    trials=_count_inactive(state),
                    best=tuple(t.id for t in best),
                    spent=compute_spending(state),
                )
    return _keep_valued(state), stops, {verdict.rule: verdict for verdict in last}


def _keep_valued(state: State) -> State:
    """Return the state with only those trials that have a value under its objectives and constraints."""
    names = state.metrics_needed
    valued = {
        number: trial
        for number, trial in state.trials.items()
        if trial.reports and not trial.status.failed and all(np.isfinite(trial.metrics.get(n, np.nan)) for n in names)
    }
    return replace(state, trials=valued)


def _count_inactive(state: State) -> int:
    return state.ended_count + state.status_counts[Status.PAUSED]


def compare_stop(rule: str, stop: Stop | None, last: StopVerdict, final: State) -> ReplayedStop:
    """Return what a stop would have lost and saved.

    Args:
        rule: the stop rule.
        stop: by this rule; None if it never stops the search.
        last: the last verdict of the rule.
        final: the state at the end, with the trials that have a value.
    """
    total = compute_spending(final)
    if stop is None:
        return ReplayedStop(
            rule=rule,
            stops=False,
            reason=last.reason,
            trials=_count_inactive(final),
            chosen=None,
            lost=None,
            saved=replace(
                total, hours=0.0, worker_hours=0.0, compute_hours=0.0, money=None if total.money is None else 0.0
            ),
        )
    has_one = len(final.objectives) == 1
    return ReplayedStop(
        rule=rule,
        stops=True,
        reason=stop.verdict.reason,
        trials=stop.trials,
        chosen=stop.best[0] if has_one and stop.best else None,
        lost=_lost_value(stop.best, final) if has_one else _lost_hypervolume(stop.best, final),
        saved=_subtract(total, stop.spent),
    )


def _subtract(total: Spending, spent: Spending) -> Spending:
    return replace(
        total,
        hours=total.hours - spent.hours,
        worker_hours=total.worker_hours - spent.worker_hours,
        compute_hours=total.compute_hours - spent.compute_hours,
        money=None if total.money is None else total.money - (spent.money or 0.0),
    )


def _lost_value(chosen: Sequence[TrialId], final: State) -> float | None:
    best = find_best_trials(final, len(final.trials))
    if not chosen or not best or chosen[0] not in final.trials:
        return None
    trial = final.trials[chosen[0]]
    step, _ = select_comparable([trial, best[0]])
    objective = final.objectives[0]
    return max(0.0, objective.cost(trial.at(step)) - objective.cost(best[0].at(step)))


def _lost_hypervolume(chosen: Sequence[TrialId], final: State) -> float | None:
    _, trials = select_comparable(list(final.trials.values()), at_least=1)
    points = np.array([cost_vector(trial.metrics, final.objectives) for trial in trials])
    final_front = [trial.id for trial in find_front(final)]
    if not final_front or len(points) == 0:
        return None
    reference = [float(value) for value in points.max(axis=0)]

    def compute_volume(numbers: Iterable[TrialId]) -> float:
        rows = [
            cost_vector(final.trials[number].metrics, final.objectives) for number in numbers if number in final.trials
        ]
        return hypervolume(np.array(rows).reshape(len(rows), -1), reference) if rows else 0.0

    final_volume = compute_volume(final_front)
    return max(0.0, 1 - compute_volume(chosen) / final_volume) if final_volume > 0 else None
