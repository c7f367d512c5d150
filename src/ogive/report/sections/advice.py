"""Whether to continue, according to the stop rules; and the alerts and warnings of the run."""

from __future__ import annotations

from collections.abc import Sequence

from ogive.document.blocks import Block, Items, Section, Table, Text
from ogive.formatting import plural
from ogive.report.subject import MAX_ROWS, Subject

_SEVERITY = {"info": 0, "warning": 1, "critical": 2}


def build_section(subject: Subject) -> Section:
    """Return the section with the verdict of each stop rule."""
    title = "Whether to continue"
    if not subject.state.trials:
        return Section("advice", title, [Text("No trial was started, so no stop rule applies yet.")])
    rows = [
        (verdict.rule.replace("_", " "), "stop" if verdict.stop else "continue", verdict.reason)
        for verdict in subject.stop_verdicts
    ]
    lead = "The advice of each stop rule, and its reason."
    if subject.state.end_reason:
        lead = "The search has ended. The advice of each stop rule at its end, and its reason."
    return Section("advice", title, [Text(lead), Table(["rule", "advice", "reason"], rows, frozenset({1, 2}))])


def build_messages(subject: Subject) -> Section:
    """Return the section with the alerts, the most severe first, and the warnings."""
    state = subject.state
    title = "Alerts and warnings"
    warnings = _warnings(subject)
    if not state.alerts and not warnings:
        return Section("messages", title, [Text("There are no alerts and no warnings.")])
    blocks: list[Block] = []
    if state.alerts:
        ordered = sorted(state.alerts, key=lambda alert: -_SEVERITY.get(alert.severity, 0))
        rows = [
            (alert.severity, alert.message if alert.trial is None else f"trial {alert.trial}: {alert.message}")
            for alert in ordered
        ]
        blocks.append(Table(["alert", "message"], rows[:MAX_ROWS], frozenset({1})))
        if len(rows) > MAX_ROWS:
            blocks.append(Text(f"... and {plural(len(rows) - MAX_ROWS, 'more alert')}", soft=True))
    else:
        blocks.append(Text("There are no alerts."))
    blocks.append(Items(warnings) if warnings else Text("There are no warnings.", soft=True))
    return Section("messages", title, blocks)


def _warnings(subject: Subject) -> Sequence[str]:
    state = subject.state
    texts = [message if trial is None else f"trial {trial}: {message}" for message, trial in state.warnings]
    if state.test_reads > 1:
        read = f"the test split was read {state.test_reads} times; from the second time on its data are not unseen any more"
        texts.insert(0, read)
    hidden = len(texts) - MAX_ROWS
    return [*texts[:MAX_ROWS], f"... and {plural(hidden, 'more warning')}"] if hidden > 0 else texts
