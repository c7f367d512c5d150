"""Every strategy fulfils the contract, with and without wrappers; and the suite detects strategies that do not."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ogive import strategy as strategies
from ogive.errors import SpaceExhausted
from ogive.objective import Constraint, Objective
from ogive.space import Architecture, Space
from ogive.strategy import Constrained, Deduplicated, base
from ogive.strategy.random import Random
from ogive.testing.strategies import check_strategy
from ogive.trial import Fidelity, Pending, Proposal, Trial

OPTIONS: dict[str, dict[str, Any]] = {
    "regularized_evolution": {"population": 6, "sample": 3},
    "local_search": {"initial": 2},
    "grid": {"order": "lexicographic", "resolution": 2},
    "genetic": {"population": 6},
    "differential_evolution": {"population": 4},
    "nsga2": {"population": 6},
    "tpe": {"initial": 4, "candidates": 4},
    "smac": {"initial": 4, "candidates": 5, "starts": 1, "trees": 3, "max_fit": 12},
    "reinforce": {"batch": 6, "hidden": 3},
    "bohb": {"samples": 4, "min_points": 2},
    "gp": {"initial": 4, "candidates": 24, "draws": 2, "max_fit": 12},
    "auto": {"trials": 24, "candidates": 24},
    "bananas": {"initial": 4, "candidates": 8, "members": 2, "max_fit": 12},
}


@pytest.mark.timeout(900)  # model-based strategies take a minute
@pytest.mark.parametrize("name", sorted({*strategies.names()} - {"listed"}))  # test_listed tests `listed`
def test_every_registered_strategy_conforms(name: str) -> None:
    options = OPTIONS.get(name, {})
    check_strategy(
        lambda space, objectives, constraints: strategies.create(name, space, objectives, constraints, **options),
        another_process=name != "auto",  # the strategies that it uses are checked themselves
    )


def test_the_example_of_the_contract_conforms() -> None:
    """The example is read from the docstring of `ogive.strategy.base`, so that it stays correct."""
    documentation = inspect.getdoc(base) or ""
    example = (
        documentation.partition("A complete strategy")[2].partition("::\n")[2].partition("`og.strategy.register")[0]
    )
    namespace: dict[str, Any] = {}
    exec(textwrap.dedent(example), namespace)
    check_strategy(namespace["MutateBest"])


def test_wrapped_strategies_conform() -> None:
    def make(space: Space, objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> Constrained:
        bare = strategies.create("local_search", space, tuple(objectives), tuple(constraints), initial=2)
        return Constrained(Deduplicated(bare), lambda architecture: {"depth": float(len(architecture))})

    check_strategy(make)


class HiddenState(Random):
    """Counts its asks, so that its answers depend on them."""

    asks = 0

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        self.asks += 1
        return Proposal(self.space.sample(rng), note={"asks": self.asks})


class OwnRandomNumbers(Random):
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        return Proposal(self.space.sample(np.random.default_rng()))


class HashOrder(Random):
    """Chooses by Python's hash of a string, which differs between processes."""

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        return Proposal(min((self.space.sample(rng) for _ in range(4)), key=lambda a: hash(a.id)))


class CountsTells(Random):
    """Counts records instead of trials."""

    records = 0

    def tell(self, trial: Trial) -> None:
        self.records += 1

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        return Proposal(self.space.sample(rng), note={"records": self.records})


class LearnsFromAsking(Random):
    """Remembers in `ask` what it should write into the note: it is lost when a run is continued."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.trials: set[int] = set()
        self.asked_at: set[int] = set()

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        self.asked_at.add(len(self.trials))
        return Proposal(self.space.sample(rng), note={"asked_at": sorted(self.asked_at)})

    def tell(self, trial: Trial) -> None:
        self.trials.add(trial.id)


class CrashesOnFailure(Random):
    def tell(self, trial: Trial) -> None:
        if trial.reports == ():
            raise KeyError("accuracy")


class NeedsItsNote(Random):
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        return Proposal(self.space.sample(rng), note={"mine": 1})

    def tell(self, trial: Trial) -> None:
        assert trial.proposal.note["mine"] == 1


class ForeignLabel(Random):
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        choices = self.space.sample(rng).to_json()
        return Proposal(Architecture(self.space, {**choices, next(iter(choices)): "no such label"}))


class IgnoresTheConstraint(Random):
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        return Proposal(self.space.decode(rng.random(self.space.encode([self.space.sample(rng)]).shape))[0])


class NoteIsNotJson(Random):
    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        return Proposal(self.space.sample(rng), note={"score": float("nan")})


class GivesUpEarly(Random):
    last = 0

    def tell(self, trial: Trial) -> None:
        self.last = max(self.last, trial.id)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        if self.last > 2:
            raise SpaceExhausted("nothing left")
        return super().ask(rng, pending, fidelity)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (HiddenState, "ask has no side effects"),
        (OwnRandomNumbers, "ask is deterministic"),
        (HashOrder, "another process agrees"),
        (CountsTells, "tell replaces earlier records"),
        (LearnsFromAsking, "tell restores the state"),
        (CrashesOnFailure, "proposals are valid"),
        (NeedsItsNote, "unknown trials are accepted"),
        (ForeignLabel, "proposals are valid"),
        (IgnoresTheConstraint, "proposals are valid"),
        (NoteIsNotJson, "proposals are valid"),
        (GivesUpEarly, "small spaces are exhausted"),
    ],
)
def test_the_suite_names_the_broken_rule(broken: type[Random], rule: str) -> None:
    with pytest.raises(AssertionError, match=f"rule '{rule}' is broken"):
        check_strategy(broken)
