"""Moves in a space: sampling, mutation, crossover, neighbours and enumeration over a table of decisions.

The random moves take a vector `u` of uniform numbers in [0, 1) instead of a generator. One call of the generator for a
whole architecture is an order of magnitude faster than one for each decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ogive.space.domain import Label
from ogive.space.table import Decision

Choices = dict[str, Label]


def complete(decisions: Sequence[Decision], labels: Mapping[str, Label], u: Sequence[float]) -> Choices:
    """Return a label for every active decision: from `labels`, or else picked with its element of `u` [decisions]."""
    choices: Choices = {}
    for decision, x in zip(decisions, u, strict=True):
        if not decision.is_conditional or decision.is_active(choices):
            name = decision.name
            choices[name] = labels[name] if name in labels else decision.domain.pick(x)
    return choices


def mutate(decisions: Sequence[Decision], choices: Mapping[str, Label], u: Sequence[float]) -> Choices:
    """Change the label of one active decision, and pick labels for the decisions that this activates.

    Args:
        decisions: the table.
        choices: an architecture with at least one decision of more than one label.
        u: uniform numbers, [decisions + 2]. The first selects the decision, the second its label, and the others the labels
            of activated decisions.
    """
    changeable = [d for d in decisions if d.name in choices and d.domain.size > 1]
    decision = changeable[int(u[0] * len(changeable))]
    mutated = {**choices, decision.name: decision.domain.pick_other(choices[decision.name], u[1])}
    return complete(decisions, mutated, u[2:])


def crossover(
    decisions: Sequence[Decision], a: Mapping[str, Label], b: Mapping[str, Label], u: Sequence[float]
) -> Choices:
    """Return a child by uniform crossover of `a` and `b`.

    The label of each active decision comes from a random parent in which the decision is active. If it is active in neither,
    its label is picked. The first half of `u` [2 * decisions] selects the parents, the second half the labels.
    """
    child: Choices = {}
    for decision, coin, x in zip(decisions, u[: len(decisions)], u[len(decisions) :], strict=True):
        if decision.is_active(child):
            name = decision.name
            parents = [p for p in (a, b) if name in p]
            child[name] = parents[int(coin * len(parents))][name] if parents else decision.domain.pick(x)
    return child


def neighbors(decisions: Sequence[Decision], choices: Mapping[str, Label], u: Sequence[float]) -> Iterator[Choices]:
    """Yield each change of one active decision to a neighbouring label; labels of activated decisions are picked at `u`."""
    for decision in decisions:
        if decision.name in choices:
            for label in decision.domain.neighbors(choices[decision.name]):
                yield complete(decisions, {**choices, decision.name: label}, u)


def grid(decisions: Sequence[Decision], resolution: int) -> Iterator[Choices]:
    """Yield every architecture, with `resolution` values of each real decision; the last decision changes fastest."""

    def extend(row: int, choices: Choices) -> Iterator[Choices]:
        while row < len(decisions) and not decisions[row].is_active(choices):
            row += 1
        if row == len(decisions):
            yield choices
            return
        for label in decisions[row].domain.enumerate_labels(resolution):
            yield from extend(row + 1, {**choices, decisions[row].name: label})

    return extend(0, {})
