"""A suggestion for a narrower space, without alternatives that are rare among the best trials and worse by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ogive.report.alternatives import Alternatives
from ogive.report.importance import Frequency, ImportanceResult
from ogive.space import Space
from ogive.space.domain import IntegerRange, RealRange
from ogive.trial import Trial


def suggest_restriction(space: Space, result: ImportanceResult, keep: Sequence[Trial]) -> dict[str, list[object]]:
    """Return a restriction of the space (see `Space.restricted`) without its inferior alternatives.

    No alternative of a trial in `keep` is removed. For a number, only ranges at its ends are removed. A decision is not
    restricted if none or all of its alternatives would be removed, or if it is a `some_of`.
    """
    by_decision: dict[str, list[Frequency]] = {}
    for item in result.frequencies:
        by_decision.setdefault(item.decision, []).append(item)
    table = Alternatives.of(space, [trial.architecture for trial in keep])
    protected = {(item.decision, item.text) for i, item in enumerate(table.alternatives) if table.chosen[:, i].any()}
    restriction: dict[str, list[object]] = {}
    for decision in space.decisions:
        items = by_decision.get(decision.name, [])
        removed = [item.is_inferior and (item.decision, item.text) not in protected for item in items]
        if not any(removed) or all(removed):
            continue
        domain_json: Mapping[str, object] = decision.domain.describe()
        if "labels" not in domain_json:
            first, last = removed.index(False), len(removed) - 1 - removed[::-1].index(False)
            if first > 0 or last < len(removed) - 1:
                low, high = items[first].ends[0], items[last].ends[1]
                restriction[decision.name] = [low, high]
        elif domain_json["kind"] == "one_of":
            restriction[decision.name] = [
                item.ends[0] for item, is_removed in zip(items, removed, strict=True) if not is_removed
            ]
    return restriction


def list_removed_alternatives(
    space: Space, result: ImportanceResult, restriction: Mapping[str, Sequence[object]]
) -> list[Frequency]:
    """Return the alternatives that `restriction` removes from the space."""
    domains = {decision.name: decision.domain for decision in space.restricted(restriction).decisions}

    def is_removed(item: Frequency) -> bool:
        if item.decision not in restriction or item.decision not in domains:
            return False
        domain: Any = domains[item.decision]
        low, high = item.ends
        if isinstance(domain, RealRange):
            # Adjacent ranges of real numbers share an end.
            return bool(high <= domain.low or low >= domain.high)
        if isinstance(domain, IntegerRange):
            return bool(high < domain.low or low > domain.high)
        return low not in domain.labels

    return [item for item in result.frequencies if is_removed(item)]
