"""Importance: the share of the variance that each decision explains, and how often the best trials chose each alternative.

The importance of a decision is that of functional analysis of variance: the variance of its main effect over the space,
divided by the total variance (Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter
importance", ICML 2014, sections 2 and 3). The paper reads the main effects from a random forest. Here they come from an
additive ridge regression on the alternatives, fitted to all decisions at once. The regression needs fewer trials, corrects
for a strategy that tries some combinations more often than others, and allows a test against chance (with shuffled values)
and intervals (from the covariance of its coefficients). The remaining variance comes from interactions and noise.

Symbols: n trials, k alternatives, s sampled architectures, m vectors of costs, y [n] costs (less is better).
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
from ogive.stats.ridge import choose_penalty
from ogive.trial import Trial

MIN_TRIALS = 20
"""Importance is computed from at least this many trials with comparable values."""
MAX_TRIALS = 1500
"""At most this many trials are used. If there are more, a random sample of them is used."""
REPEATS = 200
"""The number of resampled coefficient vectors, and the number of shuffles of the values."""
SAMPLES = 1000
"""The number of architectures sampled from the space, over which the variance of an effect is computed."""
RIDGES = tuple(10.0**power for power in range(-4, 3))
"""The ridges that are tried; see `_penalty`."""
TOP_SHARE = 0.1
"""The share of the trials that counts as the best."""
MIN_BEST = 5
"""At least this many trials count as the best."""


@dataclass(frozen=True)
class Importance:
    """The main effect of a decision.

    Attributes:
        decision: the decision's name.
        share: the share of the variance of the values that the decision explains, from 0 to 1.
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
        """Whether the share is higher than expected by chance."""
        return self.share > self.chance


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """How often an alternative was chosen by the best trials and by all trials, among those in which its decision is active.

    Attributes:
        decision: the decision's name.
        text: the alternative as text: a label, or a range of numbers.
        ends: the first and the last label of a range; for other alternatives the label itself, twice.
        best_count: the number of best trials that chose the alternative.
        best_total: the number of best trials in which its decision is active.
        low, high: the 95% interval of best_count / best_total (Jeffreys).
        count: the number of trials that chose the alternative.
        total: the number of trials in which its decision is active.
        effect: the increase of the cost compared with the best alternative of the decision, all other decisions equal; NaN
            if the alternative was never tried.
        effect_low, effect_high: the 95% interval of the effect.
        is_rare: whether the alternative is significantly rarer among the best trials than among all trials, corrected for
            the number of alternatives.
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
    is_rare: bool

    @property
    def is_inferior(self) -> bool:
        """Whether the alternative is rarer among the best trials, and also worse with all other decisions equal.

        Rarity alone proves nothing: an alternative can be rare among the best only because it was often sampled together
        with a bad alternative of another decision.
        """
        return self.is_rare and self.effect_low > 0


@dataclass(frozen=True)
class ImportanceResult:
    """The importance of each decision, or the reason why it was not computed.

    Attributes:
        importances: the importance of each decision, the most important decision first.
        frequencies: the frequency of each alternative.
        explained: the share of the variance that all main effects explain together, by leave-one-out cross-validation.
        trials: the number of trials that were used.
        reason: why the importance was not computed; None if it was computed.
    """

    importances: Sequence[Importance] = ()
    frequencies: Sequence[Frequency] = ()
    explained: float = 0.0
    trials: int = 0
    reason: str | None = None


def compute_importance(
    space: Space, trials: Sequence[Trial], costs: Sequence[float], ranks: Sequence[int]
) -> ImportanceResult:
    """Compute the importance of each decision and the frequency of each alternative.

    Args:
        space: the search space of the trials.
        trials: the n trials; their values must be comparable and finite.
        costs: [n] the costs of the trials; for several objectives, one number that combines all of them.
        ranks: [n] the ranks of the trials by constraints and all objectives, 0 for the best.
    """
    n = len(trials)
    if n < MIN_TRIALS:
        reason = f"there are {plural(n, 'trial')} with comparable values, but at least {MIN_TRIALS} are needed"
        return ImportanceResult(reason=reason, trials=n)
    y = np.asarray(costs, dtype=np.float64)
    if y.max() == y.min():
        return ImportanceResult(reason="all trials have the same value", trials=n)
    rng = generator(0, "what mattered")
    is_best = _select_best(np.asarray(ranks))
    if n > MAX_TRIALS:
        sample = np.sort(rng.permutation(n)[:MAX_TRIALS])
        trials, y, is_best = [trials[i] for i in sample], y[sample], is_best[sample]
    tried = Alternatives.of(space, [trial.architecture for trial in trials])
    sampled = Alternatives.of(space, [space.sample(rng) for _ in range(SAMPLES)])
    clipped = _clip_outliers(y)
    # Divide by the largest value, so that squares of huge values stay finite.
    scale = float(np.abs(clipped).max())
    model = _AdditiveModel.fit(tried, sampled, clipped / scale)
    resampled = model.resample(rng)
    importances = model.compute_importances(resampled, rng)
    frequencies = _compute_frequencies(tried, is_best, model, resampled, scale)
    return ImportanceResult(importances, frequencies, model.explained, len(y))


def _select_best(ranks: IntArray) -> BoolArray:
    """Return a mask [n] of the best trials: about `TOP_SHARE` of all trials, but at least `MIN_BEST`.

    The trials that share the last rank are all selected. If this would select more than twice as many trials, none of them
    is selected, except that trials of the best rank always are.
    """
    target = max(MIN_BEST, round(TOP_SHARE * len(ranks)))
    last_rank = np.sort(ranks)[target - 1]
    with_ties = ranks <= last_rank
    has_few_ties = with_ties.sum() <= 2 * target or not (ranks < last_rank).any()
    return np.asarray(with_ties if has_few_ties else ranks < last_rank)


def _clip_outliers(y: FloatArray) -> FloatArray:
    """Return the values limited to Tukey's outer fences, so that one diverged trial does not dominate the variance."""
    low, high = np.quantile(y, [0.25, 0.75])
    # Tukey: the outer fences are three interquartile ranges away from the quartiles.
    distance = 3 * (high - low)
    return np.clip(y, low - distance, high + distance) if distance > 0 else y


@dataclass(frozen=True)
class _AdditiveModel:
    """A ridge regression of y on the alternatives.

    The columns are centred over the space, so that the effects of a decision's alternatives average to zero.

    Attributes:
        alternatives: the table of the trials and alternatives.
        x: [n, k] the centred columns of the trials.
        z: [s, k] the centred columns of architectures that were sampled from the space.
        y: [n] the costs of the trials.
        ridge: the ridge with the least leave-one-out error.
        beta: [k] the coefficients.
        explained: the share of the variance that the model explains, by leave-one-out cross-validation.
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
        """Fit the model to the costs `y` of the architectures in `tried`; `sampled` is a sample of the space."""
        x, z = (_centre(table, tried.expected) for table in (tried, sampled))
        ridge, explained = _choose_ridge(x, y)
        return _AdditiveModel(tried, x, z, y, ridge, _solve(x, y[:, None], ridge)[:, 0], max(0.0, explained))

    def resample(self, rng: np.random.Generator) -> FloatArray:
        """Return coefficients [REPEATS, k] that other samples of n trials might have given.

        They are drawn from a normal distribution with a covariance that holds for any distribution of the noise (the
        jackknife estimate HC3 of MacKinnon and White, Journal of Econometrics 1985). Refitting the model to resampled
        trials would take a thousand times as long.
        """
        centred = self.x - self.x.mean(axis=0)
        inverse = np.linalg.inv(_gram(centred, self.ridge))
        hat = centred @ inverse  # [n, k]
        # HC3: each residual divided by 1 - leverage, the residual of a trial that was left out of the fit. 1 / n is the
        # leverage of the intercept.
        leverage = (hat * centred).sum(axis=1) + 1 / len(self.y)
        residuals = (self.y - self.y.mean() - centred @ self.beta) / np.maximum(1 - leverage, 1e-6)
        weighted = hat * residuals[:, None]
        # The eigenvectors of the covariance, scaled by the roots of its eigenvalues, give a sample of that covariance.
        values, vectors = np.linalg.eigh(weighted.T @ weighted)
        noise = rng.normal(size=(REPEATS, len(values))) * np.sqrt(np.maximum(values, 0.0))
        return np.asarray(self.beta + noise @ vectors.T)

    def compute_importances(self, resampled: FloatArray, rng: np.random.Generator) -> list[Importance]:
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
            # The interval of the resampled shares is widened if it does not contain the share itself.
            importances.append(Importance(name, share, min(float(low), share), max(float(high), share), chance))
        return sorted(importances, key=lambda item: -item.share)

    def _predict(self, x: FloatArray) -> FloatArray:
        return np.asarray(x @ self.beta)


def _centre(table: Alternatives, expected: FloatArray) -> FloatArray:
    """Return [n, k]: 1 for a chosen alternative and 0 for others, minus `expected`; 0 where the decision is inactive."""
    return np.asarray(np.where(table.active, table.chosen - expected, 0.0))


def _penalty(ridge: float, trials: int) -> float:
    """Return the penalty on squared coefficients: a ridge of 1 weighs as much as a tenth of the trials."""
    return ridge * trials / 10


def _gram(centred: FloatArray, ridge: float) -> FloatArray:
    """Return the Gram matrix [k, k] of centred columns, with the penalty on its diagonal."""
    return np.asarray(centred.T @ centred + _penalty(ridge, len(centred)) * np.eye(centred.shape[1]))


def _solve(x: FloatArray, y: FloatArray, ridge: float) -> FloatArray:
    """Return ridge coefficients [k, m] for m vectors of costs y [n, m]; the intercept is not penalized."""
    centred = x - x.mean(axis=0)
    return np.linalg.solve(_gram(centred, ridge), centred.T @ y)


def _choose_ridge(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Return the ridge with the least leave-one-out error, and the share of the variance that it then explains."""
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    centred_y = y - y.mean()
    ridge_of_penalty = {_penalty(ridge, len(y)): ridge for ridge in RIDGES}
    penalty, mean_square_error = choose_penalty(u, s, centred_y, ridge_of_penalty)
    return ridge_of_penalty[penalty], 1 - mean_square_error / float(np.mean(centred_y**2))


def _compute_frequencies(
    tried: Alternatives, is_best: BoolArray, model: _AdditiveModel, resampled: FloatArray, scale: float
) -> list[Frequency]:
    """Return the frequency of each alternative. `scale` converts the model's coefficients to costs."""
    chosen, active = tried.chosen, tried.active
    count, total = chosen.sum(axis=0), active.sum(axis=0)
    best_count, best_total = chosen[is_best].sum(axis=0), active[is_best].sum(axis=0)
    low, high = proportion_interval(best_count, best_total)
    # Fisher's exact test of each alternative: the probability that so few of the best have it by chance.
    p_values = np.array(
        [hypergeometric_at_most(*map(int, row)) for row in zip(best_count, best_total, count, total, strict=True)]
    )
    is_rare = (correct_by_holm(p_values) <= FAMILY_LEVEL) & (count > 0)
    effect, effect_low, effect_high = (scale * values for values in _compute_effects(tried, model, resampled, count))
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
            is_rare=bool(is_rare[i]),
        )
        for i, alternative in enumerate(tried.alternatives)
    ]


def _compute_effects(
    tried: Alternatives, model: _AdditiveModel, resampled: FloatArray, count: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the effect of each alternative [k] compared with the best of its decision, and the 95% interval of the effect.

    Only alternatives that were tried are compared; the effect of the others is NaN.
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
