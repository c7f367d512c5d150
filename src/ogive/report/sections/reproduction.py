"""How to reproduce the run, and one trial of it."""

from __future__ import annotations

from ogive.document.blocks import Block, Code, Fold, NamedValues, Section, Text
from ogive.formatting import plural
from ogive.report import facts
from ogive.report.subject import Subject

TITLE = "How to reproduce it"


def build_section(subject: Subject) -> Section:
    reproduction = facts.collect_reproduction_facts(subject.state)
    blocks: list[Block] = []
    if subject.best_network is not None:
        blocks += [
            Text("This command repeats a trial of the search with the same seed, versions and threads:"),
            Code(f"ogive reproduce {subject.folder_argument} --trial {subject.best_network.trial.id}"),
        ]
    blocks += [
        NamedValues(reproduction["manifest"]),
        Fold(
            f"the space: {plural(len(reproduction['decisions']), 'decision')}", [NamedValues(reproduction["decisions"])]
        ),
    ]
    if not reproduction["sessions"]:
        return Section("repeat", TITLE, [*blocks, Text("No session was recorded.")])
    if reproduction["earlier_sessions"] is not None:
        blocks.append(Text(reproduction["earlier_sessions"], soft=True))
    for session in reproduction["sessions"]:
        is_last = session is reproduction["sessions"][-1]
        blocks.append(Fold(f"session {session['number']}", [NamedValues(session["rows"])], open=is_last))
    return Section("repeat", TITLE, blocks)
