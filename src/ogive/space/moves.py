"""Moves in a space: sampling, mutation, crossover, neighbours and enumeration over a table of decisions.

The random moves take a vector `u` of uniform random numbers in [0, 1) instead of a random generator. One call of the
generator for a whole architecture is an order of magnitude faster than one call for each decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ogive.space.domain import Label
from ogive.space.table import Decision

Labels = dict[str, Label]
"""A label for every active decision, by its name."""


def complete(decisions: Sequence[Decision], labels: Mapping[str, Label], u: Sequence[float]) -> Labels:
    """Return a label for every active decision: the one in `labels`, or else a random label.

    Args:
        decisions: the table.
        labels: labels by the name of their decision; those of inactive decisions are ignored.
        u: len(decisions) uniform numbers; each picks the label of its decision.
    """
    completed: Labels = {}
    for decision, x in zip(decisions, u, strict=True):
        if not decision.is_conditional or decision.is_active(completed):
            name = decision.name
            completed[name] = labels[name] if name in labels else decision.domain.pick(x)
    return completed


def mutate(decisions: Sequence[Decision], labels: Mapping[str, Label], u: Sequence[float]) -> Labels:
    """Change the label of one active decision, and pick labels for the decisions that this activates.

    Args:
        decisions: the table.
        labels: the labels of an architecture with at least one decision of more than one label.
        u: len(decisions) + 2 uniform numbers. The first selects the decision, the second its label, and the others the
            labels of activated decisions.
    """
    changeable = [d for d in decisions if d.name in labels and d.domain.size > 1]
    decision = changeable[int(u[0] * len(changeable))]
    mutated = {**labels, decision.name: decision.domain.pick_other(labels[decision.name], u[1])}
    return complete(decisions, mutated, u[2:])


def crossover(
    decisions: Sequence[Decision], a: Mapping[str, Label], b: Mapping[str, Label], u: Sequence[float]
) -> Labels:
    """Return a child by uniform crossover of the parents `a` and `b`.

    The label of each active decision comes from a random parent in which the decision is active. If the decision is active
    in neither parent, a random label is picked.

    Args:
        decisions: the table.
        a: the labels of one parent.
        b: the labels of the other parent.
        u: 2 * len(decisions) uniform numbers: the first half selects the parents, the second half picks labels.
    """
    child: Labels = {}
    for decision, coin, x in zip(decisions, u[: len(decisions)], u[len(decisions) :], strict=True):
        if decision.is_active(child):
            name = decision.name
            parents = [p for p in (a, b) if name in p]
            child[name] = parents[int(coin * len(parents))][name] if parents else decision.domain.pick(x)
    return child


def neighbors(decisions: Sequence[Decision], labels: Mapping[str, Label], u: Sequence[float]) -> Iterator[Labels]:
    """Yield each change of one active decision to a neighbouring label.

    Decisions that become active get the labels that the len(decisions) uniform numbers `u` pick.
    """
    for decision in decisions:
        if decision.name in labels:
            for label in decision.domain.neighbors(labels[decision.name]):
                yield complete(decisions, {**labels, decision.name: label}, u)


def grid(decisions: Sequence[Decision], resolution: int) -> Iterator[Labels]:
    """Yield every architecture, with `resolution` values of each real decision; the last decision changes fastest."""

    def extend(index: int, labels: Labels) -> Iterator[Labels]:
        """Yield all completions of `labels`, which has the labels of the first `index` decisions."""
        while index < len(decisions) and not decisions[index].is_active(labels):
            index += 1
        if index == len(decisions):
            yield labels
            return
        for label in decisions[index].domain.enumerate_labels(resolution):
            yield from extend(index + 1, {**labels, decisions[index].name: label})

    return extend(0, {})
