"""What is needed to repeat the run, and one trial of it."""

from __future__ import annotations

from ogive.document.blocks import Block, Code, Fold, Keys, Section, Text
from ogive.report import facts
from ogive.report.subject import Subject


def section(subject: Subject) -> Section:
    found = facts.reproduction_facts(subject.state)
    blocks: list[Block] = []
    if subject.first is not None:
        blocks += [
            Text("A trial of the search is repeated with the same seed, versions and threads by"),
            Code(f"ogive reproduce {subject.where} --trial {subject.first.trial.id}"),
        ]
    else:
        blocks.append(Text("No trial has a value yet, so there is none to repeat."))
    blocks += [
        Keys(found["manifest"]),
        Fold(f"the space: {len(found['decisions'])} decisions", [Keys(found["decisions"])]),
    ]
    if not found["sessions"]:
        return Section(
            "repeat", "What is needed to repeat it", [*blocks, Text("No session of a controller was recorded.")]
        )
    blocks += [Text(found["earlier_sessions"], soft=True)] if found["earlier_sessions"] else []
    for session in found["sessions"]:
        last = session is found["sessions"][-1]
        blocks.append(Fold(f"session {session['number']}", [Keys(session["rows"])], open=last))
    return Section("repeat", "What is needed to repeat it", blocks)
