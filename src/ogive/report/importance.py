"""Importance: how much of the variance each decision explains, and how often the best trials chose each alternative.

The importance of a decision is that of functional analysis of variance: the variance of its main effect over the space,
divided by the total variance (Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter
importance", ICML 2014, sections 2 and 3). The paper reads the main effects from a random forest. Here they come from an
additive ridge regression on the alternatives, fitted to all decisions at once: it needs fewer trials, corrects for a
strategy that tries some combinations more often than others, and allows a test against chance (with shuffled values) and
intervals (from the covariance of its coefficients). The variance that is not explained is interactions and noise.

Symbols: n trials, k alternatives, s sampled architectures, y [n] costs (less is better).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ogive.arrays import BoolArray, FloatArray, IntArray
from ogive.formatting import plural
from ogive.report.alternatives import Alternatives
from ogive.seeds import generator
from ogive.space import Space
from ogive.stats.corrections import FAMILY_LEVEL, correct_by_holm
from ogive.stats.proportions import hypergeometric_at_most, proportion_interval
from ogive.stats.ridge import leave_one_out_residuals
from ogive.trial import Trial

ENOUGH_TRIALS = 20
"""The fewest trials with comparable values from which importance is computed."""
MOST_TRIALS = 1500
"""The most trials that are used; of more, a random sample."""
REPEATS = 200
"""The number of resampled coefficient vectors, and of shuffles."""
SAMPLES = 1000
"""The number of architectures sampled from the space, over which the variance of an effect is computed."""
RIDGES = tuple(10.0**power for power in range(-4, 3))
TOP_SHARE = 0.1
"""The share of the trials that counts as the best."""


@dataclass(frozen=True)
class Importance:
    """The main effect of a decision.

    Attributes:
        decision: its name.
        share: of the variance of the values, 0 to 1.
        low, high: the 95% interval of the share.
        chance: the 95% quantile of the share when the values are shuffled.
    """

    decision: str
    share: float
    low: float
    high: float
    chance: float

    @property
    def is_significant(self) -> bool:
        """Whether the decision explains more than chance does."""
        return self.share > self.chance


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """How often an alternative was chosen, where its decision is active: by the best trials, and by all.

    Attributes:
        decision: the decision's name.
        text: the alternative.
        ends: see `Alternative`.
        best_count: the best trials that chose it.
        best_total: the best trials in which its decision is active.
        low, high: the 95% interval of best_count / best_total (Jeffreys).
        count: the trials that chose it.
        total: the trials in which its decision is active.
        effect: by how much it worsens the objective compared with the best alternative of its decision, all other
            decisions equal; NaN if it was never tried.
        effect_low, effect_high: the 95% interval of the effect.
        rare: it is significantly rarer among the best, corrected for the number of alternatives.
    """

    decision: str
    text: str
    ends: tuple[Any, Any]
    best_count: int
    best_total: int
    low: float
    high: float
    count: int
    total: int
    effect: float
    effect_low: float
    effect_high: float
    rare: bool

    @property
    def is_inferior(self) -> bool:
        """Whether it is rarer among the best and also worse with all other decisions equal.

        Rarity alone proves nothing: an alternative can be rare among the best only because it was often sampled together
        with a bad one.
        """
        return self.rare and self.effect_low > 0


@dataclass(frozen=True)
class ImportanceResult:
    """The importance of each decision, or the reason why it was not computed.

    Attributes:
        importances: of each decision, the most important first.
        frequencies: of each alternative.
        explained: the share of the variance of left-out trials that all main effects explain together (leave one out).
        trials: the number of trials used.
        reason: why nothing was computed; None if it was.
    """

    importances: Sequence[Importance] = ()
    frequencies: Sequence[Frequency] = ()
    explained: float = 0.0
    trials: int = 0
    reason: str | None = None


def compute_importance(
    space: Space, trials: Sequence[Trial], costs: Sequence[float], order: Sequence[int]
) -> ImportanceResult:
    """Compute the importance of each decision and the frequency of each alternative.

    Args:
        space: the search space of the trials.
        trials: with comparable, finite values [n].
        costs: of the trials [n], less is better; for several objectives a scalar of all of them.
        order: the ranks of the trials [n], 0 for the best, with regard to constraints and all objectives.
    """
    n = len(trials)
    if n < ENOUGH_TRIALS:
        reason = f"{plural(n, 'trial')} with comparable values, at least {ENOUGH_TRIALS} are needed"
        return ImportanceResult(reason=reason, trials=n)
    y = np.asarray(costs, dtype=np.float64)
    if y.max() == y.min():
        return ImportanceResult(reason="all trials have the same value", trials=n)
    rng = generator(0, "what mattered")
    is_best = _select_best(np.asarray(order))
    if n > MOST_TRIALS:
        sample = np.sort(rng.permutation(n)[:MOST_TRIALS])
        trials, y, is_best = [trials[i] for i in sample], y[sample], is_best[sample]
    tried = Alternatives.of(space, [trial.architecture for trial in trials])
    sampled = Alternatives.of(space, [space.sample(rng) for _ in range(SAMPLES)])
    clipped = _clip_outliers(y)
    scale = float(np.abs(clipped).max())  # so that squares of huge values stay finite
    model = _AdditiveModel.fit(tried, sampled, clipped / scale)
    resampled = model.resample(rng)
    importances = model.importances(resampled, rng)
    frequencies = _frequencies(tried, is_best, model, resampled, scale)
    return ImportanceResult(importances, frequencies, model.explained, len(y))


def _select_best(order: IntArray) -> BoolArray:
    """Return which trials are the best tenth, at least five [n].

    Trials of equal rank are all selected, or none is: none if that would select more than twice as many.
    """
    target = max(5, round(TOP_SHARE * len(order)))
    last_rank = np.sort(order)[target - 1]
    with_ties = order <= last_rank
    few_enough = with_ties.sum() <= 2 * target or not (order < last_rank).any()
    return np.asarray(with_ties if few_enough else order < last_rank)


def _clip_outliers(y: FloatArray) -> FloatArray:
    """Return the values limited to Tukey's outer fences, so that one diverged trial does not dominate the variance."""
    low, high = np.quantile(y, [0.25, 0.75])
    reach = 3 * (high - low)
    return np.clip(y, low - reach, high + reach) if reach > 0 else y


@dataclass(frozen=True)
class _AdditiveModel:
    """A ridge regression of y on the alternatives.

    The columns are centred over the space, so that the effects of a decision's alternatives average to zero.

    Attributes:
        alternatives: of the trials.
        x: [n, k], of the trials.
        z: [s, k], of sampled architectures.
        y: [n].
        ridge: the chosen penalty.
        beta: the coefficients [k].
        explained: the share of the variance of left-out trials that the model explains.
    """

    alternatives: Alternatives
    x: FloatArray
    z: FloatArray
    y: FloatArray
    ridge: float
    beta: FloatArray
    explained: float

    @staticmethod
    def fit(tried: Alternatives, sampled: Alternatives, y: FloatArray) -> _AdditiveModel:
        x, z = (_centre(table, tried.expected) for table in (tried, sampled))
        ridge, explained = _choose_ridge(x, y)
        return _AdditiveModel(tried, x, z, y, ridge, _solve(x, y[:, None], ridge)[:, 0], max(0.0, explained))

    def resample(self, rng: np.random.Generator) -> FloatArray:
        """Return coefficients [REPEATS, k] that other trials of the same size might have given.

        They are drawn from a normal distribution with a covariance that holds for any distribution of the noise (the
        jackknife estimate HC3 of MacKinnon and White, Journal of Econometrics 1985). Refitting the model to resampled
        trials would take a thousand times as long.
        """
        centred = self.x - self.x.mean(axis=0)
        inverse = np.linalg.inv(_gram(centred, self.ridge))
        hat = centred @ inverse  # [n, k]
        # HC3: each residual divided by 1 - leverage, the residual of a trial that was left out of the fit.
        leverage = (hat * centred).sum(axis=1) + 1 / len(self.y)
        residuals = (self.y - self.y.mean() - centred @ self.beta) / np.maximum(1 - leverage, 1e-6)
        weighted = hat * residuals[:, None]
        # The eigenvectors of the covariance, scaled by the roots of its eigenvalues, give a sample of that covariance.
        values, vectors = np.linalg.eigh(weighted.T @ weighted)
        noise = rng.normal(size=(REPEATS, len(values))) * np.sqrt(np.maximum(values, 0.0))
        return np.asarray(self.beta + noise @ vectors.T)

    def importances(self, resampled: FloatArray, rng: np.random.Generator) -> list[Importance]:
        """Return the importance of each decision, the most important first."""
        # Chance: the coefficients of a fit to shuffled values, in which no decision has an effect.
        shuffled = _solve(self.x, np.stack([rng.permutation(self.y) for _ in range(REPEATS)], axis=1), self.ridge).T
        # The total variance over the space: the variance of the predictions and that of the residuals.
        total = float(np.var(self.y - self._predict(self.x)) + np.var(self._predict(self.z)))
        importances = []
        for name, columns in self.alternatives.columns.items():
            # The variance of the main effect of the decision over the space, for each coefficient vector.
            estimate, estimates, by_chance = (
                np.var(self.z[:, columns] @ beta[:, columns].T, axis=0) / total
                for beta in (self.beta[None], resampled, shuffled)
            )
            share = float(estimate[0])
            low, high = np.quantile(estimates, [0.025, 0.975])
            chance = float(np.quantile(by_chance, 0.95))
            importances.append(Importance(name, share, min(float(low), share), max(float(high), share), chance))
        return sorted(importances, key=lambda item: -item.share)

    def _predict(self, x: FloatArray) -> FloatArray:
        return np.asarray(x @ self.beta)


def _centre(table: Alternatives, expected: FloatArray) -> FloatArray:
    """Return [n, k]: 1 for a chosen alternative, less its share in the space; 0 where its decision is inactive."""
    return np.asarray(np.where(table.active, table.chosen - expected, 0.0))


def _penalty(ridge: float, trials: int) -> float:
    """Return the penalty of `ridge`: each unit weighs as much as a tenth of the trials."""
    return ridge * trials / 10


def _gram(centred: FloatArray, ridge: float) -> FloatArray:
    """Return the Gram matrix [k, k] of centred columns, with the penalty on its diagonal."""
    return np.asarray(centred.T @ centred + _penalty(ridge, len(centred)) * np.eye(centred.shape[1]))


def _solve(x: FloatArray, y: FloatArray, ridge: float) -> FloatArray:
    """Return ridge coefficients [k, m] for y [n, m]; the intercept is not penalized."""
    centred = x - x.mean(axis=0)
    return np.linalg.solve(_gram(centred, ridge), centred.T @ y)


def _choose_ridge(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Return the ridge with the least leave-one-out error, and the share of variance that it explains of left-out trials."""
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    centred_y = y - y.mean()
    best = (RIDGES[-1], -np.inf)
    for ridge in RIDGES:
        residuals = leave_one_out_residuals(u, s, centred_y, _penalty(ridge, len(y)))
        explained = 1 - float(residuals @ residuals) / float(centred_y @ centred_y)
        best = max(best, (ridge, explained), key=lambda item: item[1])
    return best


def _frequencies(
    tried: Alternatives, is_best: BoolArray, model: _AdditiveModel, resampled: FloatArray, scale: float
) -> list[Frequency]:
    chosen, active = tried.chosen, tried.active
    count, total = chosen.sum(axis=0), active.sum(axis=0)
    best_count, best_total = chosen[is_best].sum(axis=0), active[is_best].sum(axis=0)
    low, high = proportion_interval(best_count, best_total)
    # Fisher's exact test of each alternative: the probability that so few of the best have it by chance.
    p_values = np.array(
        [hypergeometric_at_most(*map(int, row)) for row in zip(best_count, best_total, count, total, strict=True)]
    )
    rare = (correct_by_holm(p_values) <= FAMILY_LEVEL) & (count > 0)
    effect, effect_low, effect_high = (scale * values for values in _effects(tried, model, resampled, count))
    return [
        Frequency(
            decision=alternative.decision,
            text=alternative.text,
            ends=alternative.ends,
            best_count=int(best_count[i]),
            best_total=int(best_total[i]),
            low=float(low[i]),
            high=float(high[i]),
            count=int(count[i]),
            total=int(total[i]),
            effect=float(effect[i]),
            effect_low=float(effect_low[i]),
            effect_high=float(effect_high[i]),
            rare=bool(rare[i]),
        )
        for i, alternative in enumerate(tried.alternatives)
    ]


def _effects(
    tried: Alternatives, model: _AdditiveModel, resampled: FloatArray, count: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the effect of each alternative [k] against the best one of its decision, and its 95% interval.

    Only alternatives that were tried are compared; the others have NaN.
    """
    effect, low, high = np.full((3, len(tried.alternatives)), np.nan)
    for columns in tried.columns.values():
        with_trials = columns[count[columns] > 0]
        if not len(with_trials):
            continue
        best = with_trials[model.beta[with_trials].argmin()]
        differences = resampled[:, with_trials] - resampled[:, [best]]
        effect[with_trials] = model.beta[with_trials] - model.beta[best]
        low[with_trials], high[with_trials] = np.quantile(differences, [0.025, 0.975], axis=0)
    return effect, low, high
