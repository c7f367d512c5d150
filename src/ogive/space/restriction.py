"""A space with fewer alternatives: the same names and labels, so that what was learned in the wider one still reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from ogive.errors import SpaceError
from ogive.space.domain import Categorical, Domain, IntegerRange, Label, RealRange, Subset
from ogive.space.table import Conjunction, Decision, all_labels_of, simplify
from ogive.space.tree import Call, Choose, ChooseSome, Compute, Group, Node, Splice, Table

Only = Mapping[str, Sequence[Label]]
"""For some decisions what is left of them: labels of a `one_of` or a `some_of`, the two ends of a number."""


def restrict(decisions: Sequence[Decision], only: Only) -> tuple[Decision, ...]:
    """The table with fewer alternatives; decisions that nothing activates any more are gone.

    Raises:
        SpaceError: an unknown decision or label, or nothing is left of a decision.
    """
    names = [decision.name for decision in decisions]
    for name in only:
        if name not in names:
            close = get_close_matches(name, names, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
            raise SpaceError(f"there is no decision {name!r}; {hint}")
    kept: dict[str, Decision] = {}

    def all_labels(name: str, labels: frozenset[Label]) -> bool:
        return all_labels_of(kept[name].domain, labels)

    for decision in decisions:
        when = simplify(_possible(decision.when, kept), all_labels)
        if when:
            domain = decision.domain
            domain = _narrowed(decision.name, domain, only[decision.name]) if decision.name in only else domain
            kept[decision.name] = replace(decision, domain=domain, when=when)
    return tuple(kept.values())


def _possible(when: Sequence[Conjunction], kept: Mapping[str, Decision]) -> Iterator[Conjunction]:
    """The ways to be activated that are left, without the labels that are gone."""
    for conjunction in when:
        left = tuple((name, _left(kept[name].domain, labels)) for name, labels in conjunction if name in kept)
        if len(left) == len(conjunction) and all(labels for _, labels in left):
            yield left


def _left(domain: Domain, labels: frozenset[Label]) -> frozenset[Label]:
    if isinstance(domain, (Categorical, Subset)):
        return labels & frozenset(domain.labels)
    if isinstance(domain, (IntegerRange, RealRange)):
        return frozenset(label for label in labels if domain.low <= label <= domain.high)
    return labels


def _narrowed(name: str, domain: Domain, only: Sequence[Label]) -> Domain:
    try:
        if isinstance(only, str) or not isinstance(only, Sequence) or not len(only):
            raise ValueError(f"{only!r} is no list of labels that are left")
        if isinstance(domain, (IntegerRange, RealRange)):
            return _between(domain, only)
        assert isinstance(domain, (Categorical, Subset))
        known = {label: i for i, label in enumerate(domain.labels)}
        unknown = [label for label in only if not isinstance(label, (str, int, float)) or label not in known]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not one of {', '.join(map(repr, domain.labels))}")
        labels = tuple(domain.labels[i] for i in sorted({known[label] for label in only}))
        if isinstance(domain, Categorical):
            return Categorical(labels)
        if len(labels) < max(1, domain.low):
            raise ValueError(f"{len(labels)} labels are left, of which {domain.low} have to be chosen")
        return Subset(labels, domain.low, min(domain.high, len(labels)))
    except ValueError as error:
        raise SpaceError(f"decision {name!r}: {error}") from None


def _between(domain: IntegerRange | RealRange, only: Sequence[Label]) -> Domain:
    if len(only) != 2:
        raise ValueError(f"{list(only)!r} are not the two ends of what is left, such as [{domain.low}, {domain.high}]")
    low, high = domain.parse(only[0]), domain.parse(only[1])
    if low > high or (low == high and isinstance(domain, RealRange)):
        raise ValueError(f"{list(only)!r}: the lower end comes first, and a real number needs a range")
    if isinstance(domain, RealRange):
        return RealRange(low, high, domain.log)
    return IntegerRange(int(low), int(high), domain.step, domain.log)


@dataclass(frozen=True)
class _Pruner:
    domains: Mapping[str, Domain]

    def node(self, node: Node) -> Node:
        match node:
            case Call(path, factory, args, kwargs):
                return Call(path, factory, self.nodes(args), {key: self.node(value) for key, value in kwargs.items()})
            case Group(kind, items):
                return Group(kind, self.nodes(items))
            case Table(items):
                return Table({key: self.node(value) for key, value in items.items()})
            case Choose(path, decision, alternatives):
                return Choose(path, decision, self.alternatives(decision, alternatives))
            case ChooseSome(path, decision, alternatives):
                return ChooseSome(path, decision, self.alternatives(decision, alternatives))
            case Splice(path, times, items):
                return Splice(path, self.node(times), self.nodes(items))
            case Compute(function, operands):
                return Compute(function, self.nodes(operands))
        return node

    def nodes(self, nodes: Sequence[Node]) -> tuple[Node, ...]:
        return tuple(map(self.node, nodes))

    def alternatives(self, decision: str, alternatives: Mapping[Label, Node]) -> dict[Label, Node]:
        """Those whose labels are left; below a decision that is gone nothing is ever reached, and nothing changes."""
        domain = self.domains.get(decision)
        labels = domain.labels if isinstance(domain, (Categorical, Subset)) else tuple(alternatives)
        return {label: self.node(node) for label, node in alternatives.items() if label in labels}


def prune(tree: Node, decisions: Sequence[Decision]) -> Node:
    """The tree without the alternatives that the table no longer has."""
    return _Pruner({decision.name: decision.domain for decision in decisions}).node(tree)
