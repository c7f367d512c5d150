"""Failures in a report: groups of equal failures, and alternatives whose trials fail more often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ogive.report.alternatives import Alternatives
from ogive.run.repeated_failure import compute_error_signature
from ogive.space import Space
from ogive.stats.corrections import FAMILY_LEVEL, correct_by_holm
from ogive.stats.proportions import hypergeometric_at_most, proportion_interval
from ogive.trial import Status, Trial


@dataclass(frozen=True, kw_only=True)
class FailureGroup:
    """Trials that failed with the same status and the same reason; numbers, addresses and paths may differ.

    Attributes:
        status: the status of all trials of the group.
        error_signature: the reason of the failures, with numbers, addresses and paths replaced by placeholders.
        trials: the trials of the group.
        example: the first trial that has a traceback; if none has one, the first trial.
        last_line: the last line of the example's traceback; None without a traceback.
    """

    status: Status
    error_signature: str
    trials: Sequence[Trial]
    example: Trial
    last_line: str | None


@dataclass(frozen=True, kw_only=True)
class FailureCause:
    """An alternative whose trials fail significantly more often than those with other alternatives of its decision.

    Attributes:
        decision: the decision's name.
        text: the alternative as text.
        failed: the number of trials with the alternative that failed.
        total: the number of trials with the alternative.
        low, high: the 95% interval of failed / total.
        elsewhere: the share of failed trials among those with other alternatives of the decision.
    """

    decision: str
    text: str
    failed: int
    total: int
    low: float
    high: float
    elsewhere: float


def group_failures(failed: Sequence[Trial]) -> list[FailureGroup]:
    """Return the groups of equal failures, the largest first."""
    groups: dict[tuple[Status, str], list[Trial]] = {}
    for trial in failed:
        groups.setdefault((trial.status, compute_error_signature(trial)), []).append(trial)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [_make_failure_group(status, signature, trials) for (status, signature), trials in ordered]


def _make_failure_group(status: Status, signature: str, trials: Sequence[Trial]) -> FailureGroup:
    example = next((trial for trial in trials if trial.traceback), trials[0])
    lines = [line.strip() for line in (example.traceback or "").strip().splitlines() if line.strip()]
    last_line = lines[-1] if lines else None
    return FailureGroup(status=status, error_signature=signature, trials=trials, example=example, last_line=last_line)


def find_failure_causes(space: Space, ended: Sequence[Trial]) -> list[FailureCause]:
    """Return the alternatives whose trials fail significantly more often, the highest share of failures first.

    For each alternative, Fisher's exact test (one-sided) compares its trials with those that chose another alternative of
    the same decision, where the decision is active. With Holm's correction over all alternatives, the probability that any
    alternative is returned by chance is below 5%.
    """
    has_failed = np.array([trial.status.failed for trial in ended], dtype=bool)
    if not has_failed.any() or has_failed.all():
        return []
    table = Alternatives.of(space, [trial.architecture for trial in ended])
    failed, total = table.chosen[has_failed].sum(axis=0), table.chosen.sum(axis=0)
    all_failed, all_total = table.active[has_failed].sum(axis=0), table.active.sum(axis=0)
    # k of the n trials with the alternative failed, and j of the m trials in which its decision is active.
    # P(at least k of n trials fail) = P(at most n - k of them succeed), the probability that `hypergeometric_at_most` gives.
    p_values = np.array(
        [
            hypergeometric_at_most(int(n - k), int(n), int(m - j), int(m))
            for k, n, j, m in zip(failed, total, all_failed, all_total, strict=True)
        ]
    )
    low, high = proportion_interval(failed, total)
    significant = correct_by_holm(p_values) <= FAMILY_LEVEL
    causes = [
        FailureCause(
            decision=alternative.decision,
            text=alternative.text,
            failed=int(failed[i]),
            total=int(total[i]),
            low=float(low[i]),
            high=float(high[i]),
            elsewhere=float((all_failed[i] - failed[i]) / max(1, all_total[i] - total[i])),
        )
        for i, alternative in enumerate(table.alternatives)
        if significant[i]
    ]
    return sorted(causes, key=lambda cause: -cause.failed / cause.total)
