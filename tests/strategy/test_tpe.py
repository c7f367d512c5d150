"""Parzen estimators and TPE compared with Optuna's; conditions; pending and failed trials."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters

from ogive.bench.synthetic import nk
from ogive.errors import JobError
from ogive.seeds import generator
from ogive.space import Space, integer, layer, one_of, real, some_of
from ogive.strategy import create
from ogive.strategy.tpe import TPE, _trial_weights
from ogive.surrogates.parzen import Mixture, collect_label_columns, make_normal_reference_kernel, make_tpe_kernel
from ogive.testing.spaces import SPACES, conditional
from ogive.testing.strategies import check_strategy
from ogive.trial import Pending, Proposal, Report, Status, Trial

optuna.logging.set_verbosity(optuna.logging.ERROR)
MIXED = Space(layer(dict, real(0.0, 1.0, name="x"), integer(0, 999_999, name="n"), one_of("a", "b", "c", name="c")))


def finished_trial(number: int, proposal: Proposal, **metrics: float) -> Trial:
    return Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, metrics),))


@pytest.mark.parametrize("multivariate", [True, False])
def test_conforms(multivariate: bool) -> None:
    options: dict[str, Any] = {"initial": 4, "candidates": 4, "multivariate": multivariate, "gamma": 0.3}
    check_strategy(lambda s, o, c: TPE(s, o, c, **options), another_process=False)


@pytest.mark.parametrize("n", [1, 2, 7, 60])
def test_densities_equal_those_of_optuna(n: int) -> None:
    trials = [MIXED.sample(generator(0, "seen", i)) for i in range(n)]
    points = [MIXED.sample(generator(0, "asked", i)) for i in range(50)]
    weights = np.append(_trial_weights(n), 1.0)
    kernels = [make_tpe_kernel(d.domain, collect_label_columns(MIXED, trials)[d.name], 1.0) for d in MIXED.decisions]
    ours = Mixture(MIXED.decisions, kernels, weights / weights.sum()).log_density(points)
    distributions = {
        "x": optuna.distributions.FloatDistribution(0.0, 1.0),
        "n": optuna.distributions.IntDistribution(0, 999_999),
        "c": optuna.distributions.CategoricalDistribution(("a", "b", "c")),
    }
    parameters = _ParzenEstimatorParameters(1.0, True, False, optuna.samplers._tpe.sampler.default_weights, True)

    def arrays(architectures: list[Any]) -> dict[str, np.ndarray]:
        return {
            name: np.array([distribution.to_internal_repr(a[name]) for a in architectures])
            for name, distribution in distributions.items()
        }

    theirs = _ParzenEstimator(arrays(trials), distributions, parameters).log_pdf(arrays(points))
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_densities_sum_to_one_and_samples_follow_them() -> None:
    space = Space(layer(dict, integer(1, 64, log=True, name="n"), one_of(0, 1, 2, name="c")))
    trials = [space.sample(generator(0, i)) for i in range(6)]
    everything = list(space.grid())
    columns = collect_label_columns(space, trials)
    for make in (
        lambda d: make_tpe_kernel(d.domain, columns[d.name], 1.0),
        lambda d: make_normal_reference_kernel(
            d.domain, columns[d.name], dimensions=2, min_width=1e-3, width_factor=1.0
        ),
    ):
        kernels = [make(decision) for decision in space.decisions]
        n = 7 if len(kernels[1].p) == 7 else 6  # type: ignore[attr-defined]
        mixture = Mixture(space.decisions, kernels, np.full(n, 1 / n))
        p = np.exp(mixture.log_density(everything))
        assert p.sum() == pytest.approx(1.0)
        rng = generator(1)
        samples = [tuple(mixture.draw(rng).values()) for _ in range(20_000)]
        shares = np.array([samples.count(tuple(a.values())) for a in everything]) / len(samples)
        assert np.abs(shares - p).sum() < 0.12, "total variation"


def test_subsets_are_drawn_with_an_allowed_number_of_members() -> None:
    space = Space(layer(dict, some_of((2, 3), "a", "b", "c", "d", "e", name="s")))
    trials = [space.sample(generator(0, i)) for i in range(5)]
    kernel = make_tpe_kernel(space.decisions[0].domain, [a["s"] for a in trials], 1.0)
    rng = generator(2)
    samples = [kernel.draw(i % 6, rng) for i in range(300)]
    assert {len(s) for s in samples} == {2, 3}
    assert all(space.decisions[0].domain.parse(s) == s for s in samples)


@pytest.mark.parametrize("multivariate", [True, False])
def test_the_tree_of_conditions_is_respected(multivariate: bool) -> None:
    """Good trials have pooling in their first block, which has no kernel size."""
    space = conditional()
    strategy = TPE(space, (create("random", space).objectives[0],), initial=5, multivariate=multivariate)
    first = next(d.name for d in space.decisions if d.name.endswith("op"))
    for number in range(60):
        architecture = space.sample(generator(5, number))
        strategy.tell(finished_trial(number, Proposal(architecture), accuracy=float(architecture[first] == "pool")))
    proposals = [strategy.ask(generator(6, i), Pending(), {}) for i in range(40)]
    assert all(p.note["origin"] == "model" for p in proposals)
    assert np.mean([p.architecture[first] == "pool" for p in proposals]) > 0.8
    assert all(space.architecture(p.architecture.to_json()) == p.architecture for p in proposals)


def test_the_densities_of_a_decision_are_fitted_to_the_trials_in_which_it_is_active() -> None:
    """There are 5 good and 2 other deep architectures, and 15 and 18 flat ones, which have no width."""
    deep = one_of(flat=layer(dict), deep=layer(dict, one_of(*range(5), name="width")), name="kind")
    space = Space(layer(dict, deep))
    flat = {"kind": "flat"}
    groups = {1.0: ([3, 3, 3, 3, 1], 15), 0.0: ([3, 3], 18)}

    def proposed_widths(candidates: int, asks: int) -> list[int]:
        options: dict[str, Any] = {"initial": 5, "gamma": 0.5, "multivariate": False, "candidates": candidates}
        strategy = TPE(space, (create("random", space).objectives[0],), **options)
        trials = [
            (accuracy, choices)
            for accuracy, (widths, flats) in groups.items()
            for choices in [*({"kind": "deep", "width": width} for width in widths), *[flat] * flats]
        ]
        for number, (accuracy, choices) in enumerate(trials):
            strategy.tell(finished_trial(number, Proposal(space.architecture(choices)), accuracy=accuracy))
        architectures = [strategy.ask(generator(7, i), Pending(), {}).architecture for i in range(asks)]
        return [int(a["width"]) for a in architectures if a["kind"] == "deep"]

    distribution = optuna.distributions.CategoricalDistribution(tuple(range(5)))
    parameters = _ParzenEstimatorParameters(1.0, True, False, optuna.samplers._tpe.sampler.default_weights, False)
    every = {"width": np.arange(5.0)}
    l, g = (  # noqa: E741
        np.exp(_ParzenEstimator({"width": np.array(w, float)}, {"width": distribution}, parameters).log_pdf(every))
        for w, _ in groups.values()
    )
    widths = proposed_widths(candidates=1, asks=1000)  # with one candidate, samples of l
    assert widths.count(3) / len(widths) == pytest.approx(l[3], abs=0.08), "0.32 if flat architectures counted"
    best = int(np.argmax(l / g))
    assert best == 1, "if flat architectures counted, g would be more uniform, and 3 the best"
    assert np.mean(np.array(proposed_widths(candidates=24, asks=60)) == best) > 0.9


def test_pending_architectures_are_avoided() -> None:
    space = Space(layer(dict, *(one_of(0, 1, 2, name=f"d{i}") for i in range(3))))
    strategy = create("tpe", space, initial=5)
    for number in range(20):
        architecture = space.sample(generator(0, number))
        strategy.tell(finished_trial(number, Proposal(architecture), accuracy=float(sum(architecture.values()))))
    alone = [strategy.ask(generator(1, i), Pending(), {}).architecture for i in range(40)]
    favourite = max(set(alone), key=alone.count)
    pending = Pending({100 + i: Proposal(favourite) for i in range(5)})
    with_pending = [strategy.ask(generator(1, i), pending, {}).architecture for i in range(40)]
    assert with_pending.count(favourite) < 0.7 * alone.count(favourite)


def test_failures_of_an_architecture_count_among_the_others_and_lost_hosts_do_not() -> None:
    space = SPACES["conditional"]()
    strategy = TPE(space, (create("random", space).objectives[0],), initial=5, gamma=0.25)
    proposals = [Proposal(space.sample(generator(0, n))) for n in range(14)]
    for number, proposal in enumerate(proposals[:12]):
        strategy.tell(finished_trial(number, proposal, accuracy=number / 12))
    strategy.tell(Trial(12, proposals[12], status=Status.OUT_OF_MEMORY))
    strategy.tell(Trial(13, proposals[13], status=Status.LOST))
    split = strategy._split_trials()
    assert split.good == [proposal.architecture for proposal in proposals[9:12]]
    assert split.bad == [proposal.architecture for proposal in (*proposals[:9], proposals[12])]


def test_tpe_finds_architectures_as_good_as_optunas() -> None:
    """A rugged landscape of 4^7 architectures, 80 trials, 8 seeds; both multivariate."""
    problem = nk(n=7, k=2, alternatives=4, seed=1)
    space, seeds, trials = problem.space, 8, 80
    names = [d.name for d in space.decisions]
    labels = space.decisions[0].domain.labels  # type: ignore[attr-defined]

    def value(choices: Any) -> float:
        return float(problem.truth(space.architecture(choices))["accuracy"])

    ours, theirs, random = [], [], []
    for seed in range(seeds):
        for name, results in (("tpe", ours), ("random", random)):
            strategy, best = create(name, space), 0.0
            for number in range(trials):
                proposal = strategy.ask(generator(seed, number), Pending(), {})
                strategy.tell(finished_trial(number, proposal, accuracy=value(proposal.architecture.to_json())))
                best = max(best, value(proposal.architecture.to_json()))
            results.append(best)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(lambda t: value({n: t.suggest_categorical(n, labels) for n in names}), n_trials=trials)
        theirs.append(study.best_value)
    error = np.hypot(np.std(ours, ddof=1), np.std(theirs, ddof=1)) / np.sqrt(seeds)
    assert abs(np.mean(ours) - np.mean(theirs)) < 3 * error
    assert np.mean(ours) > np.mean(random) + error


def test_long_searches_subsample_and_note_it() -> None:
    space = SPACES["conditional"]()
    strategy = create("tpe", space, max_fit=60)
    for number in range(200):
        strategy.tell(finished_trial(number, Proposal(space.sample(generator(0, number))), accuracy=number / 200))
    note = strategy.ask(generator(1), Pending(), {}).note
    assert (note["fitted_on"], note["of"]) == (60, 200)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": 2}, "gamma is 2, but must be a number from 0 to 1"),
        ({"multivariate": "yes"}, "multivariate is 'yes', but must be true or false"),
        ({"prior_weight": 0}, "prior_weight is 0, but must be a number above 0"),
        ({"candidate": 3}, r"no option 'candidate' \(did you mean 'candidates'\?\)"),
    ],
)
def test_an_error_names_the_wrong_option(options: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError, match=message):
        create("tpe", MIXED, **options)
