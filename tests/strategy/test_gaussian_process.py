"""The Gaussian process against scikit-learn's, expected improvement against sampling."""

from __future__ import annotations

import numpy as np
import pytest

from ogive.objective import objectives
from ogive.seeds import generator
from ogive.space import Space, integer, layer, one_of
from ogive.strategy.gaussian_process import GaussianProcess, expected_improvement, fit, kernel
from ogive.trial import Pending, Proposal, Report, Status, Trial

SPACE = Space(layer(dict, *(one_of(*range(4), name=f"d{i}") for i in range(5)), integer(1, 9, name="n")))


def test_posterior_and_marginal_likelihood_are_those_of_scikit_learn() -> None:
    gp = pytest.importorskip("sklearn.gaussian_process")
    rng = np.random.default_rng(0)
    x, z = (SPACE.encode([SPACE.sample(rng) for _ in range(40)]) for _ in range(2))
    y = rng.standard_normal(40)
    theirs = gp.GaussianProcessRegressor(
        gp.kernels.PairwiseKernel(gamma=0.3, metric="laplacian"), alpha=0.01, optimizer=None
    ).fit(x, y)
    mine = fit(x, y, gamma=0.3, noise=0.01)
    mean, deviation = theirs.predict(z, return_std=True)
    np.testing.assert_allclose(mine.predict(z)[0], mean, atol=1e-9)
    np.testing.assert_allclose(mine.predict(z)[1], deviation, atol=1e-6)
    assert mine.log_marginal_likelihood == pytest.approx(theirs.log_marginal_likelihood_value_)


def test_the_kernel_is_exponentiated_hamming_distance_on_categories() -> None:
    a, b = ({f"d{i}": 0 for i in range(5)} | {"n": 5}, {f"d{i}": int(i < 3) for i in range(5)} | {"n": 5})
    encoded = SPACE.encode([SPACE.architecture(a), SPACE.architecture(b)])
    assert kernel(encoded, encoded, 0.25)[0, 1] == pytest.approx(np.exp(-0.25 * 2 * 3))


def test_expected_improvement_by_sampling() -> None:
    draws = np.random.default_rng(0).normal(0.3, 0.8, size=400_000)
    expected = np.maximum(0.1 - draws, 0).mean()
    assert expected_improvement(np.array([0.3]), np.array([0.8]), best=0.1)[0] == pytest.approx(expected, rel=0.01)


def told(strategy: GaussianProcess, trials: int) -> list[float]:
    values = []
    for number in range(trials):
        proposal = strategy.ask(generator(0, number), Pending(), {})
        architecture = proposal.architecture
        values.append(-sum(abs(architecture[f"d{i}"] - i % 4) for i in range(5)) - abs(architecture["n"] - 7) / 2)
        reports = (Report(1, {"accuracy": values[-1]}),)
        strategy.tell(Trial(number, proposal, status=Status.FINISHED, reports=reports))
    return values


def test_finds_the_optimum_of_9216_within_60_trials() -> None:
    assert max(told(GaussianProcess(SPACE, objectives("accuracy")), 60)) == 0


def test_says_on_how_many_trials_it_was_fitted() -> None:
    strategy = GaussianProcess(SPACE, objectives("accuracy"), max_fit=15)
    told(strategy, 24)
    assert dict(strategy.ask(generator(1), Pending(), {}).note) == {"fitted_on": 15, "of": 24}


def test_what_is_in_flight_is_not_proposed_again_and_moves_the_next_proposal() -> None:
    strategy = GaussianProcess(SPACE, objectives("accuracy"))
    told(strategy, 20)
    pending: dict[int, Proposal] = {}
    for number in range(20, 28):
        pending[number] = strategy.ask(generator(1), Pending(pending), {})
    assert len({proposal.architecture.id for proposal in pending.values()}) == 8
