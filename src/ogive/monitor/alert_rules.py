"""The alerts that are due: pure functions of the state and, for some, of the time.

`by_trials` depends on the trials alone, so a continued run raises the same alerts. `by_time` also depends on the time. An
alert whose cause is in `state.alerted` was raised before and is not due again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from statistics import fmean

import numpy as np

from ogive.formatting import amount_of_limit, duration, plural
from ogive.monitor import plan_comparison
from ogive.monitor.diversity import WINDOW, mean_distance, random_distance
from ogive.monitor.overtraining import FEWEST_TRIALS, overtraining
from ogive.monitor.rewards import count_inactive
from ogive.monitor.stop_rules import StopVerdict
from ogive.monitor.utilisation import utilisation
from ogive.objective import cost_vector, pareto_front, total_violation
from ogive.run import spending
from ogive.run.alerts import Alert
from ogive.run.settings import Settings
from ogive.run.state import LAST_ENDED, State
from ogive.space import Space
from ogive.trial import Status, Trial, select_comparable

HOUR = 3600.0
WARN_SHARE, STOP_SHARE, CRITICAL_SHARE = 0.8, 1.0, 1.2
"""The shares of a budget at which a warning is due, the search stops, and the pending trials have overspent badly."""

FAILED_SHARE = 0.2
FAILED_WINDOW = LAST_ENDED
"""The number of recent trials whose failures are counted. A sudden series of failures shows up here first."""

LOW_DIVERSITY = 0.25
"""Diversity is low below this share of the mean distance of random architectures."""
EVERY = 10
"""Diversity is computed each time this many trials were proposed: it changes slowly, and takes a millisecond."""

LOW_USE = 0.5
USE_SECONDS = 3600.0
USE_LEAST_SECONDS = 600.0
"""Utilisation is that of the last hour. No alert is raised in the first ten minutes of a session."""

OVERDUE = 2.0
OVERDUE_TRIALS = 5
"""A trial is overdue at twice its expected duration, which is estimated from its own epochs, or from this many trials."""
LEAST_PATIENCE_HOURS, PATIENCE_SHARE = 1.0, 0.25


def trial_alerts(state: State, verdicts: Sequence[StopVerdict] = (), proposed: bool = True) -> list[Alert]:
    """Return the alerts that depend on the trials alone.

    Args:
        state: of the run.
        verdicts: of the stop rules; each one that says stop is an alert.
        proposed: whether trials were proposed since the last call; otherwise their diversity has not changed.
    """
    diversity = _low_diversity(state) if proposed else ()
    return _not_raised(state, [*_stop_verdicts(verdicts), *_many_failures(state), *diversity, *_overtraining(state)])


def time_alerts(state: State, now: float) -> list[Alert]:
    """Return the alerts that depend on the time `now`, by the clock of the journal."""
    rules = (_budget_used, _no_improvement, _overdue_trials, _low_utilisation, _off_plan)
    return _not_raised(state, [alert for rule in rules for alert in rule(state, now)])


def budget_alerts(state: State, now: float) -> list[Alert]:
    """Return the alerts of `by_time` about the budget, which are fast because they do not go through the trials."""
    return _not_raised(state, _budget_used(state, now))


def _not_raised(state: State, alerts: Iterable[Alert]) -> list[Alert]:
    return [alert for alert in alerts if alert.cause not in state.alert_causes]


# -- by trials -------------------------------------------------------------------------------------------------------

_SEVERITY = {"failures": "warning", "no_trend": "warning"}


def _stop_verdicts(verdicts: Sequence[StopVerdict]) -> Iterator[Alert]:
    """Each stop rule that says stop, except the budget, which has its own alerts."""
    for verdict in verdicts:
        if verdict.stop and verdict.rule != "budget":
            severity = _SEVERITY.get(verdict.rule, "info")
            message = f"stop rule {verdict.rule}: {verdict.reason}"
            yield Alert(severity, f"stop:{verdict.rule}", message, dict(verdict.numbers))


def _many_failures(state: State) -> Iterator[Alert]:
    """More than 20 % of the last trials failed."""
    if "failures" in state.alert_causes or state.failed_count < FAILED_SHARE * FAILED_WINDOW:
        return
    ended = [state.trials[number] for number in sorted(state.last_ended, reverse=True)]
    failed = [trial for trial in ended if trial.status.failed]
    if len(ended) == FAILED_WINDOW and len(failed) > FAILED_SHARE * FAILED_WINDOW:
        latest = failed[0]
        how = f"trial {latest.id}: {latest.status.value.replace('_', ' ')}"
        message = f"{len(failed)} of the last {FAILED_WINDOW} trials failed, most recently {how}"
        numbers = {"failed": len(failed), "of": FAILED_WINDOW, "share": len(failed) / FAILED_WINDOW}
        yield Alert("warning", "failures", message, numbers | {"limit": FAILED_SHARE})


def _overtraining(state: State) -> Iterator[Alert]:
    """Overtraining, checked early at numbers of inactive trials that double; `at_the_end` checks it again."""
    inactive = count_inactive(state)
    is_due = inactive >= FEWEST_TRIALS and (inactive - FEWEST_TRIALS).bit_count() <= 1
    if "overtraining" not in state.alert_causes and is_due:
        yield from final_alerts(state)


def final_alerts(state: State) -> list[Alert]:
    """Return the alerts about all trials of a search that ends."""
    result = overtraining(state)
    if result is None:
        return []
    numbers = {"better": result.better, "of": result.of, "best_step": result.best_step, "last_step": result.last_step}
    return _not_raised(state, [Alert("info", "overtraining", str(result), numbers)])


def _low_diversity(state: State) -> Iterator[Alert]:
    """The last architectures are much more similar to each other than random ones."""
    if "diversity" in state.alert_causes or len(state.trials) < WINDOW or len(state.trials) % EVERY:
        return
    recent = [trial.architecture for trial in islice(reversed(state.trials.values()), WINDOW)]
    distance, random = mean_distance(recent), _random_distance(state.space)
    if distance < LOW_DIVERSITY * random:
        message = (
            f"the last {WINDOW} architectures differ in {distance:.1%} of their decisions on average, random ones in "
            f"{random:.1%}: the search explores only a small part of the space"
        )
        numbers = {"distance": distance, "random": random, "limit": LOW_DIVERSITY * random}
        yield Alert("info", "diversity", message, numbers)


@functools.lru_cache(maxsize=4)
def _random_distance(space: Space) -> float:
    return random_distance(Space.from_json(space.to_json()))  # without its constraint, which may rarely be satisfied


# -- by time ---------------------------------------------------------------------------------------------------------


def _budget_used(state: State, now: float) -> Iterator[Alert]:
    """80 %, 100 % or 120 % of the hours or of the money are used."""
    if state.settings.get("budget") is None:
        return
    settings, spent = Settings.from_json(state.settings), spending.compute_spending(state, now)
    budgets = []
    if settings.hours is not None:
        text = f"{duration(spent.hours * HOUR)} of {duration(settings.hours * HOUR)}"
        budgets.append(("hours", settings.hours, spent.hours, text))
    if settings.money is not None and spent.money is not None:
        text = amount_of_limit(spent.money, settings.money, spent.currency)
        budgets.append(("money", settings.money, spent.money, text))
    for name, limit, used, text in budgets:
        pending = len(state.pending)
        numbers = {"used": used, "budget": limit, "share": used / limit, "in_flight": pending}
        message = f"{text} are used, {used / limit:.0%} of the budget"
        if used >= CRITICAL_SHARE * limit:
            hint = f": {plural(pending, 'trial')} still pending; press Ctrl-C twice to end the search now"
            message += hint if pending else ""
            yield Alert("critical", f"budget:{name}:{limit:g}:120%", message, numbers)
        elif used >= STOP_SHARE * limit:
            yield Alert("warning", f"budget:{name}:{limit:g}:100%", f"{message}: the search stops", numbers)
        elif used >= WARN_SHARE * limit:
            yield Alert("warning", f"budget:{name}:{limit:g}:80%", message, numbers)


def _no_improvement(state: State, now: float) -> Iterator[Alert]:
    """The best trial has not improved for `patience` hours (default: a quarter of the time so far, at least an hour)."""
    elapsed = state.elapsed_seconds + max(0.0, now - state.time)
    limit = Settings.from_json(state.settings).patience or max(LEAST_PATIENCE_HOURS, PATIENCE_SHARE * elapsed / HOUR)
    if state.end_reason or elapsed / HOUR < limit:
        return
    improvement = last_improvement(state)
    if improvement is None:
        return
    trial, when = improvement
    hours = _session_seconds_since(state, when, now) / HOUR
    if hours >= limit:
        message = f"no improvement for {duration(hours * HOUR)}, since trial {trial.id}"
        numbers = {"hours": hours, "limit": limit}
        yield Alert("warning", f"patience:{trial.id}", message, numbers, trial=trial.id)


def last_improvement(state: State) -> tuple[Trial, float] | None:
    """Return the trial that last improved the best value (or the front), and the time of its last report.

    Only trials that were trained furthest are compared.
    """
    _, trials = select_comparable([t for t in state.trials.values() if t.status is not Status.RUNNING], at_least=1)
    feasible = [trial for trial in trials if total_violation(trial.metrics, state.constraints) == 0] or trials
    if not feasible:
        return None
    points = np.array([cost_vector(trial.metrics, state.objectives) for trial in feasible])
    if len(state.objectives) == 1:
        column = np.where(np.isfinite(points[:, 0]), points[:, 0], np.inf)
        best = [feasible[i] for i in np.flatnonzero(column == column.min())]
        first = min(best, key=lambda trial: trial.reports[-1].time)
        return first, first.reports[-1].time
    on_front = [feasible[i] for i in np.flatnonzero(pareto_front(points))]
    latest = max(on_front, key=lambda trial: trial.reports[-1].time, default=None)
    return None if latest is None else (latest, latest.reports[-1].time)


def _session_seconds_since(state: State, when: float, now: float) -> float:
    """Return the seconds since `when` in which a controller ran."""
    seconds = sum(max(0.0, session.end - max(session.begin, when)) for session in state.session_intervals)
    return seconds + (max(0.0, now - state.time) if state.is_open else 0.0)


def _overdue_trials(state: State, now: float) -> Iterator[Alert]:
    """A running trial takes more than twice its expected time, and longer than any trial before it."""
    running = state.running_attempts
    if not running:
        return
    recent = islice(reversed(state.trials.values()), 200)
    others = [trial for trial in recent if trial.status is not Status.RUNNING and trial.step and trial.seconds]
    others_epochs = [trial.seconds / trial.step for trial in others if not trial.cached]
    for attempt in running:
        trial = state.trials[attempt.trial]
        epochs = [report.seconds for report in trial.reports if report.seconds > 0]
        if not epochs and len(others_epochs) < OVERDUE_TRIALS:
            continue
        mean, longest = (fmean(epochs), max(epochs)) if epochs else (fmean(others_epochs), max(others_epochs))
        remaining = max(1, trial.target_step - _step_at_start(trial, attempt.begin))
        elapsed, expected = now - attempt.begin, mean * remaining
        if elapsed > max(OVERDUE * expected, longest * remaining, 1.0):
            message = (
                f"trial {trial.id} has run for {duration(elapsed)}, {elapsed / expected:.1f} times the expected "
                f"{duration(expected)}"
            )
            numbers = {"seconds": elapsed, "expected": expected, "limit": OVERDUE * expected}
            yield Alert("warning", f"slow:{trial.id}", message, numbers, trial=trial.id)


def _step_at_start(trial: Trial, begin: float) -> int:
    """Return the step at which the attempt that began at the time `begin` started."""
    return max((report.step for report in trial.reports if report.time < begin), default=trial.began)


def _low_utilisation(state: State, now: float) -> Iterator[Alert]:
    """Workers are idle for most of the time, although there are trials to start."""
    elapsed = state.session_intervals[-1].seconds if state.session_intervals else 0.0
    if "utilisation" in state.alert_causes or elapsed < USE_LEAST_SECONDS or not state.is_open:
        return
    if len(state.trials) >= state.total_trials:
        return
    last_seconds = min(USE_SECONDS, elapsed)
    busy = utilisation(state, bins=1, now=now, last=last_seconds)
    if busy.mean < LOW_USE:
        message = (
            f"workers had a trial for only {busy.mean:.0%} of the last {duration(last_seconds)}: they wait for proposals, "
            "or for each other (a synchronous schedule); fewer workers would do as much"
        )
        yield Alert("info", "utilisation", message, {"share": busy.mean, "limit": LOW_USE})


def _off_plan(state: State, now: float) -> Iterator[Alert]:
    """Reports arrive later or sooner than the interval of the plan that the run was started with."""
    comparison = plan_comparison.compare_with_plan(state, now)
    if comparison is None or comparison.verdict is None or f"plan:{comparison.verdict}" in state.alert_causes:
        return
    forecast = comparison.forecast
    pace = ""
    if comparison.epoch:
        pace = f"; an epoch takes {duration(comparison.epoch)} instead of {duration(forecast.epoch.expected)}"
    message = (
        f"the search is {comparison.verdict} than planned: {comparison.so_far}{pace}; at this pace the whole search takes "
        f"{duration(comparison.total)} rather than {duration(forecast.seconds.expected)}"
    )
    low, high = comparison.bounds
    numbers = {"seconds": comparison.seconds, "expected": comparison.expected.expected, "low": low, "high": high}
    numbers |= {"reports": comparison.reports, "total": comparison.total}
    severity = "warning" if comparison.verdict == "slower" else "info"
    yield Alert(severity, f"plan:{comparison.verdict}", message, numbers)
