"""Regularized evolution against a simulation written from the paper, and its rules one by one."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from ogive.errors import JobError
from ogive.objective import objectives
from ogive.seeds import generator
from ogive.space import Architecture, Space, layer, one_of
from ogive.strategy.regularized_evolution import RegularizedEvolution
from ogive.trial import Pending, Proposal, Report, Status, Trial

SPACE = Space(layer(dict, *(one_of(0, 1, 2, 3, name=f"d{i}") for i in range(8))))
ACCURACY = objectives("accuracy")


def fitness(architecture: Architecture) -> float:
    return float(sum(architecture.values())) + 0.01 * architecture["d0"] * architecture["d7"]


def told(number: int, proposal: Proposal, *values: float, status: Status = Status.FINISHED) -> Trial:
    reports = tuple(Report(step, {"accuracy": value}) for step, value in enumerate(values, 1))
    return Trial(number, proposal, status=status, reports=reports)


def algorithm_1(p: int, s: int, c: int, seed: int) -> list[Architecture]:
    """Algorithm 1 of Real et al. (2019), line by line, drawn with the generators that `ask` is given."""
    population: deque[tuple[Architecture, float]] = deque()
    history: list[Architecture] = []
    while len(history) < c:
        rng = generator(seed, len(history))
        if len(history) < p:
            child = SPACE.sample(rng)
        else:
            newest_first = list(reversed(population))
            sample = [newest_first[i] for i in rng.integers(p, size=s)]
            parent = max(sample, key=lambda model: model[1])
            child = SPACE.mutate(parent[0], rng)
        population.append((child, fitness(child)))
        history.append(child)
        if len(population) > p:
            population.popleft()
    return history


def test_takes_the_steps_of_algorithm_1() -> None:
    strategy, found = RegularizedEvolution(SPACE, ACCURACY, population=20, sample=5), []
    for number in range(300):
        proposal = strategy.ask(generator(3, number), Pending(), {})
        found.append(proposal.architecture)
        strategy.tell(told(number, proposal, fitness(proposal.architecture)))
    assert found == algorithm_1(p=20, s=5, c=300, seed=3)
    assert np.mean([fitness(a) for a in found[-50:]]) > np.mean([fitness(a) for a in found[:50]]) + 3


def filled(values: list[float], **options: int) -> RegularizedEvolution:
    strategy = RegularizedEvolution(SPACE, ACCURACY, **options)
    for number, value in enumerate(values):
        strategy.tell(told(number, Proposal(SPACE.sample(generator(0, number))), value))
    return strategy


def parents(strategy: RegularizedEvolution, pending: Pending = Pending()) -> set[int | None]:  # noqa: B008
    return {strategy.ask(generator(9, i), pending, {}).note.get("parent") for i in range(60)}


def test_the_oldest_dies_however_good() -> None:
    assert parents(filled([9, 1, 2, 3], population=3, sample=30)) == {3}


def test_is_random_until_the_population_is_full_or_on_its_way() -> None:
    proposal = Proposal(SPACE.sample(generator(0)))
    assert parents(filled([1, 2], population=4, sample=1)) == {None}
    assert parents(filled([1, 2], population=4, sample=1), Pending({7: proposal, 8: proposal})) == {0, 1}
    assert parents(filled([], population=1), Pending({7: proposal, 8: proposal})) == {None}


def test_failed_trials_have_no_children_and_leave_their_place() -> None:
    strategy = filled([1, 2, 3], population=3, sample=30)
    proposal = Proposal(SPACE.sample(generator(1)))
    strategy.tell(told(3, proposal, 9, status=Status.ERROR))
    assert parents(strategy) == {2}
    strategy.tell(told(2, proposal, 3, status=Status.OUT_OF_MEMORY))
    assert parents(strategy) == {None}, "two have a value, so it is random again"


def test_a_trial_told_again_keeps_its_place_in_the_queue() -> None:
    strategy = filled([5, 1, 2], population=3, sample=30)
    proposal = Proposal(SPACE.sample(generator(1)))
    strategy.tell(told(0, proposal, 5, 9))
    assert parents(strategy) == {0}
    strategy.tell(told(3, proposal, 1))
    assert parents(strategy) == {2}, "trial 0 is still the oldest, and has died"


def test_trials_are_compared_where_all_of_the_sample_have_been() -> None:
    """After one epoch trial 1 is better; that trial 0 has become better since, nobody knows of trial 1."""
    strategy = RegularizedEvolution(SPACE, ACCURACY, population=2, sample=30)
    strategy.tell(told(0, Proposal(SPACE.sample(generator(0))), 0.2, 0.8))
    strategy.tell(told(1, Proposal(SPACE.sample(generator(1))), 0.4, status=Status.PAUSED))
    assert parents(strategy) == {1}


def test_where_nothing_can_be_mutated_it_samples_and_says_so() -> None:
    def even(architecture: Architecture) -> str | None:
        return "odd" if architecture["a"] != architecture["b"] else None

    space = Space(layer(dict, one_of(1, 2, name="a"), one_of(1, 2, name="b")), constraint=even)
    strategy = RegularizedEvolution(space, ACCURACY, population=1)
    strategy.tell(told(0, Proposal(space.sample(generator(0))), 0.5))
    assert "the constraint refused" in strategy.ask(generator(0), Pending(), {}).note["instead_of_mutation"]


def test_wrong_options_are_named() -> None:
    with pytest.raises(JobError, match="population is 0, but must be a whole number of at least 1"):
        RegularizedEvolution(SPACE, ACCURACY, population=0)
