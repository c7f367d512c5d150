"""How many architectures a table of decisions allows: exactly, or within bounds that say so.

The table is read row by row, what depends on a row soon after it. A state is what is known about the conditions of
later rows: which rows are already sure to be active, and which conjunctions still can be fulfilled. With each state
goes the number of assignments that lead to it. Trees of any depth, and names shared under many conditions, need few
states at a time. Where there would be too many, a row's condition is forgotten: the row then counts as active for the
upper bound and as inactive for the lower one. More active rows never make the count smaller, so both are bounds.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from ogive.space.domain import Categorical, Label, Subset
from ogive.space.table import Conjunction, Decision

MAX_STATES = 2_000
MAX_LABELS = 100_000

_State = frozenset[int]  # i: conjunction i is fulfilled as far as it was read; ~row: the row will be active


@dataclass(frozen=True)
class SizeBounds:
    """The size of a space that takes too long to count: at least `low`, at most `high`."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"between {self.low:,} and {self.high:,} (counting exactly would take too long)"


def count(decisions: Sequence[Decision], max_states: int = MAX_STATES) -> int | float | SizeBounds:
    """The number of distinct active assignments: exact, infinite with a real decision, or bounds."""
    if any(math.isinf(decision.domain.size) for decision in decisions):
        return math.inf
    decisions = _in_order_of_use(*_label_by_label(decisions))
    high, exact = _count(decisions, max_states, forgotten_active=True)
    if exact:
        return high
    low, _ = _count(decisions, max_states, forgotten_active=False)
    return SizeBounds(low, high)


def _label_by_label(decisions: Sequence[Decision]) -> tuple[list[Decision], dict[str, str]]:
    """The same number of assignments, with each `some_of` that conditions refer to decided one label at a time.

    Row (i, k) asks whether label i is in, given that k were in before; row (i,) is active where it is. Also returned:
    for each row (i, k), the row (i - 1,), since it is better read first.
    """
    referred = {name for decision in decisions for conjunction in decision.when for name, _ in conjunction}
    subsets = {d.name: d.domain for d in decisions if d.name in referred and isinstance(d.domain, Subset)}

    def literals(name: str, labels: frozenset[Label]) -> list[tuple[str, frozenset[Label]]]:
        if name not in subsets:
            return [(name, labels)]
        return [(f"{name}\0{i}", _IN) for i, label in enumerate(subsets[name].labels) if label in labels]

    def rewritten(decision: Decision) -> tuple[Conjunction, ...]:
        return tuple(c for when in decision.when for c in product(*(literals(*item) for item in when)))

    rows = [Decision(d.name, d.domain, rewritten(d)) for d in decisions if d.name not in subsets]
    after: dict[str, str] = {}
    for decision in decisions:
        if decision.name in subsets:
            rows += _chain(decision.name, subsets[decision.name], rewritten(decision), after)
    return rows, after


_IN, _OUT = frozenset([True]), frozenset([False])


def _chain(name: str, domain: Subset, when: tuple[Conjunction, ...], after: dict[str, str]) -> Iterator[Decision]:
    n = len(domain.labels)
    reached = {0: when}  # how many were in before label i -> when that is so
    for i in range(n):
        following: dict[int, tuple[Conjunction, ...]] = defaultdict(tuple)
        for k, condition in reached.items():
            row = f"{name}\0{i}\0{k}"
            if i:
                after[row] = f"{name}\0{i - 1}"
            answers = [True] * (k < domain.high) + [False] * (k + n - i - 1 >= domain.low)
            yield Decision(row, Categorical(tuple(answers)), condition)
            for answer in answers:
                following[k + answer] += (((row, _IN if answer else _OUT),),)
        yield Decision(f"{name}\0{i}", Categorical((True,)), tuple(((f"{name}\0{i}\0{k}", _IN),) for k in reached))
        reached = following


def _in_order_of_use(decisions: Sequence[Decision], after: Mapping[str, str]) -> list[Decision]:
    """Each decision as soon as all that its condition refers to is there: so few conditions are open at a time."""
    missing = {d.name: {name for conjunction in d.when for name, _ in conjunction} for d in decisions}
    for name, earlier in after.items():
        missing[name].add(earlier)
    referring: dict[str, list[Decision]] = defaultdict(list)
    for decision in reversed(decisions):
        for name in missing[decision.name]:
            referring[name].append(decision)
    ready = [decision for decision in reversed(decisions) if not missing[decision.name]]
    ordered = []
    while ready:
        ordered.append(ready.pop())
        for decision in referring[ordered[-1].name]:
            missing[decision.name].discard(ordered[-1].name)
            if not missing[decision.name]:
                ready.append(decision)
    return ordered


@dataclass(frozen=True)
class _Use:
    """The part of conjunction `index` of the condition of `row` that is about one decision."""

    index: int
    row: int
    first: bool
    last: bool
    labels: frozenset[Label]


def _uses(decisions: Sequence[Decision]) -> list[list[_Use]]:
    """For each row, what later conditions say about its decision."""
    position = {decision.name: row for row, decision in enumerate(decisions)}
    uses: list[list[_Use]] = [[] for _ in decisions]
    conjunctions = [(row, conjunction) for row, decision in enumerate(decisions) for conjunction in decision.when]
    for index, (row, conjunction) in enumerate(conjunctions):
        names = sorted({name for name, _ in conjunction}, key=position.__getitem__)
        for name in names:
            use = _Use(index, row, name == names[0], name == names[-1], dict(conjunction)[name])
            uses[position[name]].append(use)
    return uses


def _count(decisions: Sequence[Decision], max_states: int, forgotten_active: bool) -> tuple[int, bool]:
    """The count, and whether it is exact."""
    all_uses = _uses(decisions)
    row_of = {use.index: use.row for uses in all_uses for use in uses}
    forgotten: set[int] = set()
    states: dict[_State, int] = {frozenset(): 1}
    for row, decision in enumerate(decisions):
        if decision.domain.size > MAX_LABELS:  # too many to look at each
            forgotten.update(use.row for use in all_uses[row])
        uses = [use for use in all_uses[row] if use.row not in forgotten]
        groups = _groups(decision, uses)
        following: dict[_State, int] = defaultdict(int)
        for state, ways in states.items():
            active = forgotten_active if row in forgotten else ~row in state or not decision.conditional
            for fulfilled, size in groups.items() if active else _INACTIVE:
                following[_advance(state - {~row}, uses, fulfilled)] += ways * size
        states = following
        while len(states) > max_states:
            last = max(_row(i, row_of) for state in states for i in state)
            forgotten.add(last)
            merged: dict[_State, int] = defaultdict(int)
            for state, ways in states.items():
                merged[frozenset(i for i in state if _row(i, row_of) != last)] += ways
            states = merged
    return sum(states.values()), not forgotten


_INACTIVE: tuple[tuple[_State, int], ...] = ((frozenset(), 1),)


def _groups(decision: Decision, uses: Sequence[_Use]) -> Mapping[_State, int]:
    """How many labels there are of each kind, by which conjunctions they fulfil."""
    if not uses:
        return {frozenset(): int(decision.domain.size)}
    return Counter(frozenset(use.index for use in uses if label in use.labels) for label in decision.domain.all(0))


def _advance(state: _State, uses: Sequence[_Use], fulfilled: _State) -> _State:
    """What is known after a decision whose label fulfils its part of the conjunctions `fulfilled`."""
    if not uses:
        return state
    known = set(state)
    for use in uses:
        known.discard(use.index)
        if ~use.row in known or use.index not in fulfilled or not (use.first or use.index in state):
            continue
        if use.last:
            known.add(~use.row)
        else:
            known.add(use.index)
    return frozenset(known)


def _row(i: int, row_of: Mapping[int, int]) -> int:
    return row_of[i] if i >= 0 else ~i
