"""Moves in a space: sampling, mutation, crossover, neighbours and enumeration over a table of decisions.

All take uniform numbers rather than a generator where they can: one vector of them makes an architecture, which is an
order of magnitude faster than one call of the generator for each decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ogive.space.domain import Label
from ogive.space.table import Decision

Choices = dict[str, Label]


def complete(decisions: Sequence[Decision], given: Mapping[str, Label], u: Sequence[float]) -> Choices:
    """Labels for all active decisions: as in `given` where it has one, else picked at `u` [number of decisions]."""
    choices: Choices = {}
    for decision, x in zip(decisions, u, strict=True):
        if not decision.conditional or decision.active(choices):
            name = decision.name
            choices[name] = given[name] if name in given else decision.domain.pick(x)
    return choices


def mutate(decisions: Sequence[Decision], choices: Mapping[str, Label], u: Sequence[float]) -> Choices:
    """One active decision changed, and what that activates picked; `u` [number of decisions + 2]. Needs one to change."""
    open_ones = [d for d in decisions if d.name in choices and d.domain.size > 1]
    decision = open_ones[int(u[0] * len(open_ones))]
    changed = {**choices, decision.name: decision.domain.pick_other(choices[decision.name], u[1])}
    return complete(decisions, changed, u[2:])


def crossover(
    decisions: Sequence[Decision], a: Mapping[str, Label], b: Mapping[str, Label], u: Sequence[float]
) -> Choices:
    """Uniform crossover: each active decision from either parent that has it, picked where neither has; `u` [2 d]."""
    child: Choices = {}
    for decision, coin, x in zip(decisions, u[: len(decisions)], u[len(decisions) :], strict=True):
        if decision.active(child):
            name = decision.name
            parents = [p for p in (a, b) if name in p]
            child[name] = parents[int(coin * len(parents))][name] if parents else decision.domain.pick(x)
    return child


def neighbors(decisions: Sequence[Decision], choices: Mapping[str, Label], u: Sequence[float]) -> Iterator[Choices]:
    """Every change of one active decision to a label near its own; what that activates is picked at `u`."""
    for decision in decisions:
        if decision.name in choices:
            for label in decision.domain.near(choices[decision.name]):
                yield complete(decisions, {**choices, decision.name: label}, u)


def grid(decisions: Sequence[Decision], resolution: int) -> Iterator[Choices]:
    """Every assignment, the last decision moving fastest, with `resolution` values of each real decision."""

    def extend(row: int, choices: Choices) -> Iterator[Choices]:
        while row < len(decisions) and not decisions[row].active(choices):
            row += 1
        if row == len(decisions):
            yield choices
            return
        for label in decisions[row].domain.all(resolution):
            yield from extend(row + 1, {**choices, decisions[row].name: label})

    return extend(0, {})
