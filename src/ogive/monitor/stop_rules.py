"""When to stop: five rules over the state of a run, each with its reason and numbers.

- `criteria`: one trial reaches all success criteria, within the constraints.
- `budget`: hours, money or trials are used up.
- `failures`: more than 20 % of trials are invalid, by the lower 99.9 % limit of their rate (Clopper and Pearson 1934).
- `converged`: the growth of the best and the spread of the rewards have fallen (`ogive.monitor.trend`).
- `no_trend`: after 500 trials, rewards do not rise with the number of trials. Of a strategy that does not learn from trials,
  such as random search, none can be expected, and the rule says so instead.

What a wrong stop is, as measured by `benchmarks/stopping.py`: a stop by `converged` is *false* if the search, continued
to its last trial, would have raised its best by more than a tenth (`trend.GAIN`) of what the best had gained until the
stop, counted from the median of the first fifth. A stop by `no_trend` is false if the level of the rewards (their
expectation, known in a simulation) would still have risen by more than half a standard deviation of theirs. The *delay* of
a right stop is the number of trials from the change point, where all but 5 % of the level's rise is done, to the stop, as a
share of the trials planned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ogive.formatting import duration, number, of_limit, plural
from ogive.monitor.rewards import Rewards, at_rest, rewards
from ogive.monitor.trend import (
    ENOUGH_FOR_TREND,
    FIRST_LOOK,
    GAIN,
    GROWTH_LEVEL,
    SMALL_TAU,
    Convergence,
    convergence,
    last_look,
    trend,
)
from ogive.objective import Constraint, violation
from ogive.run.settings import Settings
from ogive.run.spending import HOUR, spend
from ogive.run.state import State
from ogive.trial import EMPTY, Status, Trial

RULES = ("criteria", "budget", "failures", "converged", "no_trend")
INVALID_SHARE = 0.2
INVALID_LEVEL = 0.001
"""Of one test; the tests are those of `last_look`, from `FIRST_FAILURES` trials on."""
FIRST_FAILURES = 5
FEWEST_REWARDS = 40
NOT_LEARNING = ("random", "listed")
"""Strategies whose proposals do not depend on what was found."""


@dataclass(frozen=True)
class StopVerdict:
    """What one rule says.

    Attributes:
        rule: one of `RULES`.
        stop: whether it would stop the search now.
        reason: in words, also where it would not.
        numbers: what was compared; finite. `at` is the number of trials at which it was tested.
    """

    rule: str
    stop: bool
    reason: str
    numbers: Mapping[str, float] = field(default_factory=lambda: EMPTY)


def verdicts(
    state: State,
    criteria: Sequence[Constraint] | None = None,
    *,
    former: Sequence[StopVerdict] = (),
    ended: Trial | None = None,
    now: float | None = None,
) -> list[StopVerdict]:
    """What every rule says, in the order of `RULES`.

    A pure function of the state. Whoever calls it after every trial passes `former` and `ended`: then statistical rules are
    tested only when the number of trials has come to the next of `ogive.monitor.trend.last_look`, and only the trial that
    came to rest is held against the criteria. Over a run of 10,000 trials this costs seconds.

    Args:
        state: of the run, at any time.
        criteria: all reached by one trial means success; by default those of the run's settings.
        former: the last answer.
        ended: the trial that came to rest since then.
        now: the clock's time, to count an open session up to it; by default up to the last event.
    """
    settings = Settings.from_json(state.settings)
    known = {verdict.rule: verdict for verdict in former}
    wanted = settings.criteria if criteria is None else tuple(criteria)
    return [
        _criteria(state, wanted, known.get("criteria"), ended),
        _budget(state, settings, now),
        _failures(state, known.get("failures")),
        *_statistical(state, known),
    ]


def _criteria(
    state: State, criteria: Sequence[Constraint], former: StopVerdict | None, ended: Trial | None
) -> StopVerdict:
    if not criteria:
        return StopVerdict("criteria", False, "no success criteria are set")
    if former is not None and former.stop:
        return former
    for trial in state.trials.values() if former is None or ended is None else [ended]:
        if reaches(trial, [*criteria, *state.constraints]):
            reached = ", ".join(f"{c.metric} {number(trial.metrics[c.metric])} ({c})" for c in criteria)
            why = f"trial {trial.id} reaches all success criteria: {reached}"
            return StopVerdict("criteria", True, why, {"trial": trial.id})
    return _not_reached(state, criteria)


def _not_reached(state: State, criteria: Sequence[Constraint]) -> StopVerdict:
    trials = at_rest(state)
    within = " within the constraints" if state.constraints else ""
    reason = f"none of {plural(trials, 'trial')} reaches {' and '.join(map(str, criteria))}{within}"
    return StopVerdict("criteria", False, f"not yet: {reason}{_never_reported(state, criteria)}", {"trials": trials})


def _never_reported(state: State, criteria: Sequence[Constraint]) -> str:
    """The metrics of criteria that no trial reports, as far as the last ones tell; "" where there are none."""
    last = [state.trials[number] for number in state.last_ended if state.trials[number].reports]
    known = dict.fromkeys(name for trial in last for name in trial.metrics)
    missing = dict.fromkeys(repr(c.metric) for c in criteria if c.metric not in known)
    if not last or not missing:
        return ""
    return f"; no trial reports {', '.join(missing)} (reported are: {', '.join(known)})"


def reaches(trial: Trial, criteria: Sequence[Constraint]) -> bool:
    """Whether a trial that came to rest satisfies all of `criteria`; constraints of the search are to be among them, for
    what violates one is no success.
    """
    rests = trial.status.ended or trial.status is Status.PAUSED
    return rests and not trial.status.failed and violation(trial.metrics, criteria) == 0


def _budget(state: State, settings: Settings, now: float | None) -> StopVerdict:
    spent, trials = spend(state, now), at_rest(state)
    used = {"trials": (float(trials), float(state.total), f"{trials:,} of {state.total:,} trials")}
    if settings.hours is not None:
        text = f"{duration(HOUR * spent.hours)} of {duration(HOUR * settings.hours)}"
        used["hours"] = (spent.hours, settings.hours, text)
    if settings.money is not None and spent.money is not None:
        text = of_limit(spent.money, settings.money, spent.currency)
        used["money"] = (spent.money, settings.money, text)
    over = [text for have, limit, text in used.values() if have >= limit]
    numbers = {name: have for name, (have, _, _) in used.items()}
    numbers |= {f"{name}_limit": limit for name, (_, limit, _) in used.items()}
    told = over or [text for _, _, text in used.values()]
    if settings.money is not None and spent.money is None and not over:
        told.append("money is limited, but no session had a price")
    return StopVerdict("budget", bool(over), f"{'used up' if over else 'not yet'}: {', '.join(told)}", numbers)


def _failures(state: State, former: StopVerdict | None) -> StopVerdict:
    look = last_look(at_rest(state), FIRST_FAILURES)
    if former is not None and former.numbers.get("at", 0) == look:
        return former
    if not look:
        return StopVerdict("failures", False, f"not yet: judged from {FIRST_FAILURES} trials on", {"at": 0})
    trials, failed = at_rest(state), state.failed
    low = failing(failed, trials)
    numbers = {"at": look, "trials": trials, "failed": failed, "share": failed / trials, "at_least": low}
    what = f"{failed:,} of {trials:,} trials are invalid"
    what += f" ({failed / trials:.0%}, surely at least {low:.0%})" if failed else ""
    if low > INVALID_SHARE:
        return StopVerdict("failures", True, f"{what}; more than {INVALID_SHARE:.0%} is too many", numbers)
    return StopVerdict("failures", False, f"not yet: {what}; the limit is {INVALID_SHARE:.0%}", numbers)


def failing(failed: int, trials: int) -> float:
    """The lower limit of the rate of failure, at the level `INVALID_LEVEL` (Clopper and Pearson 1934, one-sided)."""
    if not failed:
        return 0.0
    from scipy.special import betaincinv  # takes as long to import as reading a run of thousands of trials

    return float(betaincinv(failed, trials - failed + 1, INVALID_LEVEL))


def _statistical(state: State, known: Mapping[str, StopVerdict]) -> list[StopVerdict]:
    """`converged` and `no_trend`, as of the last look."""
    look = last_look(at_rest(state))
    former = [known[rule] for rule in ("converged", "no_trend") if rule in known]
    if len(former) == 2 and all(verdict.numbers.get("at", 0) == look for verdict in former):
        return former
    if not look:
        first = f"not yet: judged from {FIRST_LOOK} trials on"
        return [StopVerdict(rule, False, first, {"at": 0}) for rule in ("converged", "no_trend")]
    series = rewards(state, look)
    return [converged(series, look), no_trend(series, look, str(state.created["strategy"]["name"]))]


def converged(series: Rewards, at: int) -> StopVerdict:
    """Whether the growth of the best and the spread of the rewards have fallen, tested at `at` trials."""
    n = len(series.values)
    if n < FEWEST_REWARDS:
        return _too_few("converged", n, at)
    found = convergence(series.values, series.best, series.start)
    numbers = {
        "at": at,
        "trials": n,
        "window": found.window,
        "rise": found.rise,
        "growth_p": found.growth_p,
        "gain": found.gain,
        "spread_first": found.spread_first,
        "spread": found.spread,
        "spread_p": found.spread_p,
    }
    finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
    return StopVerdict("converged", found.converged, _settled_in_words(found, n), finite)


def _settled_in_words(found: Convergence, n: int) -> str:
    """Each of the conditions, those that are not met first where some are not."""
    where = f"over the last {found.window:,} of {n:,} trials"
    spread = f"from {found.spread_first:.3g} to {found.spread:.3g}, p = {found.spread_p:.2g}"
    if found.converged:
        return (
            f"{where} rewards rose at less than a third of their former pace (p = {found.growth_p:.2g}), the best would "
            f"gain {found.gain:.1%} more in as many trials again, and the spread of the rewards fell {spread}"
        )
    missing = []
    if math.isnan(found.gain):
        missing.append("the best has not risen above the level of the first trials")
    elif found.gain > GAIN:
        missing.append(f"the best still grows: {found.gain:.0%} of its gain in as many trials again")
    if found.growth_p >= GROWTH_LEVEL:
        missing.append(f"rewards may still rise at a third of their former pace (p = {found.growth_p:.2g})")
    if not found.spread_fell:
        missing.append(f"the spread of the rewards has not surely fallen ({spread})")
    return f"not yet: {where} {'; '.join(missing)}"


def no_trend(series: Rewards, at: int, strategy: str) -> StopVerdict:
    """Whether rewards do not rise with the number of trials, tested at `at` trials."""
    n = len(series.values)
    numbers = {"at": float(at), "trials": float(n)}
    if n < FEWEST_REWARDS:
        return _too_few("no_trend", n, at)
    if strategy in NOT_LEARNING:
        half = series.best(n) - series.best(n // 2)
        why = f"strategy {strategy} does not learn from trials, so no trend is expected; the best rose by {half:.3g}"
        return StopVerdict(
            "no_trend", False, f"does not apply: {why} in the last half", numbers | {"rise_of_best": half}
        )
    if n < ENOUGH_FOR_TREND:
        return StopVerdict(
            "no_trend",
            False,
            f"not yet: judged from {ENOUGH_FOR_TREND} valid feasible trials on, there are {n}",
            numbers,
        )
    found = trend(series.values)
    numbers |= {"tau": found.tau, "tau_at_most": found.upper, "better_p": found.better_p}
    size = f"Kendall's tau of reward and trial is {found.tau:.3f}, at most {found.upper:.3f}, over {n:,} trials"
    if found.absent:
        why = f"{size}, and the last fifth is not better than the first trials (p = {found.better_p:.2g})"
        return StopVerdict("no_trend", True, f"the search does not learn: {why}", numbers)
    how = (
        f"below {SMALL_TAU}, but the last fifth is better than the first trials"
        if found.upper < SMALL_TAU
        else "a trend"
    )
    return StopVerdict("no_trend", False, f"not so: {size}; {how}", numbers)


def _too_few(rule: str, n: int, at: int) -> StopVerdict:
    numbers = {"at": float(at), "trials": float(n)}
    return StopVerdict(
        rule, False, f"not yet: judged from {FEWEST_REWARDS} valid feasible trials on, there are {n}", numbers
    )
