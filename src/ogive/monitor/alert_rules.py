"""Which alerts are due: pure functions of the state, and some of the time.

`by_trials` depends on the trials alone, so a continued run raises the same ones; `by_time` on what time has passed, too. An
alert whose cause is in `state.alerted` was raised already and is not due again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from statistics import fmean

import numpy as np

from ogive.formatting import duration, number, plural
from ogive.monitor import plan_comparison
from ogive.monitor.diversity import WINDOW, mean_distance, random_distance
from ogive.monitor.overtraining import FEWEST_TRIALS, overtraining
from ogive.monitor.stop_rules import StopVerdict
from ogive.monitor.utilisation import utilisation
from ogive.objective import costs, pareto_front, violation
from ogive.run import spending
from ogive.run.alerts import Alert
from ogive.run.settings import Settings
from ogive.run.state import LAST_ENDED, State
from ogive.space import Space
from ogive.trial import Status, Trial, comparable

HOUR = 3600.0
WARN_SHARE, STOP_SHARE, CRITICAL_SHARE = 0.8, 1.0, 1.2
"""Of a budget: when to warn, when the search stops, and when the trials in flight have overspent badly."""

FAILED_SHARE = 0.2
FAILED_WINDOW = LAST_ENDED
"""So many of the last trials are looked at: a sudden failure of everything shows long before its share of all does."""

LOW_DIVERSITY = 0.25
"""Of the mean distance of random architectures of the space."""
EVERY = 10
"""Diversity is looked at when so many more trials were proposed: it changes slowly, and looking takes a millisecond."""

LOW_USE = 0.5
USE_SECONDS = 3600.0
USE_LEAST_SECONDS = 600.0
"""Utilisation is that of the last hour, and not judged before the run is ten minutes old."""

OVERDUE = 2.0
OVERDUE_TRIALS = 5
"""A trial is overdue at twice the expected duration, which is known from this many trials or from its own epochs."""
LEAST_PATIENCE_HOURS, PATIENCE_SHARE = 1.0, 0.25


def by_trials(state: State, verdicts: Sequence[StopVerdict] = (), proposed: bool = True) -> list[Alert]:
    """The alerts that the trials alone decide, those of stop rules included. `proposed`: some were, since this was asked
    last; else their diversity is what it was.
    """
    diversity = _diversity(state) if proposed else ()
    return _new(state, [*_verdicts(verdicts), *_failures(state), *diversity, *_overtraining(state)])


def by_time(state: State, now: float) -> list[Alert]:
    """The alerts that depend on the time `now`, by the clock of the journal."""
    rules = (_budget, _patience, _overdue, _use, _plan)
    return _new(state, [alert for rule in rules for alert in rule(state, now)])


def of_budget(state: State, now: float) -> list[Alert]:
    """Those of `by_time` that cost no look at every trial."""
    return _new(state, _budget(state, now))


def _new(state: State, alerts: Iterable[Alert]) -> list[Alert]:
    return [alert for alert in alerts if alert.cause not in state.alerted]


# -- of the trials ---------------------------------------------------------------------------------------------------

_SEVERITY = {"failures": "warning", "no_trend": "warning"}


def _verdicts(verdicts: Sequence[StopVerdict]) -> Iterator[Alert]:
    """Each stop rule that says stop; the budget has alerts of its own."""
    for verdict in verdicts:
        if verdict.stop and verdict.rule != "budget":
            severity = _SEVERITY.get(verdict.rule, "info")
            message = f"stop rule {verdict.rule}: {verdict.reason}"
            yield Alert(severity, f"stop:{verdict.rule}", message, dict(verdict.numbers))


def _failures(state: State) -> Iterator[Alert]:
    if "failures" in state.alerted or state.failed < FAILED_SHARE * FAILED_WINDOW:
        return
    ended = [state.trials[number] for number in sorted(state.last_ended, reverse=True)]
    failed = [trial for trial in ended if trial.status.failed]
    if len(ended) == FAILED_WINDOW and len(failed) > FAILED_SHARE * FAILED_WINDOW:
        last = failed[0]
        how = f"trial {last.id}: {last.status.value.replace('_', ' ')}"
        message = f"{len(failed)} of the last {FAILED_WINDOW} trials failed, the last of them {how}"
        numbers = {"failed": len(failed), "of": FAILED_WINDOW, "share": len(failed) / FAILED_WINDOW}
        yield Alert("warning", "failures", message, numbers | {"limit": FAILED_SHARE})


def _overtraining(state: State) -> Iterator[Alert]:
    """Looked for at the end too (`at_the_end`): these looks, at trials at rest whose number doubles, tell it early."""
    rest = state.done + state.count[Status.PAUSED]
    if "overtraining" not in state.alerted and rest >= FEWEST_TRIALS and (rest - FEWEST_TRIALS).bit_count() <= 1:
        yield from at_the_end(state)


def at_the_end(state: State) -> list[Alert]:
    """Alerts about all trials of a search that ends."""
    found = overtraining(state)
    if found is None:
        return []
    numbers = {"better": found.better, "of": found.of, "best_step": found.best_step, "last_step": found.last_step}
    return _new(state, [Alert("info", "overtraining", str(found), numbers)])


def _diversity(state: State) -> Iterator[Alert]:
    if "diversity" in state.alerted or len(state.trials) < WINDOW or len(state.trials) % EVERY:
        return
    recent = [trial.architecture for trial in islice(reversed(state.trials.values()), WINDOW)]
    distance, usual = mean_distance(recent), _usual(state.space)
    if distance < LOW_DIVERSITY * usual:
        message = (
            f"the last {WINDOW} architectures differ in {distance:.1%} of their decisions on average, random ones in "
            f"{usual:.1%}: the search looks at one place only"
        )
        yield Alert(
            "info", "diversity", message, {"distance": distance, "random": usual, "limit": LOW_DIVERSITY * usual}
        )


@functools.lru_cache(maxsize=4)
def _usual(space: Space) -> float:
    return random_distance(Space.from_json(space.to_json()))  # without a constraint, which may be slow to satisfy


# -- of the time -----------------------------------------------------------------------------------------------------


def _budget(state: State, now: float) -> Iterator[Alert]:
    if state.settings.get("budget") is None:
        return
    settings, spent = Settings.from_json(state.settings), spending.spend(state, now)
    unit = f" {spent.currency}" if spent.currency else " of money"
    for name, limit, used, word in (
        ("hours", settings.hours, spent.hours, " hours"),
        ("money", settings.money, spent.money, unit),
    ):
        if limit is None or used is None:
            continue
        numbers = {"used": used, "budget": limit, "share": used / limit, "in_flight": len(state.in_flight)}
        what = f"{number(used)} of {number(limit)}{word} are used, {used / limit:.0%} of the budget"
        if used >= CRITICAL_SHARE * limit:
            flying = len(state.in_flight)
            how = f": {plural(flying, 'trial')} still in flight; Ctrl-C twice ends them at once" if flying else ""
            yield Alert("critical", f"budget:{name}:{limit:g}:120%", f"{what}{how}", numbers)
        elif used >= STOP_SHARE * limit:
            yield Alert("warning", f"budget:{name}:{limit:g}:100%", f"{what}: the search stops", numbers)
        elif used >= WARN_SHARE * limit:
            yield Alert("warning", f"budget:{name}:{limit:g}:80%", what, numbers)


def _patience(state: State, now: float) -> Iterator[Alert]:
    elapsed = state.elapsed + max(0.0, now - state.time)
    limit = Settings.from_json(state.settings).patience or max(LEAST_PATIENCE_HOURS, PATIENCE_SHARE * elapsed / HOUR)
    if state.ended or elapsed / HOUR < limit:
        return
    found = last_improvement(state)
    if found is None:
        return
    trial, when = found
    since = _held_since(state, when, now) / HOUR
    if since >= limit:
        message = f"no improvement for {since:.3g} hours, since trial {trial.id}"
        numbers = {"hours": since, "limit": limit}
        yield Alert("warning", f"patience:{trial.id}", message, numbers, trial=trial.id)


def last_improvement(state: State) -> tuple[Trial, float] | None:
    """The trial that last improved what is best (or the front), and when; among those that came furthest."""
    _, trials = comparable([t for t in state.trials.values() if t.status is not Status.RUNNING], at_least=1)
    feasible = [trial for trial in trials if violation(trial.metrics, state.constraints) == 0] or trials
    if not feasible:
        return None
    points = np.array([costs(trial.metrics, state.objectives) for trial in feasible])
    if len(state.objectives) == 1:
        column = np.where(np.isfinite(points[:, 0]), points[:, 0], np.inf)
        best = [feasible[i] for i in np.flatnonzero(column == column.min())]
        first = min(best, key=lambda trial: trial.reports[-1].time)
        return first, first.reports[-1].time
    on_front = [feasible[i] for i in np.flatnonzero(pareto_front(points))]
    last = max(on_front, key=lambda trial: trial.reports[-1].time, default=None)
    return None if last is None else (last, last.reports[-1].time)


def _held_since(state: State, when: float, now: float) -> float:
    """Seconds since `when` in which a controller ran."""
    before = sum(max(0.0, stretch.end - max(stretch.begin, when)) for stretch in state.stretches)
    return before + (max(0.0, now - state.time) if state.open else 0.0)


def _overdue(state: State, now: float) -> Iterator[Alert]:
    """Running trials: an epoch that takes more than twice what epochs take, and longer than any took before."""
    running = state.running
    if not running:
        return
    last = islice(reversed(state.trials.values()), 200)
    others = [trial for trial in last if trial.status is not Status.RUNNING and trial.step and trial.seconds]
    usual = [trial.seconds / trial.step for trial in others if not trial.cached]
    for span in running:
        trial = state.trials[span.trial]
        own = [report.seconds for report in trial.reports if report.seconds > 0]
        if not own and len(usual) < OVERDUE_TRIALS:
            continue
        epoch, longest = (fmean(own), max(own)) if own else (fmean(usual), max(usual))
        left = max(1, trial.until - _step_at_start(trial, span.begin))
        taken, expected = now - span.begin, epoch * left
        if taken > max(OVERDUE * expected, longest * left, 1.0):
            message = f"trial {trial.id} has run for {duration(taken)}, {taken / expected:.1f} times what was expected"
            numbers = {"seconds": taken, "expected": expected, "limit": OVERDUE * expected}
            yield Alert("warning", f"slow:{trial.id}", message, numbers, trial=trial.id)


def _step_at_start(trial: Trial, begin: float) -> int:
    """The step from which the attempt that began at `begin` went on."""
    return max((report.step for report in trial.reports if report.time < begin), default=trial.began)


def _use(state: State, now: float) -> Iterator[Alert]:
    """Workers that mostly wait, while there are trials to start."""
    elapsed = state.stretches[-1].seconds if state.stretches else 0.0
    if "utilisation" in state.alerted or elapsed < USE_LEAST_SECONDS or not state.open:
        return
    if len(state.trials) >= state.total:
        return
    found = utilisation(state, bins=1, now=now, last=min(USE_SECONDS, elapsed))
    if found.mean < LOW_USE:
        message = (
            f"workers had a trial for {found.mean:.0%} of the last {found.held_hours:.3g} worker-hours only: they wait for "
            "proposals, or for others (a synchronous schedule); fewer workers would do as much"
        )
        yield Alert("info", "utilisation", message, {"share": found.mean, "limit": LOW_USE})


def _plan(state: State, now: float) -> Iterator[Alert]:
    """The plan that the run was begun with does not hold: reports come later, or sooner, than its interval says."""
    found = plan_comparison.compare_with_plan(state, now)
    if found is None or not found.verdict or f"plan:{found.verdict}" in state.alerted:
        return
    foretold = found.forecast
    usual = duration(foretold.epoch.expected)
    pace = f"; an epoch takes {duration(found.epoch)} instead of {usual}" if found.epoch else ""
    message = (
        f"the plan does not hold, the search is {found.verdict}: {found.so_far}{pace}; at this pace the whole search takes "
        f"{duration(found.total)} rather than {duration(foretold.seconds.expected)}"
    )
    low, high = found.bounds
    numbers = {"seconds": found.seconds, "expected": found.expected.expected, "low": low, "high": high}
    severity = "warning" if found.verdict == "slower" else "info"
    yield Alert(severity, f"plan:{found.verdict}", message, numbers | {"reports": found.reports, "total": found.total})
