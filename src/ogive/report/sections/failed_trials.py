"""What failed, why, and where in the space."""

from __future__ import annotations

from ogive.document.blocks import Block, Card, Cards, Code, Fold, Section, Table, Text
from ogive.formatting import plural
from ogive.report.failures import FailureGroup, groups
from ogive.report.sections.decisions import percent
from ogive.report.subject import LISTED, Subject

GROUPS = 12
"""The most kinds of failure that are shown."""


def section(subject: Subject) -> Section:
    if not subject.failed:
        text = "No trial has failed." if subject.trials else "No trial was started, so none has failed."
        return Section("failures", "Failures", [Text(text)])
    found = groups(subject.failed)
    lead = f"{len(subject.failed):,} of {plural(len(subject.trials), 'trial')} failed, in {plural(len(found), 'way')}."
    blocks: list[Block] = [Text(lead), Cards([_card(group) for group in found[:GROUPS]])]
    left = found[GROUPS:]
    if left:
        blocks.append(
            Text(f"... and {plural(sum(len(g.trials) for g in left), 'trial')} in {len(left)} more ways.", soft=True)
        )
    return Section("failures", "Failures", [*blocks, *_traps(subject)])


def _card(group: FailureGroup) -> Card:
    ids = ", ".join(str(trial.id) for trial in group.trials[:LISTED])
    more = f" and {len(group.trials) - LISTED:,} more" if len(group.trials) > LISTED else ""
    reason = group.example.reason or "no reason was recorded"
    blocks: list[Block] = [Text(f"Trial {group.example.id}: {reason}")]
    if group.last and group.last not in reason:
        blocks.append(Code(group.last))
    if len(group.trials) > 1:
        blocks.append(Text(f"All: {ids}{more}", soft=True))
    if group.example.traceback:
        blocks.append(Fold(f"traceback of trial {group.example.id}", [Code(group.example.traceback)]))
    return Card(group.status.value.replace("_", " "), [], plural(len(group.trials), "trial"), blocks, bad=True)


def _traps(subject: Subject) -> list[Block]:
    found = subject.failure_causes
    if not found:
        return [Text("No alternative of any decision is told apart by how often its trials fail.", soft=True)]
    rows = [
        (
            trap.decision,
            trap.text,
            f"{trap.failed} of {trap.of}",
            f"{percent(trap.low)} to {percent(trap.high)}",
            percent(trap.elsewhere),
        )
        for trap in found[:LISTED]
    ]
    note = "Where in the space trials fail: alternatives under which they do so more often than chance explains."
    head = ["decision", "alternative", "failed", "95 % interval", "under the others"]
    return [Text(note), Table(head, rows, frozenset({1}))]
