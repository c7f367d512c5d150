"""What failed, digested: groups of failures that are one and the same, and alternatives under which trials fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ogive.report.alternatives import Alternatives
from ogive.run.repeated_failure import error_signature
from ogive.space import Space
from ogive.stats.corrections import FAMILY_LEVEL, holm
from ogive.stats.proportions import fewer, proportion_interval
from ogive.trial import Status, Trial


@dataclass(frozen=True)
class FailureGroup:
    """Failures with the same status and the same reason, numbers, addresses and paths apart.

    Attributes:
        essence: the reason without what is particular to one trial.
        last: the last line of the example's traceback; "" where there is none.
    """

    status: Status
    error_signature: str
    trials: Sequence[Trial]
    example: Trial
    last: str


@dataclass(frozen=True)
class FailureCause:
    """An alternative under which trials fail more often than elsewhere; the share failed lies in [low, high]."""

    decision: str
    text: str
    failed: int
    of: int
    low: float
    high: float
    elsewhere: float


def groups(failed: Sequence[Trial]) -> list[FailureGroup]:
    """The groups, the largest first; the example is the first with a traceback."""
    found: dict[tuple[Status, str], list[Trial]] = {}
    for trial in failed:
        found.setdefault((trial.status, error_signature(trial)), []).append(trial)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [_group(status, text, trials) for (status, text), trials in ordered]


def _group(status: Status, text: str, trials: Sequence[Trial]) -> FailureGroup:
    example = next((trial for trial in trials if trial.traceback), trials[0])
    lines = [line.strip() for line in example.traceback.strip().splitlines() if line.strip()]
    return FailureGroup(status, text, trials, example, lines[-1] if lines else "")


def failure_causes(space: Space, ended: Sequence[Trial]) -> list[FailureCause]:
    """Alternatives whose trials fail more often than those that chose another one of the same decision.

    Fisher's exact test, one-sided, on each alternative where its decision is active; Holm's correction over all (at most
    5 % chance of naming any without cause). The worst first.
    """
    bad = np.array([trial.status.failed for trial in ended], dtype=bool)
    if not bad.any() or bad.all():
        return []
    levels = Alternatives.of(space, [trial.architecture for trial in ended])
    failed, of = levels.chosen[bad].sum(axis=0), levels.chosen.sum(axis=0)
    all_failed, all_of = levels.active[bad].sum(axis=0), levels.active.sum(axis=0)
    # as many failures here or more is the same as: at most so many of those that went well
    chances = np.array(
        [
            fewer(int(n - k), int(n), int(m - j), int(m))
            for k, n, j, m in zip(failed, of, all_failed, all_of, strict=True)
        ]
    )
    low, high = proportion_interval(failed, of)
    named = holm(chances) <= FAMILY_LEVEL
    found = [
        FailureCause(
            level.decision, level.text, int(failed[i]), int(of[i]), float(low[i]), float(high[i]),
            float((all_failed[i] - failed[i]) / max(1, all_of[i] - of[i])),
        )
        for i, level in enumerate(levels.levels)
        if named[i]
    ]  # fmt: skip
    return sorted(found, key=lambda trap: -trap.failed / trap.of)
