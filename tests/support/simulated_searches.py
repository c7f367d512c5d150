"""Simulated searches with a known level, on which the stop rules are tested, here and in benchmarks/stopping.py.

A search has a level (the expectation of the rewards, which rises as the strategy learns) and rewards around it. All
quantities are in units of the whole rise of the level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ogive.monitor.rewards import make_single_objective_rewards
from ogive.monitor.stop_rules import check_convergence, check_no_trend
from ogive.monitor.trend import count_trials_at_latest_test

FloatArray = NDArray[np.float64]
SHAPES = ("saturating", "ramp", "stairs", "sigmoid", "second wind", "line", "logarithm", "flat", "late")
NEVER_SETTLED = ("line", "logarithm", "flat")


@dataclass(frozen=True)
class Search:
    """One simulated search.

    Attributes:
        level: the level at each trial [n].
        rewards: the reward of each trial [n].
        change: the trial after which all but 5% of the level's rise is done.
    """

    shape: str
    level: FloatArray
    rewards: FloatArray
    change: int


def level(shape: str, n: int, rng: np.random.Generator) -> FloatArray:
    """Return a rise from 0 to 1 over n trials, or zeros for "flat": [n]."""
    t, end = np.arange(1, n + 1), n * rng.uniform(0.1, 0.7)
    match shape:
        case "saturating":
            return 1 - np.exp(-3 * t / end)
        case "ramp":
            return np.minimum(t / end, 1)
        case "stairs":
            steps = int(rng.integers(3, 11))
            gaps, sizes = rng.exponential(size=(2, steps))
            at = gaps.cumsum() / gaps.sum() * end
            return (sizes * (at <= t[:, None])).sum(axis=1) / sizes.sum()
        case "sigmoid":
            middle = n * rng.uniform(0.1, 0.5)
            s = 1 / (1 + np.exp(-(np.arange(n + 1) - middle) / middle * rng.uniform(2.5, 5)))
            return (s[1:] - s[0]) / (1 - s[0])
        case "second wind":  # two rises, with a plateau between them
            plateau = n * rng.uniform(0.15, 0.3)
            second = plateau + n * rng.uniform(0.03, 0.12)
            share = rng.uniform(0.5, 0.8)
            return np.interp(t, [0, plateau, second, second + n * rng.uniform(0.1, 0.3)], [0, share, share, 1])
        case "line":
            return t / n
        case "logarithm":
            return np.log1p(t / 5) / np.log1p(n / 5)
        case "late":  # flat for a while
            begin = n * rng.uniform(0.1, 0.4)
            return np.clip((t - begin) / (n * rng.uniform(0.2, 0.5)), 0, 1)
        case _:
            return np.zeros(n)


def simulate(seed: int, shape: str = "", n: int = 0, loudness: float | None = None) -> Search:
    """Return a random search.

    It has normal, left-skewed or heavy-tailed rewards, and in half of the searches 5% poor outliers. The standard
    deviation of the rewards falls as the level rises, from a value in [0.15, 0.6] to `loudness`.

    Args:
        seed: the seed of the search.
        shape: the shape of its level, one of `SHAPES`; by default a random one.
        n: the number of trials; by default a random number from 100 to 2,000.
        loudness: the last standard deviation; by default a random value in [0.01, 0.3].
    """
    rng = np.random.default_rng([2022, seed])
    n = n or round(np.exp(rng.uniform(np.log(100), np.log(2000))))
    shape = shape or str(rng.choice(SHAPES))
    mean = level(shape, n, rng)
    first = rng.uniform(0.15, 0.6)
    last = min(first, np.exp(rng.uniform(np.log(0.01), np.log(0.3))) if loudness is None else loudness)
    noise = (rng.normal(size=n), 2 - rng.gamma(4, 0.5, size=n), np.minimum(rng.standard_t(3, size=n) / np.sqrt(3), 2))
    rewards = mean + (last + (first - last) * (1 - mean)) * noise[rng.integers(3)]
    rewards -= (rng.random(n) < rng.choice([0, 0.05])) * rng.exponential(size=n)
    change = n if shape in NEVER_SETTLED else int(np.argmax(mean >= 0.95 * mean[-1])) + 1
    return Search(shape, mean, rewards, change)


def stop(rewards: FloatArray, strategy: str = "regularized_evolution") -> tuple[int, str]:
    """Return the trial at which a statistical rule first stops a search with rewards [n], and the rule; else (n, "")."""
    n = len(rewards)
    for at in sorted({count_trials_at_latest_test(k) for k in range(1, n)} - {0}):
        series = make_single_objective_rewards(rewards[:at])
        for verdict in (check_convergence(series, at), check_no_trend(series, at, strategy)):
            if verdict.stop:
                return at, verdict.rule
    return n, ""


def lost(rewards: FloatArray, at: int) -> float:
    """Return what a stop after `at` trials loses of the best reward [n], as a share of what was gained before it."""
    gained = rewards[:at].max() - np.median(rewards[: max(2, at // 5)])
    return float((rewards.max() - rewards[:at].max()) / gained)


def is_false(search: Search, at: int, rule: str) -> bool:
    """Return whether a stop is false, as defined in `ogive.monitor.stop_rules`."""
    if rule == "converged":
        return lost(search.rewards, at) > 0.1
    spread = float(np.std(search.rewards[:at]))
    return rule == "no_trend" and float(search.level[-1] - search.level[at - 1]) > spread / 2


def delay(search: Search, at: int) -> float:
    """Return the trials from the change point to the stop, as a share of all trials; 0 for a stop before it."""
    return max(0, at - search.change) / len(search.rewards)
