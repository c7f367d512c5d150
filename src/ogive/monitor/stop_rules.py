"""Five rules that say when to stop a search. The verdict of a rule has a reason and the numbers that were compared.

- `criteria`: one trial reaches all success criteria, and satisfies the constraints.
- `budget`: the hours, the money or the trials are used up.
- `failures`: more than 20% of the trials are invalid, with 99.9% confidence (Clopper and Pearson 1934).
- `converged`: the growth and the spread of the rewards have fallen (`ogive.monitor.trend`).
- `no_trend`: after 500 trials, rewards do not rise with the number of trials. The rule does not apply to strategies that do
  not learn from trials, such as random search.

`benchmarks/stopping.py` measures how often the rules are wrong, by these definitions:

- The *level* of the rewards is their expectation, which is known in a simulation.
- The *gain* of a search is the rise of its best from the median of the first fifth. A stop by `converged` is *false* if the
  gain would have grown by more than a tenth (`trend.SMALL_GAIN`) in the rest of the search.
- A stop by `no_trend` is *false* if the level would still have risen by more than half of the standard deviation of the
  rewards.
- The *change point* is the trial at which the level has made 95% of its rise. The *delay* of a correct stop is the number of
  trials from the change point to the stop, as a share of the planned trials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ogive.formatting import amount_of_limit, duration_of_hours, number, plural
from ogive.monitor.rewards import Rewards, compute_rewards, count_inactive
from ogive.monitor.trend import (
    FIRST_TEST_TRIALS,
    GROWTH_LEVEL,
    MIN_TREND_REWARDS,
    SMALL_GAIN,
    SMALL_TAU,
    Convergence,
    assess_convergence,
    assess_trend,
    count_trials_at_latest_test,
)
from ogive.objective import Constraint, total_violation
from ogive.run.settings import Settings
from ogive.run.spending import compute_spending
from ogive.run.state import State
from ogive.trial import EMPTY, Status, Trial

RULES = ("criteria", "budget", "failures", "converged", "no_trend")
INVALID_SHARE = 0.2
"""The rule `failures` stops a search if a larger share of its trials is invalid."""
INVALID_LEVEL = 0.001
"""The significance level of a single test of the rule `failures`."""
FIRST_FAILURE_TEST_TRIALS = 5
"""The rule `failures` is first tested at this number of inactive trials."""
MIN_REWARDS = 40
"""The rules `converged` and `no_trend` need at least this many rewards."""
STRATEGIES_WITHOUT_LEARNING = ("random", "listed")
"""The strategies whose proposals do not depend on earlier results."""


@dataclass(frozen=True)
class StopVerdict:
    """The verdict of one rule.

    Attributes:
        rule: one of `RULES`.
        stop: whether the rule says that the search should stop now.
        reason: the reason for stopping or for continuing, in words.
        numbers: the finite numbers that were compared. `at` is the number of inactive trials at which the rule was tested.
    """

    rule: str
    stop: bool
    reason: str
    numbers: Mapping[str, float] = field(default_factory=lambda: EMPTY)


def evaluate_rules(
    state: State,
    criteria: Sequence[Constraint] | None = None,
    *,
    previous: Sequence[StopVerdict] = (),
    ended: Trial | None = None,
    now: float | None = None,
) -> list[StopVerdict]:
    """Return the verdicts of all rules, in the order of `RULES`. This is a pure function of its arguments.

    A caller that evaluates the rules after every trial should pass `previous` and `ended`. This saves time: the verdicts of
    statistical rules are reused until the next number of trials at which they are tested (`count_trials_at_latest_test`),
    and only the trial `ended` is compared with the criteria. Over a run of 10,000 trials all evaluations take seconds.

    Args:
        state: the state of the run, at any time.
        criteria: a trial that satisfies all of these is a success; by default the criteria of the run's settings.
        previous: the verdicts of the last call; empty to evaluate all rules from the beginning.
        ended: the trial that has become inactive since the last call; None to compare all trials with the criteria.
        now: the clock's time, to include an open session up to it; by default up to the last event.
    """
    settings = Settings.from_json(state.settings)
    previous_by_rule = {verdict.rule: verdict for verdict in previous}
    criteria = settings.criteria if criteria is None else tuple(criteria)
    return [
        _check_criteria(state, criteria, previous_by_rule.get("criteria"), ended),
        _check_budget(state, settings, now),
        _check_failures(state, previous_by_rule.get("failures")),
        *_check_rewards(state, previous_by_rule),
    ]


def _check_criteria(
    state: State, criteria: Sequence[Constraint], previous: StopVerdict | None, ended: Trial | None
) -> StopVerdict:
    """Return the verdict of the rule `criteria`. A previous verdict that says stop remains, since a success stays one."""
    if not criteria:
        return StopVerdict("criteria", False, "no success criteria are set")
    if previous is not None and previous.stop:
        return previous
    new_trials = state.trials.values() if previous is None or ended is None else [ended]
    for trial in new_trials:
        if meets_criteria(trial, [*criteria, *state.constraints]):
            values = ", ".join(f"{c.metric} {number(trial.metrics[c.metric])} ({c})" for c in criteria)
            reason = f"trial {trial.id} reaches all success criteria: {values}"
            return StopVerdict("criteria", True, reason, {"trial": trial.id})
    return _make_unmet_verdict(state, criteria)


def _make_unmet_verdict(state: State, criteria: Sequence[Constraint]) -> StopVerdict:
    """Return the verdict of the rule `criteria` if no trial satisfies all criteria."""
    trials = count_inactive(state)
    within = " within the constraints" if state.constraints else ""
    reason = f"none of {plural(trials, 'trial')} reaches {' and '.join(map(str, criteria))}{within}"
    hint = _format_unreported_hint(state, criteria) or ""
    return StopVerdict("criteria", False, f"not yet: {reason}{hint}", {"trials": trials})


def _format_unreported_hint(state: State, criteria: Sequence[Constraint]) -> str | None:
    """Return a hint that the latest trials do not report a metric of the criteria; None if they report all of them."""
    recent = [state.trials[number] for number in state.last_ended if state.trials[number].reports]
    reported = dict.fromkeys(name for trial in recent for name in trial.metrics)
    missing = dict.fromkeys(repr(c.metric) for c in criteria if c.metric not in reported)
    if not recent or not missing:
        return None
    return f"; no trial reports {', '.join(missing)} (reported metrics: {', '.join(reported)})"


def meets_criteria(trial: Trial, criteria: Sequence[Constraint]) -> bool:
    """Return whether a trial is inactive and satisfies all of `criteria`.

    The caller adds the constraints of the search to `criteria`, since a trial that violates a constraint is not a success.
    """
    is_inactive = trial.status.ended or trial.status is Status.PAUSED
    return is_inactive and not trial.status.failed and total_violation(trial.metrics, criteria) == 0


def _check_budget(state: State, settings: Settings, now: float | None) -> StopVerdict:
    """Return the verdict of the rule `budget`: whether the trials, the hours or the money are used up."""
    spent, trials = compute_spending(state, now), count_inactive(state)
    # For each budget: the used amount, the limit, and a text with both.
    budgets = {"trials": (float(trials), float(state.total_trials), f"{trials:,} of {state.total_trials:,} trials")}
    if settings.hours is not None:
        text = f"{duration_of_hours(spent.hours)} of {duration_of_hours(settings.hours)}"
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
    """Return the verdict of the rule `failures`; the previous one if no test is due since."""
    trials_at_test = count_trials_at_latest_test(count_inactive(state), FIRST_FAILURE_TEST_TRIALS)
    if previous is not None and previous.numbers.get("at", 0) == trials_at_test:
        return previous
    if not trials_at_test:
        return StopVerdict("failures", False, f"not yet: tested from {FIRST_FAILURE_TEST_TRIALS} trials on", {"at": 0})
    trials, failed = count_inactive(state), state.failed_count
    min_failure_rate = compute_failure_rate_limit(failed, trials)
    numbers = {
        "at": trials_at_test,
        "trials": trials,
        "failed": failed,
        "share": failed / trials,
        "at_least": min_failure_rate,
    }
    reason = f"{failed:,} of {trials:,} trials are invalid"
    reason += (
        f" ({failed / trials:.0%}; at least {min_failure_rate:.0%} with {1 - INVALID_LEVEL:.1%} confidence)"
        if failed
        else ""
    )
    if min_failure_rate > INVALID_SHARE:
        return StopVerdict("failures", True, f"{reason}; more than {INVALID_SHARE:.0%} is too many", numbers)
    return StopVerdict("failures", False, f"not yet: {reason}; the limit is {INVALID_SHARE:.0%}", numbers)


def compute_failure_rate_limit(failed: int, trials: int) -> float:
    """Return the one-sided lower confidence limit of the failure rate, at the level 1 - `INVALID_LEVEL`.

    This is the exact limit of a binomial proportion by Clopper and Pearson (1934).
    """
    if not failed:
        return 0.0
    # Imported here, because the import takes as long as reading a run of thousands of trials.
    from scipy.special import betaincinv

    return float(betaincinv(failed, trials - failed + 1, INVALID_LEVEL))


def _check_rewards(state: State, previous: Mapping[str, StopVerdict]) -> list[StopVerdict]:
    """Return the verdicts of `converged` and `no_trend` at the last number of trials at which these rules are tested."""
    trials_at_test = count_trials_at_latest_test(count_inactive(state))
    unchanged = [previous[rule] for rule in ("converged", "no_trend") if rule in previous]
    if len(unchanged) == 2 and all(verdict.numbers.get("at", 0) == trials_at_test for verdict in unchanged):
        return unchanged
    if not trials_at_test:
        reason = f"not yet: tested from {FIRST_TEST_TRIALS} trials on"
        return [StopVerdict(rule, False, reason, {"at": 0}) for rule in ("converged", "no_trend")]
    rewards = compute_rewards(state, trials_at_test)
    strategy = str(state.declaration["strategy"]["name"])
    return [check_convergence(rewards, trials_at_test), check_no_trend(rewards, trials_at_test, strategy)]


def check_convergence(rewards: Rewards, trials: int) -> StopVerdict:
    """Return the verdict on whether the growth and the spread of the rewards have fallen.

    Args:
        rewards: the rewards of the first `trials` trials; fewer than `trials` if some trials have no reward.
        trials: the number of inactive trials at which the rule is tested.
    """
    n = len(rewards.values)
    if n < MIN_REWARDS:
        return _make_too_few_verdict("converged", n, trials, MIN_REWARDS)
    result = assess_convergence(rewards.values, rewards.best_after, rewards.starting_best)
    numbers = {
        "at": trials,
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
    return StopVerdict("converged", result.has_converged, _explain_convergence(result, n), finite)


def _explain_convergence(result: Convergence, n: int) -> str:
    """Return the reason of a verdict on convergence: all conditions if they are met, else the conditions that are not."""
    location = f"over the last {result.window:,} of {n:,} trials"
    spread = f"from {result.spread_first:.3g} to {result.spread:.3g}, p = {result.spread_p:.2g}"
    if result.has_converged:
        return (
            f"{location} rewards rose at less than a third of their earlier pace (p = {result.growth_p:.2g}), the best "
            f"would gain {result.gain:.1%} more in another {n:,} trials, and the spread of the rewards fell {spread}"
        )
    not_met = []
    if math.isnan(result.gain):
        not_met.append("the best has not risen above the level of the first trials")
    elif result.gain > SMALL_GAIN:
        not_met.append(f"the best still grows: by {result.gain:.0%} of its gain in another {n:,} trials")
    if result.growth_p >= GROWTH_LEVEL:
        not_met.append(f"rewards may still rise at a third of their earlier pace (p = {result.growth_p:.2g})")
    if not result.has_spread_fallen:
        not_met.append(f"the spread of the rewards has not fallen significantly ({spread})")
    return f"not yet: {location} {'; '.join(not_met)}"


def check_no_trend(rewards: Rewards, trials: int, strategy: str) -> StopVerdict:
    """Return the verdict on whether rewards do not rise with the number of trials.

    Args:
        rewards: the rewards of the first `trials` trials; fewer than `trials` if some trials have no reward.
        trials: the number of inactive trials at which the rule is tested.
        strategy: the name of the strategy.
    """
    n = len(rewards.values)
    numbers = {"at": float(trials), "trials": float(n)}
    if n < MIN_REWARDS:
        return _make_too_few_verdict("no_trend", n, trials, MIN_REWARDS)
    if strategy in STRATEGIES_WITHOUT_LEARNING:
        rise = rewards.best_after(n) - rewards.best_after(n // 2)
        reason = (
            f"does not apply: strategy {strategy} does not learn from trials, so no trend is expected; the best rose by "
            f"{rise:.3g} in the last half"
        )
        return StopVerdict("no_trend", False, reason, numbers | {"rise_of_best": rise})
    if n < MIN_TREND_REWARDS:
        return _make_too_few_verdict("no_trend", n, trials, MIN_TREND_REWARDS)
    result = assess_trend(rewards.values)
    numbers |= {"tau": result.tau, "tau_at_most": result.upper, "better_p": result.better_p}
    tau = f"Kendall's tau of reward and trial is {result.tau:.3f}, at most {result.upper:.3f}, over {n:,} trials"
    if result.is_absent:
        better = f"the last fifth is not better than the first trials (p = {result.better_p:.2g})"
        return StopVerdict("no_trend", True, f"the search does not learn: {tau}, and {better}", numbers)
    if result.upper < SMALL_TAU:
        reason = f"not yet: the last fifth is better than the first trials (p = {result.better_p:.2g}), although {tau}"
    else:
        reason = f"not yet: rewards may rise with the number of trials: {tau}"
    return StopVerdict("no_trend", False, reason, numbers)


def _make_too_few_verdict(rule: str, n: int, trials: int, needed: int) -> StopVerdict:
    """Return the verdict of a rule that needs `needed` rewards, of which there are only `n`."""
    numbers = {"at": float(trials), "trials": float(n)}
    reason = f"not yet: tested from {needed} valid feasible trials on; so far there are {n}"
    return StopVerdict(rule, False, reason, numbers)
