"""What mattered: how much of the spread of values each decision explains, and how often the best chose each alternative.

The share of variance of a decision is that of functional analysis of variance: the variance of its main effect over the
space, divided by all variance (Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter
importance", ICML 2014, sections 2 and 3). The paper reads the main effects from a random forest; here they come from an
additive ridge regression on the alternatives, fitted to all decisions at once. It needs few trials, corrects for a
strategy that tries some combinations more often than others, and can be checked by chance (shuffled values) and by the
spread that its coefficients have. What is left over, interactions and noise, is told.

Symbols: n trials, k alternatives, y [n] costs (less is better).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ogive.arrays import BoolArray, FloatArray, IntArray
from ogive.report.alternatives import Alternatives
from ogive.seeds import generator
from ogive.space import Space
from ogive.space.domain import IntegerRange, RealRange
from ogive.stats.corrections import FAMILY_LEVEL, holm
from ogive.stats.proportions import fewer, proportion_interval
from ogive.stats.ridge import left_out_residuals
from ogive.trial import Trial

ENOUGH = 20
"""Trials with comparable values below which nothing is said."""
MOST = 1500
"""Trials that are looked at; more are drawn from at random."""
REPEATS = 200
"""Draws of the coefficients, and shuffles."""
SAMPLES = 1000
"""Architectures drawn from the space, over which the variance of an effect is taken."""
RIDGES = tuple(10.0**power for power in range(-4, 3))
TOP = 0.1
"""The share of the trials that counts as the best."""


@dataclass(frozen=True)
class Importance:
    """The main effect of a decision.

    Attributes:
        share: of the variance of the values, 0 to 1.
        low, high: its 95 % interval.
        chance: what 95 of 100 shuffled searches stay below.
    """

    decision: str
    share: float
    low: float
    high: float
    chance: float

    @property
    def told_apart(self) -> bool:
        """It explains more than chance does."""
        return self.share > self.chance


@dataclass(frozen=True)
class Frequency:
    """How often an alternative was chosen where its decision was active: among the best, and among all.

    Attributes:
        top, of_top: trials of the best with it, and all of the best in which its decision is active.
        low, high: the 95 % interval of top / of_top (Jeffreys).
        count, of: the same among all trials with a comparable value.
        effect: how much worse it makes the objective than the best alternative of its decision, other things equal; its
            95 % interval is [effect_low, effect_high]; NaN where it was never tried.
        rare: it is rarer among the best than chance explains, all alternatives considered.
    """

    decision: str
    text: str
    ends: tuple[Any, Any]
    top: int
    of_top: int
    low: float
    high: float
    count: int
    of: int
    effect: float
    effect_low: float
    effect_high: float
    rare: bool

    @property
    def useless(self) -> bool:
        """Both kinds of evidence speak against it: rare among the best, and worse with other things equal."""
        return self.rare and self.effect_low > 0


@dataclass(frozen=True)
class ImportanceResult:
    """The answer, or `why` there is none.

    Attributes:
        explained: how much of the variance of unseen trials the main effects explain together (leave one out).
        trials: how many trials it rests on.
    """

    importances: Sequence[Importance] = ()
    frequencies: Sequence[Frequency] = ()
    explained: float = 0.0
    trials: int = 0
    why: str = ""


def decision_importance(
    space: Space, trials: Sequence[Trial], costs: Sequence[float], order: Sequence[int]
) -> ImportanceResult:
    """What mattered among trials with comparable, finite values.

    Args:
        space: in which they were searched.
        trials: [n].
        costs: of the trials [n], less is better; of several objectives a scalar of all.
        order: their places [n], 0 the best: constraints and several objectives considered.
    """
    n = len(trials)
    if n < ENOUGH:
        return ImportanceResult(
            why=f"{n} trials have comparable values; with fewer than {ENOUGH} everything is chance.", trials=n
        )
    y = np.asarray(costs, dtype=np.float64)
    if y.max() == y.min():
        return ImportanceResult(why="All values are equal: no decision made a difference.", trials=n)
    rng = generator(0, "what mattered")
    top = _best(np.asarray(order))
    if n > MOST:
        keep = np.sort(rng.permutation(n)[:MOST])
        trials, y, top = [trials[i] for i in keep], y[keep], top[keep]
    levels = Alternatives.of(space, [trial.architecture for trial in trials])
    drawn = Alternatives.of(space, [space.sample(rng) for _ in range(SAMPLES)])
    fenced = _fenced(y)
    scale = float(np.abs(fenced).max())  # so that squares of huge values stay finite
    fit = _Fit.of(levels, drawn, fenced / scale)
    resampled = fit.resampled(rng)
    importances = fit.importances(resampled, rng)
    frequencies = _frequencies(levels, top, fit, resampled, scale)
    return ImportanceResult(importances, frequencies, fit.explained, len(y))


def _best(order: IntArray) -> BoolArray:
    """[n] which trials are the best tenth (five at least); equals share a place, and go in or stay out together."""
    wanted = max(5, round(TOP * len(order)))
    last = np.sort(order)[wanted - 1]
    with_equals = order <= last
    few_enough = with_equals.sum() <= 2 * wanted or not (order < last).any()
    return np.asarray(with_equals if few_enough else order < last)


def _fenced(y: FloatArray) -> FloatArray:
    """Values beyond three interquartile ranges count as these bounds, so that one diverged trial is not all variance."""
    low, high = np.quantile(y, [0.25, 0.75])
    reach = 3 * (high - low)  # Tukey's outer fences
    return np.clip(y, low - reach, high + reach) if reach > 0 else y


@dataclass(frozen=True)
class _Fit:
    """A ridge regression of y on the alternatives, centred over the space, so that effects of a decision sum to none."""

    levels: Alternatives
    x: FloatArray  # [n, k]
    z: FloatArray  # [s, k], the drawn architectures
    y: FloatArray
    ridge: float
    beta: FloatArray  # [k]
    explained: float

    @staticmethod
    def of(levels: Alternatives, drawn: Alternatives, y: FloatArray) -> _Fit:
        x, z = (_centred(chosen, levels.expected) for chosen in (levels, drawn))
        ridge, explained = _best_ridge(x, y)
        return _Fit(levels, x, z, y, ridge, _solve(x, y[:, None], ridge)[:, 0], max(0.0, explained))

    def resampled(self, rng: np.random.Generator) -> FloatArray:
        """Coefficients [REPEATS, k] as other trials might have given them.

        Drawn from the normal distribution with the covariance that holds whatever the spread of the noise (the jackknife
        estimate HC3 of MacKinnon and White, Journal of Econometrics 1985): a thousandth of the time of refitting.
        """
        centred = self.x - self.x.mean(axis=0)
        inverse = np.linalg.inv(_gram(centred, self.ridge))
        half = centred @ inverse  # [n, k]
        leverage = (half * centred).sum(axis=1) + 1 / len(self.y)
        left_out = (self.y - self.y.mean() - centred @ self.beta) / np.maximum(1 - leverage, 1e-6)
        scaled = half * left_out[:, None]
        values, vectors = np.linalg.eigh(scaled.T @ scaled)
        noise = rng.normal(size=(REPEATS, len(values))) * np.sqrt(np.maximum(values, 0.0))
        return np.asarray(self.beta + noise @ vectors.T)

    def importances(self, resampled: FloatArray, rng: np.random.Generator) -> list[Importance]:
        shuffled = _solve(self.x, np.stack([rng.permutation(self.y) for _ in range(REPEATS)], axis=1), self.ridge).T
        total = float(np.var(self.y - self._predict(self.x)) + np.var(self._predict(self.z)))
        found = []
        for name, places in self.levels.columns.items():
            own, again, luck = (
                np.var(self.z[:, places] @ beta[:, places].T, axis=0) / total
                for beta in (self.beta[None], resampled, shuffled)
            )
            low, high = np.quantile(again, [0.025, 0.975])
            share = float(own[0])
            found.append(
                Importance(name, share, min(float(low), share), max(float(high), share), float(np.quantile(luck, 0.95)))
            )
        return sorted(found, key=lambda item: -item.share)

    def _predict(self, x: FloatArray) -> FloatArray:
        return np.asarray(x @ self.beta)


def _centred(levels: Alternatives, expected: FloatArray) -> FloatArray:
    """[n, k] chosen or not, less the alternative's share in the space where its decision is active; 0 elsewhere."""
    return np.asarray(np.where(levels.active, levels.chosen - expected, 0.0))


def _penalty(ridge: float, trials: int) -> float:
    """A ridge weighs as much as a tenth of the trials for each unit."""
    return ridge * trials / 10


def _gram(centred: FloatArray, ridge: float) -> FloatArray:
    """[k, k] of centred columns, with the ridge."""
    return np.asarray(centred.T @ centred + _penalty(ridge, len(centred)) * np.eye(centred.shape[1]))


def _solve(x: FloatArray, y: FloatArray, ridge: float) -> FloatArray:
    """Ridge coefficients [k, m] for y [n, m], with an intercept that is not shrunk."""
    centred = x - x.mean(axis=0)
    return np.linalg.solve(_gram(centred, ridge), centred.T @ y)


def _best_ridge(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """The ridge with the least leave-one-out error, and the share of the variance that it explains of left-out trials."""
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    y0 = y - y.mean()
    best = (RIDGES[-1], -np.inf)
    for ridge in RIDGES:
        residuals = left_out_residuals(u, s, y0, _penalty(ridge, len(y)))
        explained = 1 - float(residuals @ residuals) / float(y0 @ y0)
        best = max(best, (ridge, explained), key=lambda item: item[1])
    return best


def _frequencies(
    levels: Alternatives, top: BoolArray, fit: _Fit, resampled: FloatArray, scale: float
) -> list[Frequency]:
    chosen, active = levels.chosen, levels.active
    count, of = chosen.sum(axis=0), active.sum(axis=0)
    top_count, of_top = chosen[top].sum(axis=0), active[top].sum(axis=0)
    low, high = proportion_interval(top_count, of_top)
    less = np.array([fewer(*map(int, row)) for row in zip(top_count, of_top, count, of, strict=True)])
    rare = (holm(less) <= FAMILY_LEVEL) & (count > 0)
    effect, effect_low, effect_high = (scale * found for found in _effects(levels, fit, resampled, count))
    return [
        Frequency(
            level.decision, level.text, level.ends, int(top_count[i]), int(of_top[i]), float(low[i]), float(high[i]),
            int(count[i]), int(of[i]), float(effect[i]), float(effect_low[i]), float(effect_high[i]), bool(rare[i]),
        )
        for i, level in enumerate(levels.levels)
    ]  # fmt: skip


def _effects(
    levels: Alternatives, fit: _Fit, resampled: FloatArray, count: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """How much worse each alternative [k] is than the best tried one of its decision, and the interval of that."""
    effect, low, high = np.full((3, len(levels.levels)), np.nan)
    for places in levels.columns.values():
        tried = places[count[places] > 0]
        if not len(tried):
            continue
        best = tried[fit.beta[tried].argmin()]
        again = resampled[:, tried] - resampled[:, [best]]
        effect[tried] = fit.beta[tried] - fit.beta[best]
        low[tried], high[tried] = np.quantile(again, [0.025, 0.975], axis=0)
    return effect, low, high


def narrower(space: Space, found: ImportanceResult, keep: Sequence[Trial]) -> dict[str, list[object]]:
    """What may be left of the space's decisions (see `Space.restricted`): all but the alternatives that both kinds of
    evidence speak against. No alternative of a trial in `keep` goes; of a number only stretches at its ends go.
    """
    by_decision: dict[str, list[Frequency]] = {}
    for item in found.frequencies:
        by_decision.setdefault(item.decision, []).append(item)
    kept = Alternatives.of(space, [trial.architecture for trial in keep])
    wanted = {(level.decision, level.text) for i, level in enumerate(kept.levels) if kept.chosen[:, i].any()}
    only: dict[str, list[object]] = {}
    for decision in space.decisions:
        items = by_decision.get(decision.name, [])
        gone = [item.useless and (item.decision, item.text) not in wanted for item in items]
        if not any(gone) or all(gone):
            continue
        described: Mapping[str, object] = decision.domain.describe()
        if "labels" not in described:
            first, last = gone.index(False), len(gone) - 1 - gone[::-1].index(False)
            if first > 0 or last < len(gone) - 1:
                low, high = items[first].ends[0], items[last].ends[1]
                only[decision.name] = [low, high]
        elif described["kind"] == "one_of":
            only[decision.name] = [item.ends[0] for item, out in zip(items, gone, strict=True) if not out]
    return only


def left_out(space: Space, found: ImportanceResult, only: Mapping[str, Sequence[object]]) -> list[Frequency]:
    """The alternatives that a space restricted to `only` does not have any more."""
    narrow = {decision.name: decision.domain for decision in space.restricted(only).decisions}

    def out(item: Frequency) -> bool:
        if item.decision not in only or item.decision not in narrow:
            return False
        domain: Any = narrow[item.decision]
        if isinstance(domain, (IntegerRange, RealRange)):
            low, high = item.ends
            return bool(high < domain.low or low > domain.high or (low != high and high <= domain.low))
        return item.ends[0] not in domain.labels

    return [item for item in found.frequencies if out(item)]
