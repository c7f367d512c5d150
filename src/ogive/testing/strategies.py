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
    OUTCOMES,
    PROBLEMS,
    EpisodeProblem,
    MakeStrategy,
    ask_generator,
    compute_metrics,
    describe,
    diverse,
    journalled,
    noisy,
    run_episode,
)
from ogive.testing.rules import assert_equal, assert_that, check_another_process_agrees, rule
from ogive.testing.spaces import SPACES, conditional, tiny
from ogive.trial import Pending, Proposal, Trial

TRIALS = 24
MANY_TRIALS = 10_000
CASES = (
    ("tiny", "one objective"),
    ("conditional", "one objective"),
    ("mixed", "one objective, constrained"),
    ("large", "one objective"),
    ("conditional", "several objectives, hard and soft constraints"),
)
"""The pairs of a space and a problem, by name, with which the rules are checked."""

MakeInstance = Callable[[], Strategy]
"""A function that returns a new instance of the strategy, for one space and problem."""


def check_strategy(make: MakeStrategy, another_process: bool = True) -> None:
    """Check that a strategy fulfils the contract of `ogive.strategy.base`.

    Args:
        make: a function; `make(space, objectives, constraints)` returns a new instance. Choose its options so that an
            initial random phase ends after about ten trials; otherwise the suite tests only this phase.
        another_process: whether to compare the proposals with those of a process that has another hash seed. `make` is sent
            to that process by cloudpickle.

    Raises:
        AssertionError: the strategy breaks a rule. The message names the rule, the space and the problem.
    """
    for space_name, problem_name in CASES:
        space, problem = SPACES[space_name](), PROBLEMS[problem_name]

        def make_instance(space: Space = space, problem: EpisodeProblem = problem) -> Strategy:
            return make(space, problem.objectives, problem.constraints)

        for check in (
            _check_proposals_are_valid,
            _check_ask_is_deterministic,
            _check_ask_has_no_side_effects,
            _check_tell_restores_the_state,
            _check_tell_replaces_earlier_records,
            _check_unknown_trials_are_accepted,
        ):
            with rule(check, f"space {space_name!r}, {problem_name}"):
                check(make_instance, space)
    for check_on_tiny in (_check_small_spaces_are_exhausted, _check_hard_constraints_hold):
        with rule(check_on_tiny, "space 'tiny'"):
            check_on_tiny(make)
    for check_on_conditional in (_check_no_proposal_is_repeated, _check_thousands_of_trials_are_accepted):
        with rule(check_on_conditional, "space 'conditional'"):
            check_on_conditional(make)
    if another_process:
        with rule(check_another_process_agrees, "all spaces"):
            check_another_process_agrees(_proposals_on_all_spaces, make)


def _check_proposals_are_valid(make_instance: MakeInstance, space: Space) -> None:
    """Every proposal is an allowed architecture with settings and a note in JSON, whatever the outcomes of trials are."""
    for name, outcome in OUTCOMES.items():
        for ask in run_episode(make_instance(), outcome, TRIALS).asks:
            _assert_valid(space, ask.answer, f"outcome {name!r}, proposal {ask.number}")
            if ask.answer.inherit:
                assert_that(
                    ask.answer.inherit[0] < ask.number,
                    f"proposal {ask.number} inherits from trial {ask.answer.inherit[0]}, which does not exist yet",
                )


def _check_ask_is_deterministic(make_instance: MakeInstance, space: Space) -> None:
    """Two instances that received the same trials and the same random numbers make the same proposals."""
    assert_equal(
        run_episode(make_instance(), diverse, TRIALS).answers(),
        run_episode(make_instance(), diverse, TRIALS).answers(),
        "proposal",
    )


def _check_ask_has_no_side_effects(make_instance: MakeInstance, space: Space) -> None:
    """A call of `ask` does not change any later proposal."""

    def ask_in_between(strategy: Strategy, pending: Pending) -> None:
        for seed in (7, 8, 7):
            with suppress(SpaceExhausted):  # only the side effects of these calls matter
                proposal = strategy.ask(generator(seed, "poll"), pending, {"epochs": 27.0})
                strategy.ask(generator(seed, "again"), pending.with_rejected(proposal), {})

    answers = run_episode(make_instance(), diverse, TRIALS, before_ask=ask_in_between).answers()
    assert_equal(
        run_episode(make_instance(), diverse, TRIALS).answers(),
        answers,
        "with further calls of ask in between, proposal",
    )


def _check_tell_restores_the_state(make_instance: MakeInstance, space: Space) -> None:
    """A new instance that receives all earlier trials by `tell` makes the same proposal as the original instance."""
    episode = run_episode(make_instance(), diverse, TRIALS)
    for ask in episode.asks[:: TRIALS // 8]:
        strategy = make_instance()
        for trial in episode.tells[: ask.tell_count]:
            strategy.tell(trial)
        # 0 is the default seed of `run_episode`.
        answer = strategy.ask(ask_generator(0, ask.number), Pending(ask.pending), ask.fidelity)
        expected, actual = describe(ask.answer), describe(journalled(answer))
        assert_that(
            actual == expected,
            f"after {ask.tell_count} calls of tell, proposal {ask.number} is {actual}, but should be {expected}",
        )


def _check_tell_replaces_earlier_records(make_instance: MakeInstance, space: Space) -> None:
    """A record of a trial replaces the earlier records of that trial; the same record a second time changes nothing."""
    records: dict[int, list[Trial]] = {}
    for trial in run_episode(make_instance(), diverse, TRIALS).tells:
        records.setdefault(trial.id, []).append(trial)
    only_last, step_by_step, twice = make_instance(), make_instance(), make_instance()
    for number, trial_records in records.items():
        only_last.tell(trial_records[-1])
        for trial in trial_records:
            step_by_step.tell(trial)
        twice.tell(trial_records[-1])
        twice.tell(trial_records[-1])
        expected = _list_proposals(only_last)
        assert_equal(expected, _list_proposals(step_by_step), f"after all records of trial {number}, proposal")
        assert_equal(expected, _list_proposals(twice), f"after the last record of trial {number} twice, proposal")


def _check_unknown_trials_are_accepted(make_instance: MakeInstance, space: Space) -> None:
    """`tell` accepts trials that the strategy has not proposed, such as those of a warm start."""
    strategy = make_instance()
    for number in range(TRIALS):
        # The notes have keys that built-in strategies read, and name trials that do not exist.
        note = ({}, {"parent": 10_000, "search": 10**12}, {"search": None, "instead": "grid"})[number % 3]
        proposal = Proposal(space.sample(generator(number, "foreign")), note=note)
        for trial in diverse(number, proposal):
            strategy.tell(trial)
    try:
        answer = strategy.ask(generator(0), Pending(proposals={TRIALS: proposal}, rejected=(proposal,)), {})
    except SpaceExhausted:
        return
    _assert_valid(space, answer, "after trials that the strategy has not proposed")


def _check_small_spaces_are_exhausted(make: MakeStrategy) -> None:
    """With duplicates removed, all architectures of a small space are proposed once, and then SpaceExhausted is raised."""
    problem = PROBLEMS["one objective"]
    for outcome in OUTCOMES.values():
        space = tiny()
        strategy = Deduplicated(make(space, problem.objectives, problem.constraints))
        ids = [ask.answer.architecture.id for ask in run_episode(strategy, outcome, TRIALS).asks]
        assert_equal(sorted({a.id for a in space.grid()}), sorted(ids), "in the order of ids, proposal")


def _check_hard_constraints_hold(make: MakeStrategy) -> None:
    """With hard constraints checked before training, exactly the architectures that satisfy them are proposed."""
    problem = PROBLEMS["one objective, constrained"]
    for outcome in OUTCOMES.values():
        space = tiny()
        strategy = Constrained(
            Deduplicated(make(space, problem.objectives, problem.constraints)),
            lambda architecture: {"latency": compute_metrics(architecture, 1)["latency"]},
        )
        ids = [ask.answer.architecture.id for ask in run_episode(strategy, outcome, TRIALS).asks]
        allowed = [a.id for a in space.grid() if compute_metrics(a, 1)["latency"] <= 0.5]
        assert_equal(sorted(allowed), sorted(ids), "in the order of ids, proposal")


def _check_no_proposal_is_repeated(make: MakeStrategy) -> None:
    """With duplicates removed, no architecture is proposed twice, even if most trials are pending."""
    problem = PROBLEMS["one objective"]
    for outcome in (noisy, diverse):
        strategy = Deduplicated(make(conditional(), problem.objectives, problem.constraints))
        ids = [ask.answer.architecture.id for ask in run_episode(strategy, outcome, 2 * TRIALS, workers=TRIALS).asks]
        assert_equal(sorted(set(ids)), sorted(ids), "in the order of ids, proposal")


def _check_thousands_of_trials_are_accepted(make: MakeStrategy) -> None:
    """After 10,000 trials, which include ties, failures and different steps, `ask` makes a proposal."""
    space, problem = conditional(), PROBLEMS["several objectives, hard and soft constraints"]
    strategy = make(space, problem.objectives, problem.constraints)
    for number in range(MANY_TRIALS):
        for trial in diverse(number, Proposal(space.sample(generator(number, "many")))):
            strategy.tell(trial)
    with suppress(SpaceExhausted):
        answer = strategy.ask(generator(0), Pending(), {"epochs": 9.0})
        _assert_valid(space, answer, f"after {MANY_TRIALS:,} trials")


def _proposals_on_all_spaces(make: MakeStrategy) -> list[str]:
    problem = PROBLEMS["one objective"]
    strategies = (make(make_space(), problem.objectives, problem.constraints) for make_space in SPACES.values())
    return [answer for strategy in strategies for answer in run_episode(strategy, diverse, TRIALS).answers()]


def _list_proposals(strategy: Strategy) -> list[str]:
    """Return the proposals for three random number generators, with no pending trials."""
    answers = []
    for seed in range(3):
        try:
            answers.append(describe(strategy.ask(generator(seed, "answers"), Pending(), {})))
        except SpaceExhausted:
            answers.append("exhausted")
    return answers


def _assert_valid(space: Space, proposal: Proposal, case: str) -> None:
    architecture = proposal.architecture
    assert_that(
        space.architecture(architecture.to_json()) == architecture, f"{case}: {architecture!r} is not in the space"
    )
    reason = space.violation(architecture)
    assert_that(reason is None, f"{case}: {architecture!r} is not allowed: {reason}")
    # The result is not needed: the call raises an exception if settings or note cannot be converted to JSON.
    journalled(proposal)
