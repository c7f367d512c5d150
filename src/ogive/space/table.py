"""The table of decisions: each with its name, its alternatives and the condition under which it is active."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ogive.errors import SpaceError
from ogive.space.domain import Domain, Label, Subset, from_json

Conjunction = tuple[tuple[str, frozenset[Label]], ...]
"""All of these decisions are active, each with one of these labels, or, of a `some_of`, with one of these chosen.
Empty: always true."""


def matches(label: Label, labels: frozenset[Label]) -> bool:
    """Whether a decision's label fulfils a condition on `labels`."""
    return not labels.isdisjoint(label) if type(label) is tuple else label in labels


@dataclass(frozen=True)
class Decision:
    """A row of the table.

    Attributes:
        name: a stable, readable path, or the name that the user gave.
        domain: the alternatives.
        when: active when any of these conjunctions holds; `((),)` is always.
    """

    name: str
    domain: Domain
    when: tuple[Conjunction, ...] = ((),)

    @cached_property
    def conditional(self) -> bool:
        return () not in self.when

    def active(self, choices: Mapping[str, Label]) -> bool:
        """Whether the decision is active, given the labels of the active decisions before it."""
        for conjunction in self.when:  # plain loops: every sample, mutation and check comes through here
            for name, labels in conjunction:
                if name not in choices or not matches(choices[name], labels):
                    break
            else:
                return True
        return False

    def describe(self) -> dict[str, Any]:
        """The row as JSON; `from_json` reads it back."""
        when = [[[name, sorted(labels, key=str)] for name, labels in conjunction] for conjunction in self.when]
        return {"name": self.name, **self.domain.describe(), **({"when": when} if self.conditional else {})}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Decision:
        when = tuple(tuple((name, frozenset(labels)) for name, labels in c) for c in data.get("when", [[]]))
        return Decision(data["name"], from_json({k: v for k, v in data.items() if k not in ("name", "when")}), when)


def conjoin(condition: Conjunction, name: str, labels: frozenset[Label], several: bool = False) -> Conjunction | None:
    """`condition` and `name` in `labels`; None where that can never hold. `several`: a `some_of` can fulfil both."""
    known = [item for item in condition if item[0] == name and not several]
    for item in known:
        labels = labels & item[1]
    if not labels:
        return None
    return (*(item for item in condition if item not in known), (name, labels))


def all_labels_of(domain: Domain, labels: frozenset[Label]) -> bool:
    """Whether every value of `domain` fulfils a condition on `labels`."""
    if isinstance(domain, Subset):
        return len(domain.labels) - len(labels) < domain.low
    return len(labels) == domain.size


AllLabels = Callable[[str, frozenset[Label]], bool]


def simplify(conjunctions: Iterable[Conjunction], all_labels: AllLabels) -> tuple[Conjunction, ...]:
    """The same condition in fewer words: what is active under each alternative of a decision is so without it.

    Args:
        conjunctions: any of them activates. Each is the way to a place in the declaration, so that what it says of a
            decision implies that this is active; the label of an inactive one may be taken as any.
        all_labels: whether every value of a decision fulfils a condition on these labels.
    """
    kept = _uncovered(conjunctions)
    while (shorter := _uncovered(_unite(kept, all_labels))) != kept:
        kept = shorter
    return kept


def _uncovered(conjunctions: Iterable[Conjunction]) -> tuple[Conjunction, ...]:
    """The conjunctions that no other one covers."""
    kept: list[Conjunction] = []
    for candidate in sorted(dict.fromkeys(conjunctions), key=len):
        if not any(_covers(other, candidate) for other in kept):
            kept.append(candidate)
    return tuple(kept)


def _unite(conjunctions: Iterable[Conjunction], all_labels: AllLabels) -> list[Conjunction]:
    """`R and x in A` or `R and x in B` is `R and x in A | B`, and `R` alone where these are all labels."""
    united = list(conjunctions)
    for name in dict.fromkeys(name for conjunction in united for name, _ in conjunction):
        unions: dict[frozenset[tuple[str, frozenset[Label]]], frozenset[Label]] = {}
        for conjunction in united:
            rest, labels = _apart(conjunction, name)
            if len(labels) == 1:  # more than one: a some_of that has to hold several
                unions[frozenset(rest)] = unions.get(frozenset(rest), frozenset()) | labels[0]
        for i, conjunction in enumerate(united):
            rest, labels = _apart(conjunction, name)
            if len(labels) == 1:
                union = unions[frozenset(rest)]
                united[i] = rest if all_labels(name, union) else (*rest, (name, union))
    return united


def _apart(conjunction: Conjunction, name: str) -> tuple[Conjunction, list[frozenset[Label]]]:
    return tuple(item for item in conjunction if item[0] != name), [labels for n, labels in conjunction if n == name]


def _covers(weaker: Conjunction, stronger: Conjunction) -> bool:
    """Whether `weaker` holds wherever `stronger` does."""
    return all(any(name == n and s <= labels for n, s in stronger) for name, labels in weaker)


def in_order(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """The decisions in their order of appearance, each after all that its condition refers to.

    Raises:
        SpaceError: decisions that activate one another.
    """
    waiting = {decision.name: decision for decision in decisions}
    parents = {d.name: {name for c in d.when for name, _ in c} for d in waiting.values()}
    ordered: list[Decision] = []
    placed: set[str] = set()

    def place(name: str, below: tuple[str, ...]) -> None:
        if name in placed:
            return
        if name in below:
            circle = " -> ".join((*below[below.index(name) :], name))
            raise SpaceError(f"decisions that activate one another: {circle}; give one of these choices another name")
        for parent in sorted(parents[name], key=list(waiting).index):
            place(parent, (*below, name))
        placed.add(name)
        ordered.append(waiting[name])

    for name in waiting:
        place(name, ())
    return tuple(ordered)
