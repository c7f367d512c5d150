"""Regularized evolution compared with algorithm 1 of the paper, and each of its rules."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from ogive.errors import JobError
from ogive.objective import parse_objectives
from ogive.seeds import generator
from ogive.space import Architecture, Space, layer, one_of
from ogive.strategy.regularized_evolution import RegularizedEvolution
from ogive.trial import Pending, Proposal, Report, Status, Trial

SPACE = Space(layer(dict, *(one_of(0, 1, 2, 3, name=f"d{i}") for i in range(8))))
ACCURACY = parse_objectives("accuracy")


def fitness(architecture: Architecture) -> float:
    return float(sum(architecture.values())) + 0.01 * architecture["d0"] * architecture["d7"]


def trial_with_values(number: int, proposal: Proposal, *values: float, status: Status = Status.FINISHED) -> Trial:
    reports = tuple(Report(step, {"accuracy": value}) for step, value in enumerate(values, 1))
    return Trial(number, proposal, status=status, reports=reports)


def algorithm_1(p: int, s: int, c: int, seed: int) -> list[Architecture]:
    """Return the architectures of algorithm 1 of Real et al. (2019), with the random numbers that `ask` receives."""
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


def test_the_strategy_takes_the_steps_of_algorithm_1() -> None:
    strategy, history = RegularizedEvolution(SPACE, ACCURACY, population=20, sample=5), []
    for number in range(300):
        proposal = strategy.ask(generator(3, number), Pending(), {})
        history.append(proposal.architecture)
        strategy.tell(trial_with_values(number, proposal, fitness(proposal.architecture)))
    assert history == algorithm_1(p=20, s=5, c=300, seed=3)
    assert np.mean([fitness(a) for a in history[-50:]]) > np.mean([fitness(a) for a in history[:50]]) + 3


def strategy_with_values(values: list[float], **options: int) -> RegularizedEvolution:
    strategy = RegularizedEvolution(SPACE, ACCURACY, **options)
    for number, value in enumerate(values):
        strategy.tell(trial_with_values(number, Proposal(SPACE.sample(generator(0, number))), value))
    return strategy


def collect_parents(strategy: RegularizedEvolution, pending: Pending = Pending()) -> set[int | None]:  # noqa: B008
    return {strategy.ask(generator(9, i), pending, {}).note.get("parent") for i in range(60)}


def test_the_oldest_member_leaves_even_if_it_is_the_best() -> None:
    assert collect_parents(strategy_with_values([9, 1, 2, 3], population=3, sample=30)) == {3}


def test_proposals_are_random_until_enough_trials_are_in_the_population_or_pending() -> None:
    proposal = Proposal(SPACE.sample(generator(0)))
    assert collect_parents(strategy_with_values([1, 2], population=4, sample=1)) == {None}
    assert collect_parents(
        strategy_with_values([1, 2], population=4, sample=1), Pending({7: proposal, 8: proposal})
    ) == {0, 1}
    assert collect_parents(strategy_with_values([], population=1), Pending({7: proposal, 8: proposal})) == {None}


def test_failed_trials_have_no_children_and_leave_the_population() -> None:
    strategy = strategy_with_values([1, 2, 3], population=3, sample=30)
    proposal = Proposal(SPACE.sample(generator(1)))
    strategy.tell(trial_with_values(3, proposal, 9, status=Status.ERROR))
    assert collect_parents(strategy) == {2}
    strategy.tell(trial_with_values(2, proposal, 3, status=Status.OUT_OF_MEMORY))
    assert collect_parents(strategy) == {None}, "only two trials have a value, so the proposal is random"


def test_a_later_record_of_a_trial_keeps_its_position_in_the_queue() -> None:
    strategy = strategy_with_values([5, 1, 2], population=3, sample=30)
    proposal = Proposal(SPACE.sample(generator(1)))
    strategy.tell(trial_with_values(0, proposal, 5, 9))
    assert collect_parents(strategy) == {0}
    strategy.tell(trial_with_values(3, proposal, 1))
    assert collect_parents(strategy) == {2}, "trial 0 was the oldest, and has left"


def test_trials_are_compared_at_the_highest_step_that_all_of_the_sample_have_reached() -> None:
    """After one epoch trial 1 is better. Trial 0 is better after two, but trial 1 has no value there."""
    strategy = RegularizedEvolution(SPACE, ACCURACY, population=2, sample=30)
    strategy.tell(trial_with_values(0, Proposal(SPACE.sample(generator(0))), 0.2, 0.8))
    strategy.tell(trial_with_values(1, Proposal(SPACE.sample(generator(1))), 0.4, status=Status.PAUSED))
    assert collect_parents(strategy) == {1}


def test_an_architecture_is_sampled_where_the_constraint_allows_no_mutation() -> None:
    def even(architecture: Architecture) -> str | None:
        return "odd" if architecture["a"] != architecture["b"] else None

    space = Space(layer(dict, one_of(1, 2, name="a"), one_of(1, 2, name="b")), constraint=even)
    strategy = RegularizedEvolution(space, ACCURACY, population=1)
    strategy.tell(trial_with_values(0, Proposal(space.sample(generator(0))), 0.5))
    assert "the constraint allows none of" in strategy.ask(generator(0), Pending(), {}).note["instead_of_mutation"]


def test_an_error_names_the_wrong_option() -> None:
    with pytest.raises(JobError, match="population is 0, but must be a whole number of at least 1"):
        RegularizedEvolution(SPACE, ACCURACY, population=0)
