"""SMAC's forest compared with scikit-learn and the law of total variance, and its local search with enumeration."""

from __future__ import annotations

import numpy as np
import pytest

from ogive.seeds import generator
from ogive.space import Space, layer, one_of
from ogive.strategy import create
from ogive.strategy.smac import SMAC
from ogive.surrogates.random_forest import Forest
from ogive.trial import Pending, Proposal, Report, Status, Trial

SPACE = Space(layer(dict, *(one_of(0, 1, 2, 3, name=f"d{i}") for i in range(4))))


def finished_trial(number: int, proposal: Proposal, **metrics: float) -> Trial:
    return Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, metrics),))


def strategy_with_trials(trials: int, **options: float) -> SMAC:
    strategy = create("smac", SPACE, **options)
    assert isinstance(strategy, SMAC)
    for number in range(trials):
        architecture = SPACE.sample(generator(0, number))
        strategy.tell(finished_trial(number, Proposal(architecture), accuracy=float(sum(architecture.values()))))
    return strategy


def test_the_forest_predicts_means_and_variances() -> None:
    rng = generator(0)
    x, y, z = rng.random((80, 5)), rng.standard_normal(80), rng.random((20, 5))
    forest = Forest.fit(x, y, trees=7)
    mean, variance = forest.predict(z)
    model = forest._model
    assert mean == pytest.approx(model.predict(z.astype(np.float32)))
    moments = []
    for tree, rows in zip(model.estimators_, model.estimators_samples_, strict=True):
        leaves, targets = tree.apply(x[rows].astype(np.float32)), y[rows]
        groups = [targets[leaves == leaf] for leaf in tree.apply(z.astype(np.float32))]
        moments.append([(group.mean(), (group**2).mean()) for group in groups])
    first, second = np.array(moments).mean(axis=0).T  # moments of the mixture of all leaves
    assert mean == pytest.approx(first)
    assert variance == pytest.approx(np.maximum(second - first**2, 1e-10), abs=1e-9)


def test_the_proposal_has_the_greatest_expected_improvement_of_all_new_architectures() -> None:
    strategy = strategy_with_trials(40, random_fraction=0.0)
    model = strategy._model()
    assert model.forest is not None
    new = [a for a in SPACE.grid() if a.id not in model.evaluated]
    improvements = strategy._expected_improvement(model.forest, new, model.best_score)
    proposal = strategy.ask(generator(0), Pending(), {})
    improvement = strategy._expected_improvement(model.forest, [proposal.architecture], model.best_score)[0]
    assert improvement == pytest.approx(improvements.max())
    pending, ids = {}, set()
    for number in range(10):
        pending[100 + number] = strategy.ask(generator(1, number), Pending(pending), {})
        ids.add(pending[100 + number].architecture.id)
    assert len(ids) == 10, "no pending architecture is proposed again"
    assert not ids & model.evaluated


def test_the_forest_is_fitted_as_if_pending_trials_had_the_predicted_values() -> None:
    strategy = strategy_with_trials(40, random_fraction=0.0)
    model = strategy._model()
    assert model.forest is not None
    pending = [a for a in SPACE.grid() if a.id not in model.evaluated][:60]
    before = model.forest.predict(SPACE.encode(pending))
    after = strategy._condition_on_pending(model, pending).predict(SPACE.encode(pending))
    assert np.corrcoef(after[0], before[0])[0, 1] > 0.95
    assert np.median(after[1]) < 0.5 * np.median(before[1]), "pending architectures are less uncertain"
    first = strategy.ask(generator(0), Pending(), {})
    neighbors = [a for a in SPACE.neighbors(first.architecture) if a.id not in model.evaluated]
    second = strategy.ask(generator(0), Pending({100 + i: Proposal(a) for i, a in enumerate(neighbors)}), {})
    assert second.architecture != first.architecture, "its pending neighbours reduce its expected improvement"


def test_a_failed_architecture_counts_as_the_worst() -> None:
    strategy = strategy_with_trials(40)
    before = strategy._model().forest
    failing = [a for a in SPACE.grid() if a["d0"] == 3][:30]
    for number, architecture in enumerate(failing, 40):
        strategy.tell(Trial(number, Proposal(architecture), status=Status.OUT_OF_MEMORY))
    after = strategy._model().forest
    assert before is not None
    assert after is not None
    others = SPACE.encode([a for a in SPACE.grid() if a["d0"] == 3][30:])
    second_best = SPACE.encode([a for a in SPACE.grid() if a["d0"] == 2])
    assert before.predict(others)[0].mean() < before.predict(second_best)[0].mean(), "3 is the better label"
    assert after.predict(others)[0].mean() > after.predict(second_best)[0].mean(), (
        "after the failures it is the worse label"
    )


def test_the_best_of_256_architectures_is_found_in_60_trials() -> None:
    strategy = create("smac", SPACE)
    for number in range(60):
        proposal = strategy.ask(generator(3, number), Pending(), {})
        strategy.tell(finished_trial(number, proposal, accuracy=float(sum(proposal.architecture.values()))))
        if sum(proposal.architecture.values()) == 12:
            return
    pytest.fail("the best of 256 architectures was not found in 60 trials")


def test_random_proposals_are_interleaved_and_long_searches_subsample() -> None:
    strategy = strategy_with_trials(60, random_fraction=0.5, max_fit=30)
    notes = [strategy.ask(generator(4, i), Pending(), {}).note for i in range(60)]
    random = sum(note["origin"] == "random" for note in notes)
    assert 18 < random < 42
    assert all((n["fitted_on"], n["of"]) == (30, 60) for n in notes if n["origin"] == "model")
