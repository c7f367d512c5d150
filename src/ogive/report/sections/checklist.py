"""The checklists, filled in."""

from __future__ import annotations

from ogive.document.blocks import Block, Fold, Section, Table, Text
from ogive.report.checklist_answers import NO, NOT_APPLICABLE, YES
from ogive.report.checklists import fill_in_checklists
from ogive.report.subject import Subject


def build_section(subject: Subject) -> Section:
    lists = fill_in_checklists(subject)
    verdicts = [answer.verdict for items in lists.values() for _, answer in items]
    lead = (
        f"{verdicts.count(YES)} yes, {verdicts.count(NO)} no, {verdicts.count(NOT_APPLICABLE)} not applicable. The "
        "answers come from the journal. What it does not record counts as no; you may know better."
    )
    blocks: list[Block] = [Text(lead)]
    for title, items in lists.items():
        no_count = sum(answer.verdict == NO for _, answer in items)
        rows = [(text, answer.verdict, answer.evidence) for text, answer in items]
        table = Table(["", "", "evidence"], rows, frozenset({0, 1, 2}))
        is_research = title.startswith("Best practice")
        blocks.append(Fold(f"{title} ({no_count} no)" if no_count else title, [table], open=not is_research))
    source = (
        "The last three lists follow the checklist of Lindauer and Hutter, Best Practices for Scientific Research on Neural "
        "Architecture Search (JMLR 21, 2020), as far as the journal of one run can answer it."
    )
    return Section("checklists", "Checklists", [*blocks, Text(source, soft=True)])
