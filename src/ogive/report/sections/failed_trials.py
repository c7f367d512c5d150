"""The failures: how trials failed, and which alternatives fail more often."""

from __future__ import annotations

from ogive.document.blocks import Block, Card, Cards, Code, Fold, Section, Table, Text
from ogive.formatting import plural
from ogive.report.failures import FailureGroup, group_failures
from ogive.report.sections.decisions import format_percent
from ogive.report.subject import MAX_ROWS, Subject

MAX_GROUPS = 12
"""At most this many groups of failures are shown."""


def build_section(subject: Subject) -> Section:
    if not subject.failed_trials:
        return Section("failures", "Failures", [Text("No trial has failed.")])
    groups = group_failures(subject.failed_trials)
    ways = "in the same way" if len(groups) == 1 else f"in {len(groups)} ways"
    lead = f"{len(subject.failed_trials):,} of {plural(len(subject.trials), 'trial')} failed, {ways}."
    blocks: list[Block] = [Text(lead), Cards([_card(group) for group in groups[:MAX_GROUPS]])]
    hidden = groups[MAX_GROUPS:]
    if hidden:
        trials = plural(sum(len(group.trials) for group in hidden), "trial")
        blocks.append(Text(f"... and {trials} in {plural(len(hidden), 'more way')}.", soft=True))
    return Section("failures", "Failures", [*blocks, *_causes(subject)])


def _card(group: FailureGroup) -> Card:
    """Return the card of a group: an example with its traceback, and the numbers of the trials."""
    numbers = ", ".join(str(trial.id) for trial in group.trials[:MAX_ROWS])
    more = f" and {len(group.trials) - MAX_ROWS:,} more" if len(group.trials) > MAX_ROWS else ""
    reason = group.example.reason or "no reason was recorded"
    blocks: list[Block] = [Text(f"Trial {group.example.id}: {reason}")]
    if group.last_line is not None and group.last_line not in reason:
        blocks.append(Code(group.last_line))
    if len(group.trials) > 1:
        blocks.append(Text(f"All trials: {numbers}{more}", soft=True))
    if group.example.traceback:
        blocks.append(Fold(f"traceback of trial {group.example.id}", [Code(group.example.traceback)]))
    return Card(group.status.value.replace("_", " "), [], plural(len(group.trials), "trial"), blocks, is_error=True)


def _causes(subject: Subject) -> list[Block]:
    """Return the table of alternatives that fail more often."""
    causes = subject.failure_causes
    if not causes:
        return [Text("No alternative of any decision fails significantly more often than the others.", soft=True)]
    rows = [
        (
            cause.decision,
            cause.text,
            f"{cause.failed} of {cause.total}",
            f"{format_percent(cause.low)} to {format_percent(cause.high)}",
            format_percent(cause.elsewhere),
        )
        for cause in causes[:MAX_ROWS]
    ]
    note = "These alternatives fail significantly more often than the other alternatives of their decision."
    head = ["decision", "alternative", "failed", "95% interval", "other alternatives"]
    return [Text(note), Table(head, rows, frozenset({1}))]
