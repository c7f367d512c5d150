"""The replay of stop rules: when a rule would have stopped a search, and what the stop would have lost and saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ogive.errors import RunError
from ogive.monitor.rewards import count_inactive
from ogive.monitor.stop_rules import StopVerdict, evaluate_rules
from ogive.objective import compute_costs, hypervolume
from ogive.run.events import Event
from ogive.run.results import find_best_trials, find_front
from ogive.run.spending import Spending, compute_spending
from ogive.run.state import State
from ogive.space import Space
from ogive.trial import Status, TrialId, select_comparable


@dataclass(frozen=True, kw_only=True)
class ReplayedStop:
    """The stop of a search by a stop rule, and its consequences.

    Attributes:
        rule: one of `ogive.monitor.stop_rules.RULES`.
        stops: whether the rule would have stopped the search before it ended.
        reason: the reason that the rule gave at the stop; without a stop, the reason at the end of the search.
        trials: the number of inactive trials at the stop; without a stop, at the end of the search.
        chosen: the best trial at the stop; None without a stop, with several objectives, or if no trial had a value.
        lost: the loss by the stop. With one objective, it is the difference in the metric, at least 0, between `chosen` and
            the best trial of the whole run, at the highest step that both have reached. With several objectives, it is the
            share of the final front's hypervolume that the trials of the front at the stop do not have, in [0, 1]. All
            trials have their values at the end of the run, and the reference point has the worst value of each objective.
            None without a stop, or if no trial can be compared.
        saved: the spending after the stop.
    """

    rule: str
    stops: bool
    reason: str
    trials: int
    chosen: TrialId | None
    lost: float | None
    saved: Spending


@dataclass(frozen=True, kw_only=True)
class StopPoint:
    """The point in a search at which a rule would have stopped it.

    Attributes:
        verdict: the verdict of the rule.
        trials: the number of inactive trials.
        best: the best trial so far; with several objectives the Pareto front. Empty if no trial had a value.
        spent: the spending up to this point.
    """

    verdict: StopVerdict
    trials: int
    best: tuple[TrialId, ...]
    spent: Spending


def apply_stop_rules(
    events: Iterable[Event], space: Space, rules: Sequence[str]
) -> tuple[State, dict[str, StopPoint], dict[str, StopVerdict]]:
    """Apply the stop rules each time that a trial becomes inactive, as the controller does.

    Args:
        events: the events of the journal.
        space: the space of the run.
        rules: the names of the rules whose stops are returned.

    Returns:
        The last state with only those trials that have a value; the first stop by each rule that stops the search; and the
        last verdict of each rule.

    Raises:
        RunError: there are no events.
    """
    remaining_events = iter(events)
    first_event = next(remaining_events, None)
    if first_event is None:
        raise RunError("the journal is empty")
    state = State.from_events([first_event], space)
    stops: dict[str, StopPoint] = {}
    verdicts: list[StopVerdict] = evaluate_rules(state)
    for event in remaining_events:
        trial = state.apply(event)
        if trial is None or not (trial.status.ended or trial.status is Status.PAUSED):
            continue
        verdicts = evaluate_rules(state, previous=verdicts, ended=trial)
        for verdict in verdicts:
            if verdict.stop and verdict.rule in rules and verdict.rule not in stops:
                stops[verdict.rule] = _make_stop_point(state, verdict)
    return _select_valid_trials(state), stops, {verdict.rule: verdict for verdict in verdicts}


def _make_stop_point(state: State, verdict: StopVerdict) -> StopPoint:
    """Return the stop of a search in its present state."""
    valid = _select_valid_trials(state)
    best = find_front(valid) if len(state.objectives) > 1 else find_best_trials(valid, len(valid.trials))[:1]
    return StopPoint(
        verdict=verdict,
        trials=count_inactive(state),
        best=tuple(trial.id for trial in best),
        spent=compute_spending(state),
    )


def _select_valid_trials(state: State) -> State:
    """Return the state with only those trials that have all metrics of the objectives and constraints."""
    names = state.compared_metrics
    valid = {
        number: trial
        for number, trial in state.trials.items()
        if trial.reports and not trial.status.failed and all(np.isfinite(trial.metrics.get(n, np.nan)) for n in names)
    }
    return replace(state, trials=valid)


def compare_stop(rule: str, stop: StopPoint | None, last: StopVerdict, final: State) -> ReplayedStop:
    """Return a stop with its loss and its savings, compared with the end of the search.

    Args:
        rule: the name of the stop rule.
        stop: the stop by this rule; None if it never stops the search.
        last: the last verdict of the rule.
        final: the state at the end, with only those trials that have a value.
    """
    total = compute_spending(final)
    if stop is None:
        return ReplayedStop(
            rule=rule,
            stops=False,
            reason=last.reason,
            trials=count_inactive(final),
            chosen=None,
            lost=None,
            saved=replace(
                total, hours=0.0, worker_hours=0.0, compute_hours=0.0, money=None if total.money is None else 0.0
            ),
        )
    has_one_objective = len(final.objectives) == 1
    compute_loss = _compute_lost_value if has_one_objective else _compute_lost_hypervolume
    return ReplayedStop(
        rule=rule,
        stops=True,
        reason=stop.verdict.reason,
        trials=stop.trials,
        chosen=stop.best[0] if has_one_objective and stop.best else None,
        lost=compute_loss(stop.best, final),
        saved=_subtract(total, stop.spent),
    )


def _subtract(total: Spending, spent: Spending) -> Spending:
    """Return the spending of the whole search minus the spending up to a stop."""
    return replace(
        total,
        hours=total.hours - spent.hours,
        worker_hours=total.worker_hours - spent.worker_hours,
        compute_hours=total.compute_hours - spent.compute_hours,
        money=None if total.money is None else total.money - (spent.money or 0.0),
    )


def _compute_lost_value(chosen: Sequence[TrialId], final: State) -> float | None:
    """Return the difference in the metric between the best trial at a stop, `chosen[0]`, and the best of the whole run."""
    best = find_best_trials(final, len(final.trials))
    if not chosen or not best or chosen[0] not in final.trials:
        return None
    trial = final.trials[chosen[0]]
    step, _ = select_comparable([trial, best[0]])
    objective = final.objectives[0]
    return max(0.0, objective.cost(trial.metrics_at(step)) - objective.cost(best[0].metrics_at(step)))


def _compute_lost_hypervolume(chosen: Sequence[TrialId], final: State) -> float | None:
    """Return the share of the final front's hypervolume that the trials of the front at a stop, `chosen`, do not have."""
    _, trials = select_comparable(list(final.trials.values()), at_least=1)
    points = np.array([compute_costs(trial.metrics, final.objectives) for trial in trials])
    final_front = [trial.id for trial in find_front(final)]
    if not final_front or len(points) == 0:
        return None
    # The worst value of each objective, among the trials that have reached the highest step.
    reference = [float(value) for value in points.max(axis=0)]

    def compute_volume(numbers: Iterable[TrialId]) -> float:
        rows = [
            compute_costs(final.trials[number].metrics, final.objectives)
            for number in numbers
            if number in final.trials
        ]
        return hypervolume(np.array(rows).reshape(len(rows), -1), reference) if rows else 0.0

    final_volume = compute_volume(final_front)
    return max(0.0, 1 - compute_volume(chosen) / final_volume) if final_volume > 0 else None
