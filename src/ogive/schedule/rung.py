"""A rung of successive halving: who got here, in order, and who waits to go on."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np

from ogive.objective import Constraint, Metrics, Objective, rank, sort_key, violation
from ogive.trial import TrialId

Key = tuple[int, float, TrialId]
"""Sorts the trials of a rung, the best first: class or rank, value within it, and of equals the first started."""

EXACT_UP_TO = 128
NO_VALUE = 2
"""The class of `sort_key` for metrics without a finite value: such a trial counts in the rung and never goes on."""


class Rung:
    """The trials of one rung. Each change costs O(log n) comparisons with one objective.

    With several objectives the order is a non-dominated sorting of the whole rung. It is made anew once 1/128 of the
    rung has changed, so after each change up to 128 trials; in larger rungs newcomers wait for the next sorting. So
    n trials cost O(n log n) sorting steps in all rather than O(n^2).
    """

    def __init__(self, objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()) -> None:
        self._objectives = tuple(objectives)
        self._constraints = tuple(constraints)
        self._rows: dict[TrialId, tuple[float, ...]] = {}  # violation, then costs
        self._keys: dict[TrialId, Key] = {}
        self._promoted: set[TrialId] = set()
        self._gone_on: set[TrialId] = set()  # promoted, or ended
        self._order: list[Key] = []
        self._waiting: list[Key] = []
        self._changes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, trial: TrialId) -> bool:
        return trial in self._rows

    def add(self, trial: TrialId, metrics: Metrics) -> None:
        """`trial` has got here, with `metrics`, and waits."""
        costs = (objective.cost(metrics) for objective in self._objectives)
        self._rows[trial] = (violation(metrics, self._constraints), *costs)
        if len(self._objectives) == 1:
            self._place((*sort_key(metrics, self._objectives[0], self._constraints), trial))
        else:
            self._changed()

    @property
    def gone_on(self) -> int:
        """How many have been promoted from here and have not failed since."""
        return len(self._promoted)

    def promote(self, trial: TrialId) -> None:
        """`trial`, if it is here, waits no longer; it keeps its place in the order."""
        if trial in self._rows:
            self._promoted.add(trial)
            self.retire(trial)

    def retire(self, trial: TrialId) -> None:
        """`trial`, if it is here, has ended and cannot be promoted; it keeps its place in the order."""
        if trial in self._rows:
            self._gone_on.add(trial)
            _discard(self._waiting, self._keys.get(trial))

    def remove(self, trial: TrialId) -> None:
        """`trial`, if it is here, has failed: it leaves."""
        if self._rows.pop(trial, None) is not None:
            self._promoted.discard(trial)
            key = self._keys.pop(trial, None)
            _discard(self._waiting, key)
            _discard(self._order, key)
            if len(self._objectives) > 1:
                self._changed()

    def promotable(self, eta: int, capped: bool = False, grace: int = 0) -> TrialId | None:
        """The best that waits, if it is in the top 1/eta of the rung (rounded down) and, where `capped`, fewer than
        1/eta of those that came after the first `grace` have been promoted.
        """
        places, earned = len(self._order) // eta, (len(self._order) - grace) // eta
        if not self._waiting or earned < 1 or (capped and self.gone_on >= earned):
            return None
        best = self._waiting[0]
        return best[2] if bisect_left(self._order, best) < places else None

    def leader(self) -> TrialId | None:
        """The best of the rung, if it waits."""
        order = self._sorted() if self._changes else self._order
        return order[0][2] if order and self._waits(order[0]) else None

    def leads(self, trial: TrialId, eta: float) -> bool:
        """Whether `trial`, which is here, is in the top 1/eta of the rung (rounded up), and has a value."""
        if trial not in self._keys:
            self._sort()
        key = self._keys[trial]
        return key[0] != NO_VALUE and bisect_left(self._order, key) < math.ceil(len(self._order) / eta)

    def ranking(self) -> list[TrialId]:
        """All that have a value, the best first."""
        order = self._sorted() if self._changes else self._order
        return [key[2] for key in order if key[0] != NO_VALUE]

    def waits(self, trial: TrialId) -> bool:
        """Whether `trial`, which has a value here, was neither promoted nor has ended."""
        return trial not in self._gone_on

    def _place(self, key: Key) -> None:
        self._keys[key[2]] = key
        insort(self._order, key)
        if self._waits(key):
            insort(self._waiting, key)

    def _changed(self) -> None:
        self._changes += 1
        if self._changes * EXACT_UP_TO >= len(self._rows):
            self._sort()

    def _sort(self) -> None:
        self._changes = 0
        self._order = self._sorted()
        self._keys = {key[2]: key for key in self._order}
        self._waiting = [key for key in self._order if self._waits(key)]

    def _sorted(self) -> list[Key]:
        """Non-dominated sorting of the whole rung."""
        if not self._rows:
            return []
        rows = np.array(list(self._rows.values()))
        valid = np.isfinite(rows[:, 1:]).all(axis=1)
        ranks = rank(rows[:, 1:], violations=rows[:, 0])
        found = zip(self._rows, valid.tolist(), ranks.tolist(), strict=True)
        return sorted((0 if has_value else NO_VALUE, place, trial) for trial, has_value, place in found)

    def _waits(self, key: Key) -> bool:
        return key[0] != NO_VALUE and key[2] not in self._gone_on


def _discard(keys: list[Key], key: Key | None) -> None:
    """Take `key` out of sorted `keys`, if it is there."""
    if key is not None:
        index = bisect_left(keys, key)
        if index < len(keys) and keys[index] == key:
            del keys[index]
