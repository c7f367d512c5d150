"""The number of architectures that a table of decisions allows: the exact number, or a lower and an upper bound.

The table is processed row by row (dynamic programming). The order of the rows is chosen so that each row follows soon after
the rows that its condition depends on. A state describes what the labels so far imply for the conditions of later rows:
which rows will be active, and which conjunctions can still be satisfied. For each state, the assignments of labels that lead
to it are counted. The number of states at a time is small for trees of any depth, and for names that are shared under many
conditions.

If there are too many states, the condition of a row is dropped. This row counts as always active for an upper bound, and as
never active for a lower bound. These are bounds, because more active rows never make the number of architectures smaller.
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
"""By default, at most this many states exist at a time."""

MAX_LABELS = 100_000
"""If a decision has more labels, the conditions that refer to it are dropped, because each label would have to be tested."""

_State = frozenset[int]
"""A set with two kinds of members. The number i >= 0 of a conjunction means that all of its terms about earlier rows are
satisfied. The negative number ~row means that the row will be active."""


@dataclass(frozen=True)
class SizeBounds:
    """The bounds of the size of a space that would take too long to count: at least `low`, at most `high`."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"between {self.low:,} and {self.high:,} (counting exactly would take too long)"


def count(decisions: Sequence[Decision], max_states: int = MAX_STATES) -> int | float | SizeBounds:
    """Return the number of distinct architectures: exact, `math.inf` with a real decision, or `SizeBounds`.

    Args:
        decisions: the table.
        max_states: at most this many states exist at a time. A larger number counts more spaces exactly, and takes longer.
    """
    if any(math.isinf(decision.domain.size) for decision in decisions):
        return math.inf
    decisions = _sort_by_use(*_split_subsets(decisions))
    high, is_exact = _count(decisions, max_states, dropped_are_active=True)
    if is_exact:
        return high
    low, _ = _count(decisions, max_states, dropped_are_active=False)
    return SizeBounds(low, high)


def _split_subsets(decisions: Sequence[Decision]) -> tuple[list[Decision], dict[str, str]]:
    """Split each `some_of` that conditions refer to into one row for each label.

    The new table has the same number of architectures. Row (i, k) decides whether the subset includes label i, given that it
    includes k of the labels before i. Row (i) has a single label, and is active if the subset includes label i.

    Returns:
        The new table; and, for each row (i, k) by name, the name of row (i - 1), which should be processed before it.
    """
    referenced = {name for decision in decisions for conjunction in decision.when for name, _ in conjunction}
    subsets = {d.name: d.domain for d in decisions if d.name in referenced and isinstance(d.domain, Subset)}

    def split_term(name: str, labels: frozenset[Label]) -> list[tuple[str, frozenset[Label]]]:
        """Return the terms of which one must be satisfied instead of the term "decision `name` has one of `labels`"."""
        if name not in subsets:
            return [(name, labels)]
        return [(f"{name}\0{i}", _INCLUDED) for i, label in enumerate(subsets[name].labels) if label in labels]

    def rewrite_condition(decision: Decision) -> tuple[Conjunction, ...]:
        return tuple(
            rewritten
            for conjunction in decision.when
            for rewritten in product(*(split_term(name, labels) for name, labels in conjunction))
        )

    rows = [Decision(d.name, d.domain, rewrite_condition(d)) for d in decisions if d.name not in subsets]
    predecessors: dict[str, str] = {}
    for decision in decisions:
        if decision.name in subsets:
            rows += _split_subset(decision.name, subsets[decision.name], rewrite_condition(decision), predecessors)
    return rows, predecessors


_INCLUDED, _EXCLUDED = frozenset([True]), frozenset([False])


def _split_subset(
    name: str, domain: Subset, when: tuple[Conjunction, ...], predecessors: dict[str, str]
) -> Iterator[Decision]:
    """Yield the rows that replace one `some_of`, and add their predecessors to `predecessors`.

    Row (i, k) is called `name`, i, k, and row (i) is called `name`, i; the parts are separated by zero characters, which no
    name of a decision contains.
    """
    n = len(domain.labels)
    # For each possible number k: the condition under which the subset includes k of the labels before label i.
    reachable = {0: when}
    for i in range(n):
        next_reachable: dict[int, tuple[Conjunction, ...]] = defaultdict(tuple)
        for k, condition in reachable.items():
            row = f"{name}\0{i}\0{k}"
            if i:
                predecessors[row] = f"{name}\0{i - 1}"
            # Label i may be included while fewer than `high` are, and excluded while enough labels follow to reach `low`.
            possible = ((True, k < domain.high), (False, k + n - i - 1 >= domain.low))
            options = [is_included for is_included, is_possible in possible if is_possible]
            yield Decision(row, Categorical(tuple(options)), condition)
            for option in options:
                next_reachable[k + int(option)] += (((row, _INCLUDED if option else _EXCLUDED),),)
        included_when = tuple(((f"{name}\0{i}\0{k}", _INCLUDED),) for k in reachable)
        yield Decision(f"{name}\0{i}", Categorical((True,)), included_when)
        reachable = next_reachable


def _sort_by_use(decisions: Sequence[Decision], predecessors: Mapping[str, str]) -> list[Decision]:
    """Sort the decisions so that each follows the decisions of its condition as soon as possible.

    Then few conditions are undecided at a time, which keeps the number of states small.
    """
    missing = {d.name: {name for conjunction in d.when for name, _ in conjunction} for d in decisions}
    for name, predecessor in predecessors.items():
        missing[name].add(predecessor)
    dependents: dict[str, list[Decision]] = defaultdict(list)
    for decision in reversed(decisions):
        for name in missing[decision.name]:
            dependents[name].append(decision)
    ready = [decision for decision in reversed(decisions) if not missing[decision.name]]
    ordered = []
    while ready:  # a stack: a decision that has just become ready comes next
        ordered.append(ready.pop())
        for decision in dependents[ordered[-1].name]:
            missing[decision.name].discard(ordered[-1].name)
            if not missing[decision.name]:
                ready.append(decision)
    return ordered


@dataclass(frozen=True, kw_only=True)
class _Term:
    """One term of a conjunction, with what the count has to know about the conjunction.

    Attributes:
        conjunction: the number of the conjunction.
        dependent_row: the row whose condition contains the conjunction. (The term is about the label of an earlier row.)
        is_first: whether this is the first term of the conjunction, in the order of the rows that the terms are about.
        is_last: whether this is the last term of the conjunction.
        labels: the labels that satisfy the term.
    """

    conjunction: int
    dependent_row: int
    is_first: bool
    is_last: bool
    labels: frozenset[Label]


def _collect_terms(decisions: Sequence[Decision]) -> list[list[_Term]]:
    """Return for each row the terms about its label in the conditions of later rows."""
    row_of = {decision.name: row for row, decision in enumerate(decisions)}
    terms: list[list[_Term]] = [[] for _ in decisions]
    conjunctions = [(row, conjunction) for row, decision in enumerate(decisions) for conjunction in decision.when]
    for number, (row, conjunction) in enumerate(conjunctions):
        # Two terms about the same decision are equal here, since each `some_of` in a condition was split; one counts.
        names = sorted({name for name, _ in conjunction}, key=row_of.__getitem__)
        for name in names:
            term = _Term(
                conjunction=number,
                dependent_row=row,
                is_first=name == names[0],
                is_last=name == names[-1],
                labels=dict(conjunction)[name],
            )
            terms[row_of[name]].append(term)
    return terms


def _count(decisions: Sequence[Decision], max_states: int, dropped_are_active: bool) -> tuple[int, bool]:
    """Return the number of architectures, and whether it is exact.

    Rows whose condition was dropped count as always active if `dropped_are_active`, otherwise as never active.
    """
    terms_by_row = _collect_terms(decisions)
    dependent_rows = {term.conjunction: term.dependent_row for terms in terms_by_row for term in terms}
    dropped: set[int] = set()
    states: dict[_State, int] = {frozenset(): 1}
    for row, decision in enumerate(decisions):
        # There are too many labels to test each of them against the conditions.
        if decision.domain.size > MAX_LABELS:
            dropped.update(term.dependent_row for term in terms_by_row[row])
        terms = [term for term in terms_by_row[row] if term.dependent_row not in dropped]

        # Extend every state by the labels of this row; labels that satisfy the same terms lead to the same state.
        groups = _group_labels(decision, terms)
        next_states: dict[_State, int] = defaultdict(int)
        for state, ways in states.items():
            is_active = dropped_are_active if row in dropped else ~row in state or not decision.is_conditional
            for satisfied, label_count in groups.items() if is_active else _INACTIVE:
                next_states[_advance(state - {~row}, terms, satisfied)] += ways * label_count
        states = next_states

        # Too many states: drop the condition of the last row that any state is about, because it would be needed for the
        # longest time. Then merge the states that differ only in members about this row.
        while len(states) > max_states:
            last = max(_find_row(i, dependent_rows) for state in states for i in state)
            dropped.add(last)
            merged: dict[_State, int] = defaultdict(int)
            for state, ways in states.items():
                merged[frozenset(i for i in state if _find_row(i, dependent_rows) != last)] += ways
            states = merged
    return sum(states.values()), not dropped


_INACTIVE: tuple[tuple[frozenset[int], int], ...] = ((frozenset(), 1),)
"""The groups of an inactive decision: one group, which satisfies no term."""


def _group_labels(decision: Decision, terms: Sequence[_Term]) -> Mapping[frozenset[int], int]:
    """Return the number of labels for each set of conjunctions whose terms a label satisfies.

    The labels in one group lead from a state to the same next state.
    """
    if not terms:
        return {frozenset(): int(decision.domain.size)}
    return Counter(
        frozenset(term.conjunction for term in terms if label in term.labels)
        for label in decision.domain.enumerate_labels(resolution=0)
    )


def _advance(state: _State, terms: Sequence[_Term], satisfied: frozenset[int]) -> _State:
    """Return the state after one more row.

    Args:
        state: the state before the row.
        terms: the terms about the label of the row.
        satisfied: the numbers of the conjunctions whose term in `terms` is satisfied by the label.
    """
    if not terms:
        return state
    members = set(state)
    for term in terms:
        i = term.conjunction
        members.discard(i)
        # Skip the conjunction if its row is known to be active, or if one of its terms is not satisfied.
        if ~term.dependent_row in members or i not in satisfied or not (term.is_first or i in state):
            continue
        members.add(~term.dependent_row if term.is_last else i)
    return frozenset(members)


def _find_row(i: int, dependent_rows: Mapping[int, int]) -> int:
    """Return the row that the member `i` of a state is about; `dependent_rows` has the row of each conjunction."""
    return dependent_rows[i] if i >= 0 else ~i
