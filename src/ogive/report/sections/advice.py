"""Whether to go on: what every stop rule says; and what was said on the way: alerts and warnings."""

from __future__ import annotations

from collections.abc import Sequence

from ogive.document.blocks import Block, Items, Section, Table, Text
from ogive.report.subject import LISTED, Subject

_NAMES = {"no_trend": "no trend"}


def section(subject: Subject) -> Section:
    rows = [
        (_NAMES.get(verdict.rule, verdict.rule), "stop" if verdict.stop else "go on", verdict.reason)
        for verdict in subject.verdicts
    ]
    lead = "What each stop rule says, and why."
    if not subject.state.trials:
        lead = "No trial was started, so no rule has anything to judge."
    elif subject.state.ended:
        lead = "The search has ended. What each stop rule said at its end, and why."
    return Section(
        "advice", "Whether to go on", [Text(lead), Table(["rule", "verdict", "reason"], rows, frozenset({1, 2}))]
    )


def messages(subject: Subject) -> Section:
    state = subject.state
    blocks: list[Block] = []
    if state.alerts:
        ordered = sorted(state.alerts, key=lambda alert: -_SEVERITY.get(alert.severity, 0))
        rows = [
            (alert.severity, alert.message if alert.trial is None else f"trial {alert.trial}: {alert.message}")
            for alert in ordered
        ]
        blocks.append(Table(["alert", "message"], rows[:LISTED], frozenset({1})))
        if len(rows) > LISTED:
            blocks.append(Text(f"... and {len(rows) - LISTED:,} more", soft=True))
    else:
        blocks.append(Text("No alert was raised."))
    warnings = _warnings(subject)
    blocks += [Items(warnings)] if warnings else [Text("No warning was given.", soft=bool(state.alerts))]
    return Section("messages", "Alerts and warnings", blocks)


_SEVERITY = {"info": 0, "warning": 1, "critical": 2}


def _warnings(subject: Subject) -> Sequence[str]:
    state = subject.state
    texts = [message if trial is None else f"trial {trial}: {message}" for message, trial in state.warnings]
    if state.test_reads > 1:
        texts.insert(
            0, f"the test split was read {state.test_reads} times; from the second time on it is no longer unseen"
        )
    return [*texts[:LISTED], f"... and {len(texts) - LISTED:,} more"] if len(texts) > LISTED else texts
