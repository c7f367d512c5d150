"""SMAC's forest against scikit-learn's predictions and the law of total variance; its local search against enumeration."""

from __future__ import annotations

import numpy as np
import pytest

from ogive.seeds import generator
from ogive.space import Space, layer, one_of
from ogive.strategy import create
from ogive.strategy.smac import SMAC, Forest
from ogive.trial import Pending, Proposal, Report, Status, Trial

SPACE = Space(layer(dict, *(one_of(0, 1, 2, 3, name=f"d{i}") for i in range(4))))


def told(number: int, proposal: Proposal, **metrics: float) -> Trial:
    return Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, metrics),))


def filled(trials: int, **options: float) -> SMAC:
    strategy = create("smac", SPACE, **options)
    assert isinstance(strategy, SMAC)
    for number in range(trials):
        architecture = SPACE.sample(generator(0, number))
        strategy.tell(told(number, Proposal(architecture), accuracy=float(sum(architecture.values()))))
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
    first, second = np.array(moments).mean(axis=0).T  # of the mixture of all leaves
    assert mean == pytest.approx(first)
    assert variance == pytest.approx(np.maximum(second - first**2, 1e-10), abs=1e-9)


def test_what_is_proposed_promises_most_of_all_that_is_open() -> None:
    strategy = filled(40, random_fraction=0.0)
    known = strategy._fitted()
    assert known.forest is not None
    rest = [a for a in SPACE.grid() if a.id not in known.ids]
    gains = strategy._gain(known.forest, rest, known.best_score)
    proposal = strategy.ask(generator(0), Pending(), {})
    assert strategy._gain(known.forest, [proposal.architecture], known.best_score)[0] == pytest.approx(gains.max())
    pending, found = {}, set()
    for number in range(10):
        pending[100 + number] = strategy.ask(generator(1, number), Pending(pending), {})
        found.add(pending[100 + number].architecture.id)
    assert len(found) == 10, "none twice while they are in flight"
    assert not found & known.ids


def test_what_is_in_flight_is_believed_to_come_out_as_predicted() -> None:
    strategy = filled(40, random_fraction=0.0)
    known = strategy._fitted()
    assert known.forest is not None
    flying = [a for a in SPACE.grid() if a.id not in known.ids][:60]
    before = known.forest.predict(SPACE.encode(flying))
    after = strategy._believing(known, flying).predict(SPACE.encode(flying))
    assert np.corrcoef(after[0], before[0])[0, 1] > 0.95
    assert np.median(after[1]) < 0.5 * np.median(before[1]), "it is known by then, so there is less to learn"
    favourite = strategy.ask(generator(0), Pending(), {})
    near = [a for a in SPACE.neighbors(favourite.architecture) if a.id not in known.ids]
    beside = strategy.ask(generator(0), Pending({100 + i: Proposal(a) for i, a in enumerate(near)}), {})
    assert beside.architecture != favourite.architecture, "though it is not in flight itself"


def test_what_failed_by_itself_counts_as_the_worst() -> None:
    strategy = filled(40)
    before = strategy._fitted().forest
    failing = [a for a in SPACE.grid() if a["d0"] == 3][:30]
    for number, architecture in enumerate(failing, 40):
        strategy.tell(Trial(number, Proposal(architecture), status=Status.OUT_OF_MEMORY))
    after = strategy._fitted().forest
    assert before is not None
    assert after is not None
    others = SPACE.encode([a for a in SPACE.grid() if a["d0"] == 3][30:])
    rest = SPACE.encode([a for a in SPACE.grid() if a["d0"] == 2])
    assert before.predict(others)[0].mean() < before.predict(rest)[0].mean(), "3 is the better label"
    assert after.predict(others)[0].mean() > after.predict(rest)[0].mean(), "but it fails"


def test_finds_the_best_of_a_space_without_traps_in_few_trials() -> None:
    strategy = create("smac", SPACE)
    for number in range(60):
        proposal = strategy.ask(generator(3, number), Pending(), {})
        strategy.tell(told(number, proposal, accuracy=float(sum(proposal.architecture.values()))))
        if sum(proposal.architecture.values()) == 12:
            return
    pytest.fail("the best of 256 architectures was not found in 60 trials")


def test_random_ones_are_interleaved_and_long_searches_subsample() -> None:
    strategy = filled(60, random_fraction=0.5, max_fit=30)
    notes = [strategy.ask(generator(4, i), Pending(), {}).note for i in range(60)]
    random = sum(note["origin"] == "random" for note in notes)
    assert 18 < random < 42
    assert all((n["fitted_on"], n["of"]) == (30, 60) for n in notes if n["origin"] == "model")
