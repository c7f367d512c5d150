"""The table of decisions: each with its name, its labels and the condition under which it is active.

A condition is in disjunctive normal form: a decision is active if any of its conjunctions holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ogive.errors import SpaceError
from ogive.space.domain import Domain, Label, Subset, from_json

Conjunction = tuple[tuple[str, frozenset[Label]], ...]
"""Pairs (decision, labels), called terms. The conjunction holds if each of its decisions is active and has one of the labels
of its term; a `some_of` has to include at least one of these labels. The empty conjunction always holds."""


def matches(label: Label, labels: frozenset[Label]) -> bool:
    """Return whether a decision with this label (of a `some_of`, a tuple) satisfies a term with these `labels`."""
    return not labels.isdisjoint(label) if type(label) is tuple else label in labels


@dataclass(frozen=True)
class Decision:
    """A row of the table.

    Attributes:
        name: the name that the user gave, or a stable and readable path.
        domain: the labels that the decision can have.
        when: the condition: the decision is active if any of these conjunctions holds. `((),)` means always.
    """

    name: str
    domain: Domain
    when: tuple[Conjunction, ...] = ((),)

    @cached_property
    def is_conditional(self) -> bool:
        """Whether the decision is inactive in some architectures."""
        return () not in self.when

    def is_active(self, labels_before: Mapping[str, Label]) -> bool:
        """Return whether the decision is active, given the labels of the active decisions before it in the table."""
        # Plain loops are used for speed, because every sample, mutation and check calls this method.
        for conjunction in self.when:
            for name, labels in conjunction:
                if name not in labels_before or not matches(labels_before[name], labels):
                    break
            else:
                return True
        return False

    def describe(self) -> dict[str, Any]:
        """Return the row as JSON, which `from_json` reads."""
        when = [[[name, sorted(labels, key=str)] for name, labels in conjunction] for conjunction in self.when]
        return {"name": self.name, **self.domain.describe(), **({"when": when} if self.is_conditional else {})}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Decision:
        """Return the decision from the result of its `describe`."""
        when = tuple(tuple((name, frozenset(labels)) for name, labels in c) for c in data.get("when", [[]]))
        return Decision(data["name"], from_json({k: v for k, v in data.items() if k not in ("name", "when")}), when)


def conjoin(
    conjunction: Conjunction, name: str, labels: frozenset[Label], *, is_subset: bool = False
) -> Conjunction | None:
    """Return `conjunction` with the additional term "`name` has one of `labels`"; None if it can never hold.

    Args:
        conjunction: the conjunction so far.
        name: a decision.
        labels: labels of that decision.
        is_subset: whether the decision is a `some_of`. A subset can satisfy two terms with different labels, so an
            earlier term about it is kept. Otherwise the two terms become one, with the labels that both allow.
    """
    earlier_terms = [term for term in conjunction if term[0] == name and not is_subset]
    for _, allowed in earlier_terms:
        labels = labels & allowed
    if not labels:
        return None
    return (*(term for term in conjunction if term not in earlier_terms), (name, labels))


def are_all_labels(domain: Domain, labels: frozenset[Label]) -> bool:
    """Return whether every label of `domain` satisfies a term with these `labels`."""
    # Every subset has one of `labels` if there are fewer than `low` other labels.
    if isinstance(domain, Subset):
        return len(domain.labels) - len(labels) < domain.low
    return len(labels) == domain.size


AreAllLabels = Callable[[str, frozenset[Label]], bool]
"""Returns whether every label of the decision with this name satisfies a term with these labels."""


def simplify(conjunctions: Iterable[Conjunction], are_all_labels_of: AreAllLabels) -> tuple[Conjunction, ...]:
    """Return an equivalent condition with fewer terms.

    For example, a decision that is active for every label of another decision does not depend on that other decision.

    Args:
        conjunctions: the condition holds if any of them holds. Each describes how a position in the declaration is
            reached. So if a conjunction refers to a decision, the rest of the conjunction implies that this decision is
            active, and a term that allows all of its labels can be removed.
        are_all_labels_of: see `AreAllLabels`.
    """
    simplified = _without_covered(conjunctions)
    while (shorter := _without_covered(_merge_labels(simplified, are_all_labels_of))) != simplified:
        simplified = shorter
    return simplified


def _without_covered(conjunctions: Iterable[Conjunction]) -> tuple[Conjunction, ...]:
    """Return the conjunctions that no other conjunction covers, shortest first."""
    uncovered: list[Conjunction] = []
    for candidate in sorted(dict.fromkeys(conjunctions), key=len):
        if not any(_covers(other, candidate) for other in uncovered):
            uncovered.append(candidate)
    return tuple(uncovered)


def _merge_labels(conjunctions: Iterable[Conjunction], are_all_labels_of: AreAllLabels) -> list[Conjunction]:
    """Merge `R and x in A` with `R and x in B` into `R and x in A | B`, or into `R` if these are all labels of x."""
    merged = list(conjunctions)
    for name in dict.fromkeys(name for conjunction in merged for name, _ in conjunction):
        unions: dict[frozenset[tuple[str, frozenset[Label]]], frozenset[Label]] = {}
        for conjunction in merged:
            other_terms, labels = _split_off(conjunction, name)
            # Only a some_of can have several terms; these are not merged.
            if len(labels) == 1:
                unions[frozenset(other_terms)] = unions.get(frozenset(other_terms), frozenset()) | labels[0]
        for i, conjunction in enumerate(merged):
            other_terms, labels = _split_off(conjunction, name)
            if len(labels) == 1:
                union = unions[frozenset(other_terms)]
                merged[i] = other_terms if are_all_labels_of(name, union) else (*other_terms, (name, union))
    return merged


def _split_off(conjunction: Conjunction, name: str) -> tuple[Conjunction, list[frozenset[Label]]]:
    """Return the terms of `conjunction` about other decisions, and the label sets of its terms about `name`."""
    other_terms = tuple(term for term in conjunction if term[0] != name)
    return other_terms, [labels for decision, labels in conjunction if decision == name]


def _covers(weaker: Conjunction, stronger: Conjunction) -> bool:
    """Return whether `weaker` holds whenever `stronger` holds."""
    return all(any(decision == name and allowed <= labels for decision, allowed in stronger) for name, labels in weaker)


def sort_by_dependency(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """Return the decisions in order of appearance, but each after all decisions that its condition refers to.

    Raises:
        SpaceError: decisions activate one another.
    """
    by_name = {decision.name: decision for decision in decisions}
    parents = {d.name: {name for c in d.when for name, _ in c} for d in by_name.values()}
    ordered: list[Decision] = []
    visited: set[str] = set()

    # Depth-first search; each decision in `path` depends on the next one, and the last one on `name`.
    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in visited:
            return
        if name in path:
            cycle = " -> ".join((*path[path.index(name) :], name))
            raise SpaceError(f"decisions that activate one another: {cycle}; give one of these choices another name")
        for parent in sorted(parents[name], key=list(by_name).index):
            visit(parent, (*path, name))
        visited.add(name)
        ordered.append(by_name[name])

    for name in by_name:
        visit(name, ())
    return tuple(ordered)
