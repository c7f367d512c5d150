"""The coverage of the 95% intervals of rank correlations, and the calibration of the probability of being the true best.

    python benchmarks/rank_statistics.py [--simulations 2000]

Pairs are drawn from a Gaussian copula, a t copula with 3 degrees of freedom, and Clayton's copula. Ogive's interval is
compared with Fisher's z (variances of Fieller et al. 1957 and of Bonett and Wright 2000), and with the percentile bootstrap
over pairs. The true values are estimated from a million pairs.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ogive.stats.best_probability import best_probabilities, estimate_noise
from ogive.stats.rank_correlation import STATISTICS, correlation_interval

FloatArray = NDArray[np.float64]
RESAMPLES = 500
SIZES = (5, 10, 20)
CORRELATIONS = (0.0, 0.5, 0.8, 0.95)


def draw(copula: str, r: float, shape: tuple[int, int], rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw pairs x, y of `shape`. The parameter of Clayton's copula gives the same Kendall's tau as r in the other two."""
    tau = 2 / math.pi * math.asin(r)
    if copula == "clayton":
        theta = 2 * tau / (1 - tau)
        frailty = rng.gamma(1 / theta, 1, shape)
        x, y = ((1 + rng.exponential(size=shape) / frailty) ** (-1 / theta) for _ in range(2))
        return x, y
    x, e = rng.standard_normal((2, *shape))
    y = r * x + math.sqrt(1 - r * r) * e
    heavy = np.sqrt(rng.chisquare(3, shape) / 3) if copula == "t3" else 1.0
    return x / heavy, y / heavy


def truth(name: str, copula: str, r: float, rng: np.random.Generator) -> float:
    """Return the value of a statistic for a million pairs, as computed by SciPy."""
    x, y = draw(copula, r, (1, 1_000_000), rng)
    statistic = stats.kendalltau if name == "kendall" else stats.spearmanr
    return float(statistic(x[0], y[0]).statistic)


def fisher(name: str, n: int, value: float) -> tuple[float, float]:
    """Return Fisher's interval: tanh(artanh(value) -+ 1.96 s)."""
    variance = 0.437 / (n - 4) if name == "kendall" else (1 + value**2 / 2) / (n - 3)
    z, half = math.atanh(min(max(value, -0.9999), 0.9999)), 1.96 * math.sqrt(variance)
    return math.tanh(z - half), math.tanh(z + half)


def percentile(name: str, x: FloatArray, y: FloatArray, rng: np.random.Generator) -> tuple[float, float]:
    """Return the 2.5 and 97.5% quantiles over resampled pairs."""
    indices = rng.integers(len(x), size=(RESAMPLES, len(x)))
    with np.errstate(invalid="ignore"):
        values = STATISTICS[name](x[indices], y[indices])
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)


def print_coverage(simulations: int) -> None:
    """Print how often each interval contains the true value, in per cent."""
    rng = np.random.default_rng(0)
    print(f"{'n':>3} {'copula':8} {'r':>5} {'statistic':9} {'true':>6} {'Ogive':>7} {'Fisher z':>9} {'percentile':>11}")
    lowest: dict[tuple[int, str], float] = {}
    for n in SIZES:
        for copula in ("normal", "t3", "clayton"):
            for r in CORRELATIONS[copula == "clayton" :]:
                x, y = draw(copula, r, (simulations, n), rng)
                for name in STATISTICS:
                    true = truth(name, copula, r, rng)
                    covered = np.zeros(3)
                    for a, b, value in zip(x, y, STATISTICS[name](x, y), strict=True):
                        value = float(value)
                        bounds = (
                            correlation_interval(name, n, value),
                            fisher(name, n, value),
                            percentile(name, a, b, rng),
                        )
                        covered += [low <= true <= high for low, high in bounds]
                    ours, z, bootstrap = 100 * covered / simulations
                    lowest[n, name] = min(lowest.get((n, name), 100.0), ours)
                    print(
                        f"{n:3} {copula:8} {r:5.2f} {name:9} {true:6.2f} {ours:7.1f} {z:9.1f} {bootstrap:11.1f}",
                        flush=True,
                    )
    for (n, name), share in lowest.items():
        print(f"n = {n}, {name}: Ogive's interval contains the true value in at least {share:.1f}%")


def print_calibration(simulations: int) -> None:
    """Print how often the best of the search is the true best, by the computed probability of it."""
    rng = np.random.default_rng(1)
    print("\nprobability that the best of the search is the true best: 10 finalists, 3 seeds, three distributions")
    print(f"{'noise':>6}" + "".join(f"{f'{low:.1f} to {high:.1f}':>24}" for low, high in BINS))
    for spread in (0.3, 1.0, 2.0):
        computed, outcomes = [], []
        for number in range(simulations):
            true = (rng.normal(size=10), rng.exponential(size=10), rng.uniform(-1.7, 1.7, 10))[number % 3]
            searched = true + rng.normal(size=10)
            values = list(true[:, None] + spread * rng.normal(size=(10, 3)))
            best = int(searched.argmax())
            computed.append(best_probabilities(values, "maximize", estimate_noise(values), searched)[best])
            outcomes.append(true.argmax() == best)
        predicted, actual = np.array(computed), np.array(outcomes)
        cells = []
        for low, high in BINS:
            group = (predicted >= low) & (predicted < high + (high == 1))
            cells.append(f"{predicted[group].mean():.2f} said, {actual[group].mean():.2f} true" if group.any() else "-")
        print(f"{spread:6.1f}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


BINS = ((0.0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 0.9), (0.9, 1.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000)
    options = parser.parse_args()
    print_coverage(options.simulations)
    print_calibration(options.simulations // 4)


if __name__ == "__main__":
    main()
