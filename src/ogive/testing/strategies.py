"""The conformance suite of strategies: `check_strategy`.

def test_conformance():
    og.testing.check_strategy(lambda space, objectives, constraints: Mine(space, objectives, constraints, size=5))
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from ogive.errors import SpaceExhausted
from ogive.seeds import generator
from ogive.space import Space
from ogive.strategy import Constrained, Deduplicated
from ogive.strategy.base import Strategy
from ogive.testing.episodes import (
    JUDGES,
    PROBLEMS,
    EpisodeProblem,
    MakeStrategy,
    describe,
    journalled,
    metrics,
    noisy,
    play,
    random_numbers,
    stormy,
)
from ogive.testing.rules import assert_equal, assert_that, rule, same_elsewhere
from ogive.testing.spaces import SPACES, conditional, tiny
from ogive.trial import Pending, Proposal, Trial

TRIALS = 24
MANY = 10_000
PLACES = (
    ("tiny", "one objective"),
    ("conditional", "one objective"),
    ("mixed", "one objective, constrained"),
    ("large", "one objective"),
    ("conditional", "several objectives, hard and soft constraints"),
)


def check_strategy(make: MakeStrategy, another_process: bool = True) -> None:
    """See that a strategy keeps the contract of `ogive.strategy.base`.

    Args:
        make: `make(space, objectives, constraints)` gives a new instance. Let its options be such that it leaves its
            random beginning within some ten trials, or the suite sees nothing else of it.
        another_process: also compare with a process of another hash seed; `make` travels there by cloudpickle.

    Raises:
        AssertionError: names the rule that was broken, the space and the problem.
    """
    for space_name, problem_name in PLACES:
        space, problem = SPACES[space_name](), PROBLEMS[problem_name]
        where = f"space {space_name!r}, {problem_name}"

        def new(space: Space = space, problem: EpisodeProblem = problem) -> Strategy:
            return make(space, problem.objectives, problem.constraints)

        for check in (_legal, _determined, _pure, _rebuilt, _replaced, _foreign):
            with rule(check, where):
                check(new, space)
    for final in (_exhausts, _keeps_hard_constraints):
        with rule(final, "space 'tiny'"):
            final(make)
    for final in (_never_twice, _remembers_thousands):
        with rule(final, "space 'conditional'"):
            final(make)
    if another_process:
        with rule(same_elsewhere, "all spaces"):
            same_elsewhere(_answers_everywhere, make)


New = Callable[[], Strategy]


def _legal(new: New, space: Space) -> None:
    """Every proposal is an allowed architecture, with JSON beside it, whatever becomes of trials."""
    for name, judge in JUDGES.items():
        for ask in play(new(), judge, TRIALS).asks:
            _assert_legal(space, ask.answer, f"judge {name!r}, ask {ask.number}")
            if ask.answer.inherit:
                assert_that(
                    ask.answer.inherit[0] < ask.number, f"ask {ask.number} inherits from a trial that does not exist"
                )


def _determined(new: New, space: Space) -> None:
    """After the same tells, with the same random numbers, two instances give equal answers."""
    assert_equal(play(new(), stormy, TRIALS).answers(), play(new(), stormy, TRIALS).answers(), "ask")


def _pure(new: New, space: Space) -> None:
    """`ask` changes no later answer, its own included."""

    def poll(strategy: Strategy, pending: Pending) -> None:
        for seed in (7, 8, 7):
            with suppress(SpaceExhausted):
                proposal = strategy.ask(generator(seed, "poll"), pending, {"epochs": 27.0})
                strategy.ask(generator(seed, "again"), pending.plus(proposal), {})

    polled = play(new(), stormy, TRIALS, before_ask=poll).answers()
    assert_equal(play(new(), stormy, TRIALS).answers(), polled, "with asks in between, ask")


def _rebuilt(new: New, space: Space) -> None:
    """A new instance that is told all that was told gives the answers of the one that lived through it."""
    episode = play(new(), stormy, TRIALS)
    for ask in episode.asks[:: TRIALS // 8]:
        strategy = new()
        for trial in episode.tells[: ask.told]:
            strategy.tell(trial)
        answer = strategy.ask(random_numbers(0, ask.number), Pending(ask.in_flight), ask.fidelity)
        assert_equal([describe(ask.answer)], [describe(journalled(answer))], f"rebuilt before ask {ask.number}, answer")


def _replaced(new: New, space: Space) -> None:
    """A trial told again replaces what was told of it before; told twice alike it changes nothing."""
    records: dict[int, list[Trial]] = {}
    for trial in play(new(), stormy, TRIALS).tells:
        records.setdefault(trial.id, []).append(trial)
    last, step_by_step, twice = new(), new(), new()
    for told in records.values():
        last.tell(told[-1])
        for trial in told:
            step_by_step.tell(trial)
        twice.tell(told[-1])
        twice.tell(told[-1])
        assert_equal(_answers(last), _answers(step_by_step), f"after trial {told[0].id} told step by step, answer")
        assert_equal(_answers(last), _answers(twice), f"after trial {told[0].id} told twice, answer")


def _foreign(new: New, space: Space) -> None:
    """Trials that it never proposed, as a warm start or another wrapper tells them, break nothing."""
    strategy = new()
    for number in range(TRIALS):
        note = ({}, {"parent": 10_000, "search": 10**12}, {"search": None, "instead": "grid"})[number % 3]
        proposal = Proposal(space.sample(generator(number, "foreign")), note=note)
        for trial in stormy(number, proposal):
            strategy.tell(trial)
    try:
        answer = strategy.ask(generator(0), Pending({TRIALS: proposal}, (proposal,)), {})
    except SpaceExhausted:
        return
    _assert_legal(space, answer, "after foreign trials")


def _exhausts(make: MakeStrategy) -> None:
    """Deduplicated, it proposes every architecture of a small space once, whatever is in flight, and then says so."""
    problem = PROBLEMS["one objective"]
    for judge in JUDGES.values():
        space = tiny()
        strategy = Deduplicated(make(space, problem.objectives, problem.constraints))
        ids = [ask.answer.architecture.id for ask in play(strategy, judge, TRIALS).asks]
        assert_equal(sorted({a.id for a in space.grid()}), sorted(ids), "in order of id, proposal")


def _keeps_hard_constraints(make: MakeStrategy) -> None:
    """Constrained, it proposes all that a hard constraint allows and nothing else."""
    problem = PROBLEMS["one objective, constrained"]
    for judge in JUDGES.values():
        space = tiny()
        bare = make(space, problem.objectives, problem.constraints)
        strategy = Constrained(
            Deduplicated(bare), lambda architecture: {"latency": metrics(architecture, 1)["latency"]}
        )
        ids = [ask.answer.architecture.id for ask in play(strategy, judge, TRIALS).asks]
        allowed = [a.id for a in space.grid() if metrics(a, 1)["latency"] <= 0.5]
        assert_equal(sorted(allowed), sorted(ids), "in order of id, proposal")


def _never_twice(make: MakeStrategy) -> None:
    """Deduplicated, it proposes nothing twice with many trials in flight, though most of what it asked is not known."""
    problem = PROBLEMS["one objective"]
    for judge in (noisy, stormy):
        strategy = Deduplicated(make(conditional(), problem.objectives, problem.constraints))
        ids = [ask.answer.architecture.id for ask in play(strategy, judge, 2 * TRIALS, workers=TRIALS).asks]
        assert_equal(sorted(set(ids)), sorted(ids), "in order of id, proposal")


def _remembers_thousands(make: MakeStrategy) -> None:
    """After 10,000 trials, with ties, failures and unequal steps among them, it still answers."""
    space, problem = conditional(), PROBLEMS["several objectives, hard and soft constraints"]
    strategy = make(space, problem.objectives, problem.constraints)
    for number in range(MANY):
        for trial in stormy(number, Proposal(space.sample(generator(number, "many")))):
            strategy.tell(trial)
    with suppress(SpaceExhausted):
        _assert_legal(space, strategy.ask(generator(0), Pending(), {"epochs": 9.0}), f"after {MANY} trials")


def _answers_everywhere(make: MakeStrategy) -> list[str]:
    problem = PROBLEMS["one objective"]
    strategies = (make(make_space(), problem.objectives, problem.constraints) for make_space in SPACES.values())
    return [answer for strategy in strategies for answer in play(strategy, stormy, TRIALS).answers()]


def _answers(strategy: Strategy) -> list[str]:
    """What it answers to some random numbers with nothing in flight."""
    answers = []
    for seed in range(3):
        try:
            answers.append(describe(strategy.ask(generator(seed, "answers"), Pending(), {})))
        except SpaceExhausted:
            answers.append("exhausted")
    return answers


def _assert_legal(space: Space, proposal: Proposal, where: str) -> None:
    architecture = proposal.architecture
    assert_that(
        space.architecture(architecture.to_json()) == architecture, f"{where}: {architecture!r} is not of the space"
    )
    reason = space.violation(architecture)
    assert_that(reason is None, f"{where}: {architecture!r} is not allowed: {reason}")
    journalled(proposal)
