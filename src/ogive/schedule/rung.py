"""A rung of successive halving: the trials that have reached it, best first, and which of them wait for a promotion."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np

from ogive.objective import Constraint, Metrics, Objective, rank_costs, sort_key, total_violation
from ogive.trial import TrialId

Key = tuple[int, float, TrialId]
"""The sort key of a trial on a rung. With one objective it is (group, value, trial), with the group and value of `sort_key`.
With several objectives it is (0 or `NO_VALUE`, rank, trial). Of equally good trials, the older one comes first."""

MAX_SORTED_EACH_TIME = 128
"""With several objectives, rungs of up to this many trials are sorted after each change. Larger rungs are sorted after
changes to 1 / `MAX_SORTED_EACH_TIME` of their trials.
"""

NO_VALUE = 2
"""The group of `sort_key` for metrics without a finite value. Such a trial counts for the size of the rung but is never
promoted.
"""


class Rung:
    """The trials of one rung.

    With one objective, each change takes O(log n) comparisons. With several objectives, trials are sorted by a non-dominated
    sorting of the whole rung, which is repeated only when 1/128 of the trials have changed. On rungs of up to 128 trials,
    that is after each change. On larger rungs, a new trial can be promoted only after the next sorting. In total, n trials
    therefore take O(log n) sortings of the rung rather than n.
    """

    def __init__(self, objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()) -> None:
        self._objectives = tuple(objectives)
        self._constraints = tuple(constraints)
        self._rows: dict[TrialId, tuple[float, ...]] = {}  # the total violation and the costs of each trial
        self._keys: dict[TrialId, Key] = {}
        self._promoted: set[TrialId] = set()
        self._not_waiting: set[TrialId] = set()  # promoted or ended
        self._sorted_keys: list[Key] = []
        self._waiting_keys: list[Key] = []
        self._changes_since_sort = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, trial: TrialId) -> bool:
        return trial in self._rows

    def add(self, trial: TrialId, metrics: Metrics) -> None:
        """Add a trial that has reached this rung with these metrics; it waits to be promoted."""
        costs = (objective.cost(metrics) for objective in self._objectives)
        self._rows[trial] = (total_violation(metrics, self._constraints), *costs)
        if len(self._objectives) == 1:
            self._insert((*sort_key(metrics, self._objectives[0], self._constraints), trial))
        else:
            self._count_change()

    @property
    def promotion_count(self) -> int:
        """The number of trials that were promoted from this rung and have not failed since."""
        return len(self._promoted)

    def promote(self, trial: TrialId) -> None:
        """Record that a trial was promoted, if it is on this rung. It keeps its position in the order."""
        if trial in self._rows:
            self._promoted.add(trial)
            self.retire(trial)

    def retire(self, trial: TrialId) -> None:
        """Record that a trial has ended and cannot be promoted, if it is on this rung. It keeps its position."""
        if trial in self._rows:
            self._not_waiting.add(trial)
            _discard(self._waiting_keys, self._keys.get(trial))

    def remove(self, trial: TrialId) -> None:
        """Remove a failed trial, if it is on this rung."""
        if self._rows.pop(trial, None) is not None:
            self._promoted.discard(trial)
            key = self._keys.pop(trial, None)
            _discard(self._waiting_keys, key)
            _discard(self._sorted_keys, key)
            if len(self._objectives) > 1:
                self._count_change()

    def find_promotable(self, eta: int, capped: bool = False, grace: int = 0) -> TrialId | None:
        """Return the best waiting trial if it may be promoted, or None.

        Args:
            eta: the trial must be among the best 1/eta of the rung (rounded down).
            capped: whether at most 1/eta of the number of trials less `grace` may be promoted in total.
            grace: the number of trials that the rung needs in addition to `eta` before its first promotion.
        """
        # ASHA (Li et al. 2020, algorithm 2): a trial is promotable if it is among the best |rung| / eta of its rung. With
        # `capped`, promotions are also limited in number, since an early leader may have left the top since its promotion.
        top_count, promotion_limit = len(self._sorted_keys) // eta, (len(self._sorted_keys) - grace) // eta
        if not self._waiting_keys or promotion_limit < 1 or (capped and self.promotion_count >= promotion_limit):
            return None
        best = self._waiting_keys[0]
        return best[2] if bisect_left(self._sorted_keys, best) < top_count else None

    def find_waiting_leader(self) -> TrialId | None:
        """Return the best trial of the rung if it waits for a promotion, or None. The state of the rung does not change."""
        keys = self._compute_sorted_keys() if self._changes_since_sort else self._sorted_keys
        return keys[0][2] if keys and self._is_key_waiting(keys[0]) else None

    def is_in_top(self, trial: TrialId, eta: float) -> bool:
        """Return whether a trial on this rung has a value and is among the best 1/eta of the rung (rounded up)."""
        # With several objectives, a trial that was added since the last sorting has no key yet.
        if trial not in self._keys:
            self._sort()
        key = self._keys[trial]
        return key[0] != NO_VALUE and bisect_left(self._sorted_keys, key) < math.ceil(len(self._sorted_keys) / eta)

    def sort_best_first(self) -> list[TrialId]:
        """Return all trials that have a value, the best first."""
        keys = self._compute_sorted_keys() if self._changes_since_sort else self._sorted_keys
        return [key[2] for key in keys if key[0] != NO_VALUE]

    def is_waiting(self, trial: TrialId) -> bool:
        """Return whether a trial with a value on this rung has neither been promoted nor ended."""
        return trial not in self._not_waiting

    def _insert(self, key: Key) -> None:
        self._keys[key[2]] = key
        insort(self._sorted_keys, key)
        if self._is_key_waiting(key):
            insort(self._waiting_keys, key)

    def _count_change(self) -> None:
        # Sorting after a fixed share of changes, n trials take O(log n) sortings.
        self._changes_since_sort += 1
        if self._changes_since_sort * MAX_SORTED_EACH_TIME >= len(self._rows):
            self._sort()

    def _sort(self) -> None:
        self._changes_since_sort = 0
        self._sorted_keys = self._compute_sorted_keys()
        self._keys = {key[2]: key for key in self._sorted_keys}
        self._waiting_keys = [key for key in self._sorted_keys if self._is_key_waiting(key)]

    def _compute_sorted_keys(self) -> list[Key]:
        """Return the keys of all trials in the order of `ogive.objective.rank_costs`."""
        if not self._rows:
            return []
        rows = np.array(list(self._rows.values()))
        valid = np.isfinite(rows[:, 1:]).all(axis=1)
        ranks = rank_costs(rows[:, 1:], violations=rows[:, 0])
        return sorted(
            (0 if has_value else NO_VALUE, rank_of_trial, trial)
            for trial, has_value, rank_of_trial in zip(self._rows, valid.tolist(), ranks.tolist(), strict=True)
        )

    def _is_key_waiting(self, key: Key) -> bool:
        return key[0] != NO_VALUE and key[2] not in self._not_waiting


def _discard(keys: list[Key], key: Key | None) -> None:
    """Remove `key` from the sorted `keys`, if it is in them."""
    if key is not None:
        index = bisect_left(keys, key)
        if index < len(keys) and keys[index] == key:
            del keys[index]
