"""Restriction of a space to fewer alternatives, with the same names and labels, so that earlier results stay readable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from ogive.errors import SpaceError
from ogive.formatting import plural
from ogive.space.domain import Categorical, Domain, IntegerRange, Label, RealRange, Subset
from ogive.space.table import Conjunction, Decision, are_all_labels, simplify
from ogive.space.tree import DerivedNode, DictNode, LayerNode, Node, OneOfNode, RepeatNode, SequenceNode, SomeOfNode

Only = Mapping[str, Sequence[Label]]
"""The alternatives to keep, for some of the decisions: labels of a `one_of` or a `some_of`, or the two ends of a range."""


def restrict(decisions: Sequence[Decision], only: Only) -> tuple[Decision, ...]:
    """Return the table with the alternatives in `only`, without the decisions that can no longer be active.

    Raises:
        SpaceError: a decision or a label is unknown, or no alternative remains.
    """
    names = [decision.name for decision in decisions]
    for name in only:
        if name not in names:
            close = get_close_matches(name, names, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"the decisions are {', '.join(names)}"
            raise SpaceError(f"there is no decision {name!r}; {hint}")
    restricted: dict[str, Decision] = {}

    def are_all_labels_of(name: str, labels: frozenset[Label]) -> bool:
        return are_all_labels(restricted[name].domain, labels)

    # Each decision comes after the decisions that its condition refers to.
    for decision in decisions:
        when = simplify(_keep_satisfiable(decision.when, restricted), are_all_labels_of)
        # Without a conjunction that can hold, the decision is never active.
        if when:
            domain = decision.domain
            domain = _restrict_domain(decision.name, domain, only[decision.name]) if decision.name in only else domain
            restricted[decision.name] = replace(decision, domain=domain, when=when)
    return tuple(restricted.values())


def _keep_satisfiable(when: Sequence[Conjunction], restricted: Mapping[str, Decision]) -> Iterator[Conjunction]:
    """Yield the conjunctions that can still hold, without the labels that were removed."""
    for conjunction in when:
        remaining = tuple(
            (name, _keep_labels(restricted[name].domain, labels)) for name, labels in conjunction if name in restricted
        )
        if len(remaining) == len(conjunction) and all(labels for _, labels in remaining):
            yield remaining


def _keep_labels(domain: Domain, labels: frozenset[Label]) -> frozenset[Label]:
    """Return those of `labels` that are still in `domain`."""
    if isinstance(domain, (Categorical, Subset)):
        return labels & frozenset(domain.labels)
    if isinstance(domain, (IntegerRange, RealRange)):
        return frozenset(label for label in labels if domain.low <= label <= domain.high)
    return labels


def _restrict_domain(name: str, domain: Domain, kept_labels: Sequence[Label]) -> Domain:
    """Return the domain with the alternatives in `kept_labels`.

    Raises:
        SpaceError: a label is unknown, or too few labels remain.
    """
    try:
        if isinstance(kept_labels, str) or not isinstance(kept_labels, Sequence) or not len(kept_labels):
            raise ValueError(f"{kept_labels!r} is not a list of at least one label to keep")
        if isinstance(domain, (IntegerRange, RealRange)):
            return _restrict_range(domain, kept_labels)
        assert isinstance(domain, (Categorical, Subset))
        index = {label: i for i, label in enumerate(domain.labels)}
        unknown = [label for label in kept_labels if not isinstance(label, (str, int, float)) or label not in index]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not one of {', '.join(map(repr, domain.labels))}")
        labels = tuple(domain.labels[i] for i in sorted({index[label] for label in kept_labels}))
        if isinstance(domain, Categorical):
            return Categorical(labels)
        if len(labels) < max(1, domain.low):
            raise ValueError(f"only {plural(len(labels), 'label')} to keep, of which {domain.low} have to be chosen")
        return Subset(labels, domain.low, min(domain.high, len(labels)))
    except ValueError as error:
        raise SpaceError(f"decision {name!r}: {error}") from None


def _restrict_range(domain: IntegerRange | RealRange, kept_labels: Sequence[Label]) -> Domain:
    """Return the range between the two ends `kept_labels`.

    Raises:
        ValueError: `kept` does not have two valid ends.
    """
    if len(kept_labels) != 2:
        raise ValueError(
            f"{list(kept_labels)!r} are not the two ends of a range, such as [{domain.low}, {domain.high}]"
        )
    low, high = domain.parse(kept_labels[0]), domain.parse(kept_labels[1])
    if low > high or (low == high and isinstance(domain, RealRange)):
        raise ValueError(f"{list(kept_labels)!r}: the lower end comes first, and the ends of a real range must differ")
    if isinstance(domain, RealRange):
        return RealRange(low, high, domain.log)
    return IntegerRange(int(low), int(high), domain.step, domain.log)


@dataclass(frozen=True)
class _Pruner:
    """Copies a tree without the alternatives that are not in `domains`."""

    domains: Mapping[str, Domain]

    def prune_node(self, node: Node) -> Node:
        """Return a copy of `node`; nodes without alternatives or parts are returned as they are."""
        match node:
            case LayerNode(path, factory, args, kwargs):
                return LayerNode(
                    path,
                    factory,
                    self.prune_nodes(args),
                    {key: self.prune_node(value) for key, value in kwargs.items()},
                )
            case SequenceNode(kind, items):
                return SequenceNode(kind, self.prune_nodes(items))
            case DictNode(items):
                return DictNode({key: self.prune_node(value) for key, value in items.items()})
            case OneOfNode(path, decision, alternatives):
                return OneOfNode(path, decision, self.prune_alternatives(decision, alternatives))
            case SomeOfNode(path, decision, alternatives):
                return SomeOfNode(path, decision, self.prune_alternatives(decision, alternatives))
            case RepeatNode(path, times, items):
                return RepeatNode(path, self.prune_node(times), self.prune_nodes(items))
            case DerivedNode(function, operands):
                return DerivedNode(function, self.prune_nodes(operands))
        return node

    def prune_nodes(self, nodes: Sequence[Node]) -> tuple[Node, ...]:
        return tuple(map(self.prune_node, nodes))

    def prune_alternatives(self, decision: str, alternatives: Mapping[Label, Node]) -> dict[Label, Node]:
        """Return the alternatives whose labels remain.

        If the decision itself was removed, return all of them, because no architecture reaches it.
        """
        domain = self.domains.get(decision)
        labels = domain.labels if isinstance(domain, (Categorical, Subset)) else tuple(alternatives)
        return {label: self.prune_node(node) for label, node in alternatives.items() if label in labels}


def prune(tree: Node, decisions: Sequence[Decision]) -> Node:
    """Return the tree without the alternatives that the restricted table does not have."""
    return _Pruner({decision.name: decision.domain for decision in decisions}).prune_node(tree)
