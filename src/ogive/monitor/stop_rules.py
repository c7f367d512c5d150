"""Five rules that say when to stop a search, each with a reason and the numbers that it compared.

- `criteria`: one trial reaches all success criteria, and satisfies the constraints.
- `budget`: the hours, the money or the trials are used up.
- `failures`: more than 20 % of the trials are invalid, by the lower 99.9 % limit of their rate (Clopper and Pearson 1934).
- `converged`: the growth of the best and the spread of the rewards have fallen (`ogive.monitor.trend`).
- `no_trend`: after 500 trials, rewards do not rise with the number of trials. The rule does not apply to strategies that do
  not learn from trials, such as random search.

`benchmarks/stopping.py` measures how often the rules are wrong, by these definitions:

- A stop by `converged` is *false* if the search, continued to its last trial, would have raised its best by more than a
  tenth (`trend.GAIN`) of its gain up to the stop, counted from the median of the first fifth.
- A stop by `no_trend` is *false* if the level of the rewards (their expectation, which is known in a simulation) would still
  have risen by more than half of their standard deviation.
- The *delay* of a correct stop is the number of trials from the change point, where 95 % of the rise of the level is
  done, to the stop, as a share of the planned trials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ogive.formatting import amount_of_limit, duration, number, plural
from ogive.monitor.rewards import Rewards, count_inactive, rewards
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
from ogive.objective import Constraint, total_violation
from ogive.run.settings import Settings
from ogive.run.spending import HOUR, compute_spending
from ogive.run.state import State
from ogive.trial import EMPTY, Status, Trial

RULES = ("criteria", "budget", "failures", "converged", "no_trend")
INVALID_SHARE = 0.2
INVALID_LEVEL = 0.001
"""The level of one test of the failures. Tests are made at `last_look`, from `FIRST_FAILURES` trials on."""
FIRST_FAILURES = 5
FEWEST_REWARDS = 40
NOT_LEARNING = ("random", "listed")
"""Strategies whose proposals do not depend on earlier results."""


@dataclass(frozen=True)
class StopVerdict:
    """The verdict of one rule.

    Attributes:
        rule: one of `RULES`.
        stop: whether the rule says that the search should stop now.
        reason: the reason in words, whatever the verdict is.
        numbers: the finite numbers that were compared. `at` is the number of trials at which the rule was tested.
    """

    rule: str
    stop: bool
    reason: str
    numbers: Mapping[str, float] = field(default_factory=lambda: EMPTY)


def evaluate_rules(
    state: State,
    criteria: Sequence[Constraint] | None = None,
    *,
    former: Sequence[StopVerdict] = (),
    ended: Trial | None = None,
    now: float | None = None,
) -> list[StopVerdict]:
    """Return the verdicts of all rules, in the order of `RULES`. This is a pure function of its arguments.

    A caller that asks after every trial passes `former` and `ended`. Then the statistical rules are tested only at the
    numbers of trials of `ogive.monitor.trend.last_look`, and only the new trial is compared with the criteria. Over a run of
    10,000 trials this takes seconds.

    Args:
        state: of the run, at any time.
        criteria: a trial that reaches all of them is a success; by default those of the run's settings.
        former: the verdicts of the last call.
        ended: the trial that has become inactive since the last call.
        now: the clock's time, to include an open session up to it; by default up to the last event.
    """
    settings = Settings.from_json(state.settings)
    previous = {verdict.rule: verdict for verdict in former}
    criteria = settings.criteria if criteria is None else tuple(criteria)
    return [
        _check_criteria(state, criteria, previous.get("criteria"), ended),
        _check_budget(state, settings, now),
        _check_failures(state, previous.get("failures")),
        *_check_rewards(state, previous),
    ]


def _check_criteria(
    state: State, criteria: Sequence[Constraint], previous: StopVerdict | None, ended: Trial | None
) -> StopVerdict:
    if not criteria:
        return StopVerdict("criteria", False, "no success criteria are set")
    if previous is not None and previous.stop:
        return previous
    for trial in state.trials.values() if previous is None or ended is None else [ended]:
        if meets_criteria(trial, [*criteria, *state.constraints]):
            values = ", ".join(f"{c.metric} {number(trial.metrics[c.metric])} ({c})" for c in criteria)
            reason = f"trial {trial.id} reaches all success criteria: {values}"
            return StopVerdict("criteria", True, reason, {"trial": trial.id})
    return _criteria_not_reached(state, criteria)


def _criteria_not_reached(state: State, criteria: Sequence[Constraint]) -> StopVerdict:
    trials = count_inactive(state)
    within = " within the constraints" if state.constraints else ""
    reason = f"none of {plural(trials, 'trial')} reaches {' and '.join(map(str, criteria))}{within}"
    hint = _unreported_hint(state, criteria) or ""
    return StopVerdict("criteria", False, f"not yet: {reason}{hint}", {"trials": trials})


def _unreported_hint(state: State, criteria: Sequence[Constraint]) -> str | None:
    """Return a hint about metrics of criteria that none of the last trials reported; None if there are no such metrics."""
    last = [state.trials[number] for number in state.last_ended if state.trials[number].reports]
    reported = dict.fromkeys(name for trial in last for name in trial.metrics)
    missing = dict.fromkeys(repr(c.metric) for c in criteria if c.metric not in reported)
    if not last or not missing:
        return None
    return f"; no trial reports {', '.join(missing)} (they report: {', '.join(reported)})"


def meets_criteria(trial: Trial, criteria: Sequence[Constraint]) -> bool:
    """Return whether a trial is inactive and satisfies all of `criteria`.

    The caller includes the constraints of the search, since a trial that violates one is not a success.
    """
    is_inactive = trial.status.ended or trial.status is Status.PAUSED
    return is_inactive and not trial.status.failed and total_violation(trial.metrics, criteria) == 0


def _check_budget(state: State, settings: Settings, now: float | None) -> StopVerdict:
    spent, trials = compute_spending(state, now), count_inactive(state)
    budgets = {"trials": (float(trials), float(state.total_trials), f"{trials:,} of {state.total_trials:,} trials")}
    if settings.hours is not None:
        text = f"{duration(HOUR * spent.hours)} of {duration(HOUR * settings.hours)}"
        budgets["hours"] = (spent.hours, settings.hours, text)
    if settings.money is not None and spent.money is not None:
        text = amount_of_limit(spent.money, settings.money, spent.currency)
        budgets["money"] = (spent.money, settings.money, text)
    used_up = [text for used, limit, text in budgets.values() if used >= limit]
    numbers = {name: used for name, (used, _, _) in budgets.items()}
    numbers |= {f"{name}_limit": limit for name, (_, limit, _) in budgets.items()}
    texts = used_up or [text for _, _, text in budgets.values()]
    if settings.money is not None and spent.money is None and not used_up:
        texts.append("money is limited, but no session had a price")
    return StopVerdict("budget", bool(used_up), f"{'used up' if used_up else 'not yet'}: {', '.join(texts)}", numbers)


def _check_failures(state: State, previous: StopVerdict | None) -> StopVerdict:
    look = last_look(count_inactive(state), FIRST_FAILURES)
    if previous is not None and previous.numbers.get("at", 0) == look:
        return previous
    if not look:
        return StopVerdict("failures", False, f"not yet: tested from {FIRST_FAILURES} trials on", {"at": 0})
    trials, failed = count_inactive(state), state.failed_count
    low = failure_rate_lower_limit(failed, trials)
    numbers = {"at": look, "trials": trials, "failed": failed, "share": failed / trials, "at_least": low}
    reason = f"{failed:,} of {trials:,} trials are invalid"
    reason += f" ({failed / trials:.0%}; at least {low:.0%} with {1 - INVALID_LEVEL:.1%} confidence)" if failed else ""
    if low > INVALID_SHARE:
        return StopVerdict("failures", True, f"{reason}; more than {INVALID_SHARE:.0%} is too many", numbers)
    return StopVerdict("failures", False, f"not yet: {reason}; the limit is {INVALID_SHARE:.0%}", numbers)


def failure_rate_lower_limit(failed: int, trials: int) -> float:
    """Return the lower limit of the failure rate at the level `INVALID_LEVEL` (Clopper and Pearson 1934, one-sided)."""
    if not failed:
        return 0.0
    from scipy.special import betaincinv  # its import takes as long as reading a run of thousands of trials

    return float(betaincinv(failed, trials - failed + 1, INVALID_LEVEL))


def _check_rewards(state: State, previous: Mapping[str, StopVerdict]) -> list[StopVerdict]:
    """Return the verdicts of `converged` and `no_trend`, as of the last number of trials at which they are tested."""
    look = last_look(count_inactive(state))
    unchanged = [previous[rule] for rule in ("converged", "no_trend") if rule in previous]
    if len(unchanged) == 2 and all(verdict.numbers.get("at", 0) == look for verdict in unchanged):
        return unchanged
    if not look:
        reason = f"not yet: tested from {FIRST_LOOK} trials on"
        return [StopVerdict(rule, False, reason, {"at": 0}) for rule in ("converged", "no_trend")]
    series = rewards(state, look)
    return [check_convergence(series, look), check_no_trend(series, look, str(state.created["strategy"]["name"]))]


def check_convergence(series: Rewards, at: int) -> StopVerdict:
    """Return the verdict on whether the growth of the best and the spread of the rewards have fallen.

    Args:
        series: the rewards of the first `at` trials; fewer than `at` if some have no reward.
        at: the number of trials at which the rule is tested.
    """
    n = len(series.values)
    if n < FEWEST_REWARDS:
        return _too_few("converged", n, at, FEWEST_REWARDS)
    result = convergence(series.values, series.best, series.start)
    numbers = {
        "at": at,
        "trials": n,
        "window": result.window,
        "rise": result.rise,
        "growth_p": result.growth_p,
        "gain": result.gain,
        "spread_first": result.spread_first,
        "spread": result.spread,
        "spread_p": result.spread_p,
    }
    finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
    return StopVerdict("converged", result.converged, _convergence_reason(result, n), finite)


def _convergence_reason(result: Convergence, n: int) -> str:
    """Return the conditions that are met if all are, and otherwise those that are not met."""
    where = f"over the last {result.window:,} of {n:,} trials"
    spread = f"from {result.spread_first:.3g} to {result.spread:.3g}, p = {result.spread_p:.2g}"
    if result.converged:
        return (
            f"{where} rewards rose at less than a third of their earlier pace (p = {result.growth_p:.2g}), the best would "
            f"gain {result.gain:.1%} more in another {n:,} trials, and the spread of the rewards fell {spread}"
        )
    not_met = []
    if math.isnan(result.gain):
        not_met.append("the best has not risen above the level of the first trials")
    elif result.gain > GAIN:
        not_met.append(f"the best still grows: by {result.gain:.0%} of its gain in another {n:,} trials")
    if result.growth_p >= GROWTH_LEVEL:
        not_met.append(f"rewards may still rise at a third of their earlier pace (p = {result.growth_p:.2g})")
    if not result.spread_fell:
        not_met.append(f"the spread of the rewards has not fallen significantly ({spread})")
    return f"not yet: {where} {'; '.join(not_met)}"


def check_no_trend(series: Rewards, at: int, strategy: str) -> StopVerdict:
    """Return the verdict on whether rewards do not rise with the number of trials.

    Args:
        series: the rewards of the first `at` trials; fewer than `at` if some have no reward.
        at: the number of trials at which the rule is tested.
        strategy: the name of the strategy.
    """
    n = len(series.values)
    numbers = {"at": float(at), "trials": float(n)}
    if n < FEWEST_REWARDS:
        return _too_few("no_trend", n, at, FEWEST_REWARDS)
    if strategy in NOT_LEARNING:
        rise = series.best(n) - series.best(n // 2)
        reason = (
            f"does not apply: strategy {strategy} does not learn from trials, so no trend is expected; the best rose by "
            f"{rise:.3g} in the last half"
        )
        return StopVerdict("no_trend", False, reason, numbers | {"rise_of_best": rise})
    if n < ENOUGH_FOR_TREND:
        return _too_few("no_trend", n, at, ENOUGH_FOR_TREND)
    result = trend(series.values)
    numbers |= {"tau": result.tau, "tau_at_most": result.upper, "better_p": result.better_p}
    tau = f"Kendall's tau of reward and trial is {result.tau:.3f}, at most {result.upper:.3f}, over {n:,} trials"
    if result.absent:
        better = f"the last fifth is not better than the first trials (p = {result.better_p:.2g})"
        return StopVerdict("no_trend", True, f"the search does not learn: {tau}, and {better}", numbers)
    if result.upper < SMALL_TAU:
        reason = f"not yet: the last fifth is better than the first trials (p = {result.better_p:.2g}), although {tau}"
    else:
        reason = f"not yet: rewards may rise with the number of trials: {tau}"
    return StopVerdict("no_trend", False, reason, numbers)


def _too_few(rule: str, n: int, at: int, needed: int) -> StopVerdict:
    numbers = {"at": float(at), "trials": float(n)}
    reason = f"not yet: tested from {needed} valid feasible trials on, there are {n}"
    return StopVerdict(rule, False, reason, numbers)
