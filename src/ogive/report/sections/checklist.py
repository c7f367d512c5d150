"""The checklists, filled in."""

from __future__ import annotations

from ogive.document.blocks import Block, Fold, Section, Table, Text
from ogive.report.checklists import fill_in_checklists
from ogive.report.subject import Subject


def section(subject: Subject) -> Section:
    lists = fill_in_checklists(subject)
    count = [answer.verdict for items in lists.values() for _, answer in items]
    lead = (
        f"{count.count('yes')} yes, {count.count('no')} no, {count.count('not applicable')} not applicable. The answers are "
        "from the journal; what it cannot know is a no that a reader may overrule."
    )
    blocks: list[Block] = [Text(lead)]
    for title, items in lists.items():
        bad = sum(answer.verdict == "no" for _, answer in items)
        rows = [(text, answer.verdict, answer.evidence) for text, answer in items]
        table = Table(["", "", "evidence"], rows, frozenset({1, 2}))
        practice = title.startswith("Best practice")
        what = f"{title} ({bad} no)" if bad else title
        blocks.append(Fold(what, [table], open=not practice))
    source = (
        "The last three lists follow the checklist of Lindauer and Hutter, Best Practices for Scientific Research on Neural "
        "Architecture Search (JMLR 21, 2020), as far as it can be asked of one run."
    )
    return Section("checklists", "Checklists", [*blocks, Text(source, soft=True)])
