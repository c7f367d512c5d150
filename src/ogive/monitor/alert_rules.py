"""The rules that raise alerts. They are pure functions of the state and, for some, of the time.

The alerts of `find_trial_alerts` depend only on the trials, so an interruption of the run does not change them. Those of
`find_time_alerts` also depend on the time. No alert is raised twice: a cause in `state.alert_causes` is skipped.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from statistics import fmean

import numpy as np

from ogive.formatting import amount_of_limit, duration, duration_of_hours, plural
from ogive.monitor import plan_comparison
from ogive.monitor.diversity import DIVERSITY_WINDOW, compute_mean_distance, estimate_random_distance
from ogive.monitor.overtraining import MIN_OVERTRAINED_TRIALS, detect_overtraining
from ogive.monitor.rewards import count_inactive
from ogive.monitor.stop_rules import StopVerdict
from ogive.monitor.utilisation import compute_utilisation
from ogive.objective import compute_costs, find_pareto_front, total_violation
from ogive.run import spending
from ogive.run.alerts import Alert
from ogive.run.settings import Settings
from ogive.run.spending import SECONDS_PER_HOUR
from ogive.run.state import MAX_LAST_ENDED, State
from ogive.space import Space
from ogive.trial import Status, Trial, select_comparable

WARN_SHARE, STOP_SHARE, CRITICAL_SHARE = 0.8, 1.0, 1.2
"""The shares of a budget at which a warning is due, at which the search stops, and at which an alert is critical. The share
can exceed 1 because pending trials continue after the search stops."""

MAX_FAILED_SHARE = 0.2
"""An alert is raised if more than this share of the recent trials failed."""
FAILED_WINDOW = MAX_LAST_ENDED
"""The number of recent trials. A sudden series of failures is visible in this window earlier than in the whole run."""

MIN_DIVERSITY_SHARE = 0.25
"""An alert is raised if the diversity is below this share of the mean distance of random architectures."""
DIVERSITY_INTERVAL = 10
"""Diversity is computed only after every tenth proposal, because it changes slowly and takes a millisecond to compute."""

MIN_UTILISATION = 0.5
"""An alert is raised if workers are busy for less than this share of the time."""
UTILISATION_WINDOW_SECONDS = 3600.0
"""Utilisation is measured over the last hour."""
MIN_SESSION_SECONDS = 600.0
"""No alert on utilisation is raised before a session has lasted this long."""

OVERDUE_FACTOR = 2.0
"""A trial is overdue if it takes longer than its expected duration multiplied by this factor."""
MIN_OVERDUE_SECONDS = 1.0
"""A trial that takes less time than this is never overdue."""
MIN_OTHER_TRIALS, MAX_OTHER_TRIALS = 5, 200
"""Before its first report, a trial is compared with the others among the last `MAX_OTHER_TRIALS` trials, if at least
`MIN_OTHER_TRIALS` of these have measured epochs."""
MIN_PATIENCE_HOURS, PATIENCE_SHARE = 1.0, 0.25
"""The default patience, in hours, is `PATIENCE_SHARE` of the time so far, but at least `MIN_PATIENCE_HOURS`."""


def find_trial_alerts(state: State, verdicts: Sequence[StopVerdict] = (), has_new_trials: bool = True) -> list[Alert]:
    """Return the new alerts that depend only on the trials.

    Args:
        state: the state of the run.
        verdicts: the verdicts of the stop rules. Each verdict that says stop gives an alert.
        has_new_trials: whether trials were proposed since the last call. If not, the diversity is not computed.
    """
    diversity = _check_diversity(state) if has_new_trials else ()
    alerts = [*_check_stop_verdicts(verdicts), *_check_failures(state), *diversity, *_check_overtraining(state)]
    return _select_new(state, alerts)


def find_time_alerts(state: State, now: float) -> list[Alert]:
    """Return the new alerts that depend on the time.

    Args:
        state: the state of the run.
        now: the time, by the clock of the journal.
    """
    rules = (_check_budget, _check_patience, _check_overdue_trials, _check_utilisation, _check_plan)
    return _select_new(state, [alert for rule in rules for alert in rule(state, now)])


def find_budget_alerts(state: State, now: float) -> list[Alert]:
    """Return those alerts of `find_time_alerts` that are about the budget.

    This is fast, because the rule does not go through the trials.
    """
    return _select_new(state, _check_budget(state, now))


def _select_new(state: State, alerts: Iterable[Alert]) -> list[Alert]:
    """Return the alerts that were not raised before."""
    return [alert for alert in alerts if alert.cause not in state.alert_causes]


# -- rules that depend on the trials -----------------------------------------------------------------------------------

_SEVERITY = {"failures": "warning", "no_trend": "warning"}
"""The severity of the alerts for these stop rules. The severity for other rules is "info"."""


def _check_stop_verdicts(verdicts: Sequence[StopVerdict]) -> Iterator[Alert]:
    """Yield an alert for each stop rule that says stop, except the rule on the budget, which has separate alerts."""
    for verdict in verdicts:
        if verdict.stop and verdict.rule != "budget":
            severity = _SEVERITY.get(verdict.rule, "info")
            message = f"stop rule {verdict.rule}: {verdict.reason}"
            yield Alert(severity, f"stop:{verdict.rule}", message, dict(verdict.numbers))


def _check_failures(state: State) -> Iterator[Alert]:
    """Yield an alert if more than `MAX_FAILED_SHARE` of the last trials failed."""
    # The second condition saves time: with fewer failures in the whole run, there are not too many among the last trials.
    if "failures" in state.alert_causes or state.failed_count < MAX_FAILED_SHARE * FAILED_WINDOW:
        return
    ended = [state.trials[number] for number in sorted(state.last_ended, reverse=True)]
    failed = [trial for trial in ended if trial.status.failed]
    if len(ended) == FAILED_WINDOW and len(failed) > MAX_FAILED_SHARE * FAILED_WINDOW:
        latest = failed[0]
        failure = f"trial {latest.id}: {latest.status.value.replace('_', ' ')}"
        message = f"{len(failed)} of the last {FAILED_WINDOW} trials failed, most recently {failure}"
        numbers = {"failed": len(failed), "of": FAILED_WINDOW, "share": len(failed) / FAILED_WINDOW}
        yield Alert("warning", "failures", message, numbers | {"limit": MAX_FAILED_SHARE})


def _check_overtraining(state: State) -> Iterator[Alert]:
    """Yield an alert on overtraining.

    The check goes through all trials, so it is made only when the number of inactive trials is `MIN_OVERTRAINED_TRIALS` plus
    0, 1, 2, 4, 8, ...
    """
    inactive = count_inactive(state)
    # A number that has at most one bit set is 0 or a power of two.
    is_due = inactive >= MIN_OVERTRAINED_TRIALS and (inactive - MIN_OVERTRAINED_TRIALS).bit_count() <= 1
    if "overtraining" not in state.alert_causes and is_due:
        yield from find_overtraining_alerts(state)


def find_overtraining_alerts(state: State) -> list[Alert]:
    """Return the alert on overtraining; empty without overtraining, or if the alert was raised before.

    It is called during the search and once more at its end.
    """
    result = detect_overtraining(state)
    if result is None:
        return []
    numbers = {
        "better": result.better,
        "of": result.examined,
        "best_step": result.best_step,
        "last_step": result.last_step,
    }
    return _select_new(state, [Alert("info", "overtraining", str(result), numbers)])


def _check_diversity(state: State) -> Iterator[Alert]:
    """Yield an alert if the last architectures are much more similar to each other than random architectures are."""
    if (
        "diversity" in state.alert_causes
        or len(state.trials) < DIVERSITY_WINDOW
        or len(state.trials) % DIVERSITY_INTERVAL
    ):
        return
    recent = [trial.architecture for trial in islice(reversed(state.trials.values()), DIVERSITY_WINDOW)]
    distance, random_distance = compute_mean_distance(recent), _compute_random_distance(state.space)
    if distance < MIN_DIVERSITY_SHARE * random_distance:
        message = (
            f"the last {DIVERSITY_WINDOW} architectures differ in {distance:.1%} of their decisions on average, "
            f"random architectures in {random_distance:.1%}: the search explores only a small part of the space"
        )
        limit = MIN_DIVERSITY_SHARE * random_distance
        numbers = {"distance": distance, "random": random_distance, "limit": limit}
        yield Alert("info", "diversity", message, numbers)


@functools.lru_cache(maxsize=4)
def _compute_random_distance(space: Space) -> float:
    # The copy of the space has no constraint function, because functions are not in its JSON. With a constraint that few
    # architectures satisfy, sampling would take long.
    return estimate_random_distance(Space.from_json(space.to_json()))


# -- rules that depend on the time -------------------------------------------------------------------------------------


def _check_budget(state: State, now: float) -> Iterator[Alert]:
    """Yield an alert if 80%, 100% or 120% of the hours or of the money are used."""
    if state.settings.get("budget") is None:
        return
    settings, spent = Settings.from_json(state.settings), spending.compute_spending(state, now)
    budgets = []
    if settings.hours is not None:
        text = f"{duration_of_hours(spent.hours)} of {duration_of_hours(settings.hours)}"
        budgets.append(("hours", settings.hours, spent.hours, text))
    if settings.money is not None and spent.money is not None:
        text = amount_of_limit(spent.money, settings.money, spent.currency)
        budgets.append(("money", settings.money, spent.money, text))
    for name, limit, used, text in budgets:
        pending_count = len(state.pending)
        numbers = {"used": used, "budget": limit, "share": used / limit, "in_flight": pending_count}
        message = f"{text} are used, {used / limit:.0%} of the budget"
        if used >= CRITICAL_SHARE * limit:
            hint = f": {plural(pending_count, 'trial')} still pending; press Ctrl-C twice to end the search now"
            message += hint if pending_count else ""
            yield Alert("critical", f"budget:{name}:{limit:g}:120%", message, numbers)
        elif used >= STOP_SHARE * limit:
            yield Alert("warning", f"budget:{name}:{limit:g}:100%", f"{message}: the search stops", numbers)
        elif used >= WARN_SHARE * limit:
            yield Alert("warning", f"budget:{name}:{limit:g}:80%", message, numbers)


def _check_patience(state: State, now: float) -> Iterator[Alert]:
    """Yield an alert if the best trial has not improved for as many hours as the setting `patience`.

    The default is `PATIENCE_SHARE` of the time so far, but at least `MIN_PATIENCE_HOURS`.
    """
    elapsed_hours = (state.elapsed_seconds + _compute_seconds_since_last_event(state, now)) / SECONDS_PER_HOUR
    limit = Settings.from_json(state.settings).patience or max(MIN_PATIENCE_HOURS, PATIENCE_SHARE * elapsed_hours)
    if state.end_reason or elapsed_hours < limit:
        return
    improvement = find_last_improvement(state)
    if improvement is None:
        return
    trial, improved_at = improvement
    hours = _sum_session_seconds(state, improved_at, now) / SECONDS_PER_HOUR
    if hours >= limit:
        message = f"no improvement for {duration_of_hours(hours)}, since trial {trial.id}"
        numbers = {"hours": hours, "limit": limit}
        yield Alert("warning", f"patience:{trial.id}", message, numbers, trial=trial.id)


def find_last_improvement(state: State) -> tuple[Trial, float] | None:
    """Return the trial that last improved the best value or the front, and the time of its last report.

    Of the trials that are neither running nor failed, those that have reached the highest step are compared. (A trial that
    ended by itself has reached every step.) If some of them satisfy the constraints, only these are compared. The result is
    None if there is no trial to compare.
    """
    _, trials = select_comparable([t for t in state.trials.values() if t.status is not Status.RUNNING], at_least=1)
    feasible = [trial for trial in trials if total_violation(trial.metrics, state.constraints) == 0] or trials
    if not feasible:
        return None
    points = np.array([compute_costs(trial.metrics, state.objectives) for trial in feasible])
    if len(state.objectives) == 1:
        column = np.where(np.isfinite(points[:, 0]), points[:, 0], np.inf)
        best = [feasible[i] for i in np.flatnonzero(column == column.min())]
        first_best = min(best, key=lambda trial: trial.reports[-1].time)
        return first_best, first_best.reports[-1].time
    on_front = [feasible[i] for i in np.flatnonzero(find_pareto_front(points))]
    latest = max(on_front, key=lambda trial: trial.reports[-1].time, default=None)
    return None if latest is None else (latest, latest.reports[-1].time)


def _sum_session_seconds(state: State, since: float, now: float) -> float:
    """Return the seconds between the times `since` and `now` in which a controller ran."""
    seconds = sum(max(0.0, session.end - max(session.begin, since)) for session in state.session_intervals)
    return seconds + (_compute_seconds_since_last_event(state, now) if state.is_open else 0.0)


def _compute_seconds_since_last_event(state: State, now: float) -> float:
    """Return the seconds since the last event, which the durations in `state` do not include."""
    return max(0.0, now - state.time)


def _check_overdue_trials(state: State, now: float) -> Iterator[Alert]:
    """Yield an alert for each running trial that is overdue.

    A trial is overdue if it takes more than `OVERDUE_FACTOR` times its expected time, and also more time than it would need
    at the pace of its slowest epoch so far. Before its first report, the mean epochs of the other trials are used instead.
    """
    running = state.running_attempts
    if not running:
        return
    recent = islice(reversed(state.trials.values()), MAX_OTHER_TRIALS)
    others = [trial for trial in recent if trial.status is not Status.RUNNING and trial.step and trial.seconds]
    epoch_seconds_of_others = [trial.seconds / trial.step for trial in others if not trial.cached]
    for attempt in running:
        trial = state.trials[attempt.trial]
        epoch_seconds = [report.seconds for report in trial.reports if report.seconds > 0]
        if not epoch_seconds:
            if len(epoch_seconds_of_others) < MIN_OTHER_TRIALS:
                continue
            epoch_seconds = epoch_seconds_of_others
        epochs = max(1, trial.target_step - _find_step_at_start(trial, attempt.begin))
        elapsed, expected = now - attempt.begin, fmean(epoch_seconds) * epochs
        if elapsed > max(OVERDUE_FACTOR * expected, max(epoch_seconds) * epochs, MIN_OVERDUE_SECONDS):
            message = (
                f"trial {trial.id} has run for {duration(elapsed)}, {elapsed / expected:.1f} times the expected "
                f"{duration(expected)}"
            )
            numbers = {"seconds": elapsed, "expected": expected, "limit": OVERDUE_FACTOR * expected}
            yield Alert("warning", f"slow:{trial.id}", message, numbers, trial=trial.id)


def _find_step_at_start(trial: Trial, begin: float) -> int:
    """Return the step after which an attempt started to train. `begin` is the time at which the attempt began."""
    return max((report.step for report in trial.reports if report.time < begin), default=trial.step_offset)


def _check_utilisation(state: State, now: float) -> Iterator[Alert]:
    """Yield an alert if workers are idle for most of the time, although there are trials to start."""
    elapsed = state.session_intervals[-1].seconds if state.session_intervals else 0.0
    if "utilisation" in state.alert_causes or elapsed < MIN_SESSION_SECONDS or not state.is_open:
        return
    if len(state.trials) >= state.total_trials:
        return
    last_seconds = min(UTILISATION_WINDOW_SECONDS, elapsed)
    utilisation = compute_utilisation(state, bins=1, now=now, last_seconds=last_seconds).mean
    if utilisation < MIN_UTILISATION:
        message = (
            f"workers had a trial for only {utilisation:.0%} of the last {duration(last_seconds)}: they wait for proposals, "
            "or for each other (a synchronous schedule); fewer workers would complete as many trials"
        )
        yield Alert("info", "utilisation", message, {"share": utilisation, "limit": MIN_UTILISATION})


def _check_plan(state: State, now: float) -> Iterator[Alert]:
    """Yield an alert if the time so far is outside the interval of the plan that the run was started with."""
    comparison = plan_comparison.compare_with_plan(state, now)
    if comparison is None or comparison.verdict is None or f"plan:{comparison.verdict}" in state.alert_causes:
        return
    forecast = comparison.forecast
    epoch_text = ""
    if comparison.epoch_seconds:
        epoch_text = (
            f"; an epoch takes {duration(comparison.epoch_seconds)} instead of {duration(forecast.epoch.expected)}"
        )
    message = (
        f"the search is {comparison.verdict} than planned: {comparison.so_far}{epoch_text}; at this pace the whole search "
        f"takes {duration(comparison.total)} rather than {duration(forecast.seconds.expected)}"
    )
    low, high = comparison.bounds
    expected = comparison.forecast_seconds.expected
    numbers = {"seconds": comparison.seconds, "expected": expected, "low": low, "high": high}
    numbers |= {"reports": comparison.reports, "total": comparison.total}
    severity = "warning" if comparison.verdict == "slower" else "info"
    yield Alert(severity, f"plan:{comparison.verdict}", message, numbers)
